import { hash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { syncFiles } from '../storage/files/durable.ts';
import { isFileName } from '../storage/files/file-name.ts';
import { copyRange } from '../storage/files/hashed-copy.ts';
import { mediaPlaces } from '../storage/files/media-places.ts';

export interface IndexedFile {
  name: string;
  sha1: string;
  bytes: number;
}

/** What the index lists as present; empty without an index, or with one of an old form. */
export function indexedFiles(indexPath: string): IndexedFile[] {
  if (!existsSync(indexPath)) return [];
  const db = new Database(indexPath, { readonly: true });
  try {
    if ((db.pragma('user_version', { simple: true }) as number) < 4) return [];
    return db.prepare('SELECT fname AS name, lower(hex(csum)) AS sha1, size AS bytes FROM media WHERE size > 0 ORDER BY fname').all() as IndexedFile[];
  } finally {
    db.close();
  }
}

/**
 * The path of a media file in a backup, below its user's folder. Names that are no file names on some system lie where the
 * server itself puts those that its own disk refuses: a backup can be served as it is, anywhere.
 */
export function placeInBackup(name: string): string {
  const portable = isFileName(name, 'win32') && Buffer.byteLength(name) <= 200;
  return portable ? `media/${name}` : `.anki-sync-media/mapped/${hash('sha1', name)}`;
}

const FILES_AT_ONCE = 100;

/**
 * Copies the bytes of the files from a user's folder into that of the backup. Answers those that were not there as the index
 * lists them: lost, or changed since.
 */
export async function copyMediaFiles(from: string, to: string, files: readonly IndexedFile[], copied: (bytes: number, ofBytes: number) => void): Promise<IndexedFile[]> {
  const places = mediaPlaces(from);
  const absent: IndexedFile[] = [];
  const ofBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const folder of ['media', '.anki-sync-media/mapped']) mkdirSync(join(to, folder), { recursive: true });
  for (let at = 0; at < files.length; at += FILES_AT_ONCE) {
    const written: string[] = [];
    for (const file of files.slice(at, at + FILES_AT_ONCE)) {
      const target = join(to, placeInBackup(file.name));
      rmSync(target, { force: true });
      if (copyOne(places.find(file.name, file.sha1), file, target)) written.push(target);
      else absent.push(file);
      copied(file.bytes, ofBytes);
    }
    await syncFiles(written);
  }
  return absent;
}

function copyOne(range: ReturnType<ReturnType<typeof mediaPlaces>['find']>, { sha1, bytes }: IndexedFile, target: string): boolean {
  if (range === null || range.bytes !== bytes) return false;
  try {
    if (copyRange(range, target) === sha1) return true;
  } catch (error) {
    // replaced or deleted in this very moment
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  rmSync(target, { force: true });
  return false;
}
