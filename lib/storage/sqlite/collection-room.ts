/** Whether a user's collection can be worked on at all, before anything is opened or written. */
import { accessSync, constants, statfsSync, statSync } from 'node:fs';
import { SyncError } from '../../errors.ts';
import { damaged, isThere } from './collection-file.ts';

/** A sync writes its log before it is told that the disk is full; with less than this, not even a small one ends well. */
const LEAST_FREE_BYTES = 1024 * 1024;

/**
 * What SQLite would take for a new database, or only fail on later. A file of no bytes is none of ours: collections are
 * written beside their place, and renamed.
 *
 * @throws SyncError COLLECTION_DAMAGED
 */
export function requireSoundFile(path: string): void {
  if (!isThere(path)) return;
  const stat = statSync(path);
  if (!stat.isFile()) throw damaged(`it is ${stat.isDirectory() ? 'a folder' : 'no file'}`);
  if (stat.size === 0) throw damaged('it has no bytes');
}

/**
 * Asked at `meta`, the only step of a normal sync whose answer can tell people what is wrong.
 *
 * @throws SyncError DISK_FULL. What the system says of a disk that is read-only passes as it is.
 */
export function requireRoomToWrite(folder: string): void {
  accessSync(folder, constants.W_OK);
  const { blocks, bavail, bsize } = statfsSync(folder);
  // some file systems do not tell
  if (blocks > 0 && bavail * bsize < LEAST_FREE_BYTES) {
    throw new SyncError('DISK_FULL', 'no space left', { detail: `${bavail * bsize} bytes are free on the disk of ${folder}` });
  }
}
