import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { userFolder } from '../files/user-folder.ts';
import type { CollectionMeta, UserPlace } from '../storage.ts';
import { requireRoomToWrite } from './collection-room.ts';

/** How long a disk is believed to have room. What fills it up within that time is told by the sync itself. */
const ROOM_MILLIS = 1_000;

/**
 * Whether `meta` would answer the same as before for a collection that a thread has open: it was neither removed nor replaced by
 * hand, and there is room for a sync. Nobody else changes it in its place: the file is locked, and so is the data folder.
 */
export function stillThereIn(base: string): (user: UserPlace, meta: CollectionMeta) => boolean {
  /** Of each folder, when room was found there. */
  const roomMillis = new Map<string, number>();
  return (user, { inode }) => {
    if (inode === undefined) return false;
    try {
      const folder = userFolder(base, user);
      const now = performance.now();
      if (now - (roomMillis.get(folder) ?? -Infinity) > ROOM_MILLIS) {
        if (roomMillis.size >= MAX_FOLDERS) roomMillis.clear();
        requireRoomToWrite(folder);
        roomMillis.set(folder, now);
      }
      return lstatSync(join(folder, 'collection.anki2')).ino === inode;
    } catch {
      // the thread tells what is wrong
      return false;
    }
  };
}

const MAX_FOLDERS = 1_000;
