/** Media of an old community server: a folder of files, and an index in one of three forms. */
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { MAX_FILE_BYTES, MAX_NAME_BYTES } from '../media/limits.ts';
import { syncFiles } from '../storage/files/durable.ts';
import { isFileName } from '../storage/files/file-name.ts';
import { copyRange } from '../storage/files/hashed-copy.ts';
import { copyDatabase } from '../storage/sqlite/database-copy.ts';
import type { MediaEntry } from '../storage/storage.ts';

export interface OldMediaFile {
  /** As clients know it: in composed form. */
  name: string;
  path: string;
  bytes: number;
}

export interface OldMedia {
  files: OldMediaFile[];
  /** Sentences about files that no client can have. */
  left: string[];
}

/** Leftovers of file managers; Anki leaves them out too. */
const NO_MEDIA = new Set(['.DS_Store', 'Thumbs.db']);

/** What of a media folder clients can sync. */
export function listMedia(folder: string): OldMedia {
  const files = new Map<string, OldMediaFile>();
  const left: string[] = [];
  for (const entry of existsSync(folder) ? readdirSync(folder).sort() : []) {
    if (NO_MEDIA.has(entry)) continue;
    const path = join(folder, entry);
    const name = entry.normalize('NFC');
    const stat = statSync(path, { throwIfNoEntry: false });
    const reason = stat === undefined ? 'is gone'
      : stat.isDirectory() ? 'is a folder'
      : stat.size === 0 ? 'is empty'
      : stat.size > MAX_FILE_BYTES ? 'is larger than 100 MiB'
      : Buffer.byteLength(name) > MAX_NAME_BYTES || !name.isWellFormed() || !isFileName(name) ? 'has a name that cannot be synced'
      : files.has(name) ? 'is there twice, with its name in two Unicode forms'
      : undefined;
    if (reason === undefined) files.set(name, { name, path, bytes: stat!.size });
    else left.push(`the media file ${JSON.stringify(entry)} ${reason}`);
  }
  return { files: [...files.values()], left };
}

/** Files held open for their fsync at once. */
const FILES_AT_ONCE = 100;

/** Copies the files, durably but for their names, and answers their SHA-1. */
export async function copyMedia(files: readonly OldMediaFile[], to: string, copied: (bytes: number, ofBytes: number) => void): Promise<Map<string, string>> {
  const sha1s = new Map<string, string>();
  const ofBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  mkdirSync(to, { recursive: true });
  for (let at = 0; at < files.length; at += FILES_AT_ONCE) {
    const some = files.slice(at, at + FILES_AT_ONCE);
    for (const { name, path, bytes } of some) {
      const sha1 = copyRange({ path, offset: 0, bytes }, join(to, name));
      if (sha1 === null) throw new Error(`${path} changed while it was copied`);
      sha1s.set(name, sha1);
      copied(bytes, ofBytes);
    }
    await syncFiles(some.map(({ name }) => join(to, name)));
  }
  return sha1s;
}

export interface OldMediaIndex {
  /** No client has seen a higher one. */
  lastUsn: number;
  deleted: string[];
}

/** Beyond what any old server has counted to. */
const USN_WITHOUT_INDEX = 1_000_000;

/**
 * What of an old index still matters. The files are listed anew, with usns above the old ones, so that each client asks for
 * the whole list once, finds its own files in it by their SHA-1, and sends and fetches nothing. Deletions are kept, for
 * clients that have not heard of them. A client remembers the usn it has seen and asks for what came later: without
 * an old index, the new one begins where no client can be.
 *
 * @param folder the user's
 * @param scratch a folder for a copy
 */
export function readOldIndex(folder: string, scratch: string): OldMediaIndex & { remark?: string } {
  const found = ['collection.media.server.db', 'collection.media.db2', 'media.db'].find((name) => existsSync(join(folder, name)));
  if (found === undefined) return { lastUsn: USN_WITHOUT_INDEX, deleted: [] };
  const copy = join(scratch, 'old-media.db');
  try {
    copyDatabase(join(folder, found), copy);
    const db = new Database(copy, { readonly: true });
    try {
      return indexIn(db);
    } finally {
      db.close();
    }
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
    return { lastUsn: USN_WITHOUT_INDEX, deleted: [], remark: `its media index ${found} cannot be read, and was not needed (${error.message})` };
  }
}

function indexIn(db: Database.Database): OldMediaIndex {
  const columns = (table: string): string[] => db.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(table) as string[];
  const media = columns('media');
  const meta = columns('meta');
  const gone = media.includes('size') ? 'size = 0' : media.includes('deleted') ? 'deleted' : 'csum IS NULL';
  const usns = [
    ...(media.includes('usn') ? [db.prepare('SELECT max(usn) FROM media').pluck().get()] : []),
    // the client's own form, which servers before 2018 used as it was
    ...['last_usn', 'lastUsn', 'usn'].filter((name) => meta.includes(name)).map((name) => db.prepare(`SELECT max(${name}) FROM meta`).pluck().get()),
  ];
  return {
    lastUsn: Math.max(0, ...usns.map(Number)),
    deleted: (db.prepare(`SELECT fname FROM media WHERE ${gone}`).pluck().all() as unknown[]).map((name) => String(name).normalize('NFC')),
  };
}

/** The new index: deletions first, as a client that has seen them would have. */
export function newIndex(files: readonly OldMediaFile[], sha1s: ReadonlyMap<string, string>, old: OldMediaIndex): MediaEntry[] {
  const present = new Set(files.map(({ name }) => name));
  const deleted = [...new Set(old.deleted)].filter((name) => name !== '' && !present.has(name));
  let usn = old.lastUsn;
  return [
    ...deleted.map((name) => ({ name, sha1: '0'.repeat(40), bytes: 0, usn: ++usn })),
    ...files.map(({ name, bytes }) => ({ name, sha1: sha1s.get(name)!, bytes, usn: ++usn })),
  ];
}
