import { constants, copyFileSync, existsSync, linkSync, readdirSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, removeFile, replaceFile, syncFolder } from '../files/durable.ts';

export interface SnapshotLimits {
  /** How many replaced collections are kept per user. Default 5. */
  maxCount: number;
  /** How many bytes they may take per user; the newest stays whatever its size. Default 2 GiB. */
  maxBytes: number;
}

export const SNAPSHOT_LIMITS: SnapshotLimits = { maxCount: 5, maxBytes: 2 * 1024 ** 3 };

const NAME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z\.anki2$/;

/** Folder of what full uploads replaced, in the user's folder. */
export function snapshotsFolder(userFolder: string): string {
  return join(userFolder, '.snapshots');
}

export interface Snapshot {
  /** File name in the folder of snapshots: the time, then `.anki2`. */
  name: string;
  takenMillis: number;
  bytes: number;
}

/** Newest first. */
export function listSnapshots(userFolder: string): Snapshot[] {
  const folder = snapshotsFolder(userFolder);
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => NAME.test(name)).sort().reverse();
  return names.map((name) => ({ name, takenMillis: millisOf(name), bytes: statSync(join(folder, name)).size }));
}

/** Keeps the closed collection at `path` under the time of `nowMillis`, or one after the newest's, durably, without moving it. */
export function takeSnapshot(userFolder: string, path: string, nowMillis: number): string {
  const folder = snapshotsFolder(userFolder);
  makeFolder(folder);
  const newest = snapshotNames(folder).at(-1);
  const stampMillis = Math.max(nowMillis, newest === undefined ? 0 : millisOf(newest) + 1);
  const target = join(folder, `${new Date(stampMillis).toISOString().replace(/[-:.]/g, '')}.anki2`);
  keep(path, target);
  syncFolder(folder);
  return target;
}

/**
 * A crash between snapshot and replacement leaves the collection in use with a second name: one that would change with it, and take the
 * place of a real snapshot.
 */
export function dropSnapshotsInUse(userFolder: string, path: string): void {
  const { ino, nlink } = statSync(path);
  const folder = snapshotsFolder(userFolder);
  if (nlink === 1 || !existsSync(folder)) return;
  for (const name of snapshotNames(folder)) if (statSync(join(folder, name)).ino === ino) unlinkSync(join(folder, name));
}

/** Oldest first: the names are times. */
function snapshotNames(folder: string): string[] {
  return readdirSync(folder).filter((name) => NAME.test(name)).sort();
}

function millisOf(name: string): number {
  return Date.parse(name.replace(NAME, '$1-$2-$3T$4:$5:$6.$7Z'));
}

/** A hard link costs nothing, and the collection is about to be replaced, not changed. Some file systems have none: then a copy. */
function keep(path: string, target: string): void {
  try {
    linkSync(path, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error;
    const half = `${target}.new`;
    copyFileSync(path, half, constants.COPYFILE_FICLONE);
    replaceFile(half, target);
  }
}

/** Removes the oldest until the limits hold. The newest always stays. */
export function pruneSnapshots(userFolder: string, limits: SnapshotLimits): void {
  const folder = snapshotsFolder(userFolder);
  let bytes = 0;
  for (const [index, name] of snapshotNames(folder).reverse().entries()) {
    bytes += statSync(join(folder, name)).size;
    if (index > 0 && (index >= limits.maxCount || bytes > limits.maxBytes)) removeFile(join(folder, name));
  }
}
