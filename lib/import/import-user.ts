/** One user of an old community server → a complete user folder, in a place where nobody looks yet. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { copyDatabase, DatabaseInUseError } from '../storage/sqlite/database-copy.ts';
import { prepareUpload } from '../storage/sqlite/anki2.ts';
import { syncFile } from '../storage/files/durable.ts';
import { writeMediaIndex } from '../storage/sqlite/media-index-file.ts';
import { copyMedia, listMedia, newIndex, readOldIndex } from './old-media.ts';

/** This user cannot be imported; the reason is for the operator. */
export class NotImportable extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'NotImportable';
  }
}

export interface StagedUser {
  notes: number;
  cards: number;
  files: number;
  bytes: number;
  /** What was left out or could not be carried over. */
  remarks: string[];
}

/** @throws NotImportable */
export function stageCollection(from: string, to: string): Pick<StagedUser, 'notes' | 'cards' | 'remarks'> {
  const source = join(from, 'collection.anki2');
  if (!existsSync(source)) return { notes: 0, cards: 0, remarks: [] };
  const target = join(to, 'collection.anki2');
  try {
    copyDatabase(source, target);
  } catch (error) {
    if (error instanceof DatabaseInUseError) throw new NotImportable(`${error.message}; stop the old server first`);
    if (error instanceof Database.SqliteError) throw new NotImportable(`the collection cannot be opened (${error.message})`);
    throw error;
  }
  const verdict = prepareUpload(target);
  if (verdict.verdict === 'too-new') throw new NotImportable(`the collection has schema ${verdict.schemaVersion}, which this version does not know`);
  if (verdict.verdict === 'corrupt') throw new NotImportable(`the collection is damaged: ${verdict.reason}`);
  const db = new Database(target, { readonly: true });
  try {
    const count = (table: string): number => db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
    return { notes: count('notes'), cards: count('cards'), remarks: verdict.losses };
  } finally {
    db.close();
  }
}

/**
 * Collection, media and index of a user, each durable but for the name of `to` itself.
 *
 * @param from the user's folder on the old server; only read
 * @param scratch an empty folder
 * @throws NotImportable
 */
export async function stageUser(from: string, to: string, scratch: string, copied: (bytes: number, ofBytes: number) => void): Promise<StagedUser> {
  const collection = stageCollection(from, to);
  const { files, left } = listMedia(mediaFolder(from));
  const old = readOldIndex(from, scratch);
  const media = join(to, 'media');
  const sha1s = await copyMedia(files, media, copied);
  if (files.length > 0 || old.deleted.length > 0) {
    const entries = newIndex(files, sha1s, old);
    writeMediaIndex(join(to, 'media.db'), entries, entries.at(-1)!.usn);
    syncFile(join(to, 'media.db'));
  }
  mkdirSync(media, { recursive: true });
  const remarks = [...collection.remarks, ...left, ...(old.remark === undefined ? [] : [old.remark])];
  return { ...collection, files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), remarks };
}

/** What `stageUser` would do; writes only a copy of the collection. @throws NotImportable */
export function rehearseUser(from: string, to: string): StagedUser {
  const collection = stageCollection(from, to);
  const { files, left } = listMedia(mediaFolder(from));
  return { ...collection, files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), remarks: [...collection.remarks, ...left] };
}

function mediaFolder(user: string): string {
  const old = join(user, 'collection.media');
  return existsSync(old) ? old : join(user, 'media');
}
