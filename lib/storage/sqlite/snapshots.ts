import { constants, copyFileSync, linkSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, syncFolder } from '../files/durable.ts';
import { syncFile } from './collection-file.ts';

export interface SnapshotLimits {
  /** How many replaced collections are kept per user. Default 5. */
  maxCount: number;
  /** How many bytes they may take per user; the newest stays whatever its size. Default 2 GiB. */
  maxBytes: number;
}

export const SNAPSHOT_LIMITS: SnapshotLimits = { maxCount: 5, maxBytes: 2 * 1024 ** 3 };

const NAME = /^\d{8}T\d{9}Z(-\d+)?\.anki2$/;

/** Folder of what full uploads replaced, in the user's folder. */
export function snapshotsFolder(userFolder: string): string {
  return join(userFolder, '.snapshots');
}

/** Keeps the closed collection at `path` under the time of `nowMillis`, durably, without moving it. */
export function takeSnapshot(userFolder: string, path: string, nowMillis: number): string {
  const folder = snapshotsFolder(userFolder);
  makeFolder(folder);
  const stamp = new Date(nowMillis).toISOString().replace(/[-:.]/g, '');
  for (let attempt = 0; ; attempt += 1) {
    const target = join(folder, attempt === 0 ? `${stamp}.anki2` : `${stamp}-${attempt}.anki2`);
    try {
      keep(path, target);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw error;
    }
    syncFolder(folder);
    return target;
  }
}

/** A hard link costs nothing, and the collection is about to be replaced, not changed. Some file systems have none: then a copy. */
function keep(path: string, target: string): void {
  try {
    linkSync(path, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error;
    copyFileSync(path, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    syncFile(target);
  }
}

/** Removes the oldest until the limits hold. The newest always stays. */
export function pruneSnapshots(userFolder: string, limits: SnapshotLimits): void {
  const folder = snapshotsFolder(userFolder);
  const names = readdirSync(folder).filter((name) => NAME.test(name)).sort().reverse();
  let bytes = 0;
  names.forEach((name, index) => {
    bytes += statSync(join(folder, name)).size;
    if (index > 0 && (index >= limits.maxCount || bytes > limits.maxBytes)) rmSync(join(folder, name), { force: true });
  });
}
