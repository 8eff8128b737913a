import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { userFolder } from '../files/user-folder.ts';
import type { CollectionMeta, UserPlace } from '../storage.ts';
import { requireRoomToWrite } from './collection-room.ts';

/**
 * Whether `meta` would answer the same as before for a collection that a thread has open: it was neither removed nor replaced by
 * hand, and there is room for a sync. Nobody else changes it in its place: the file is locked, and so is the data folder.
 */
export function isStillThere(base: string, user: UserPlace, { inode }: CollectionMeta): boolean {
  if (inode === undefined) return false;
  try {
    const folder = userFolder(base, user);
    requireRoomToWrite(folder);
    return lstatSync(join(folder, 'collection.anki2')).ino === inode;
  } catch {
    // the thread tells what is wrong
    return false;
  }
}
