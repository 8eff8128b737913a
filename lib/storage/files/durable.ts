/** What it takes for a change of files to survive a loss of power: data by fsync of the file, names by fsync of the folder. */
import { closeSync, fsync, fsyncSync, mkdirSync, openSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const syncDescriptor = promisify(fsync);

/** Makes the contents of the files durable. All are in flight at once: journaling file systems commit them together. */
export async function syncFiles(paths: readonly string[]): Promise<void> {
  const results = await Promise.allSettled(paths.map(syncConcurrently));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

async function syncConcurrently(path: string): Promise<void> {
  // Windows flushes only what is open for writing
  const descriptor = openSync(path, 'r+');
  try {
    await syncDescriptor(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Makes the contents of one file durable before it returns. */
export function syncFile(path: string): void {
  const descriptor = openSync(path, 'r+');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Takes the place of `to` as a whole, durably: fsync of the file, rename, fsync of the folder. */
export function replaceFile(from: string, to: string): void {
  syncFile(from);
  renameSync(from, to);
  syncFolder(dirname(to));
}

/** Makes the names in a folder durable: what was created, renamed into it or removed from it. */
export function syncFolder(path: string): void {
  // Windows has no such call, and NTFS journals names by itself
  if (process.platform === 'win32') return;
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Makes a folder and those above it, where they are missing, durably. */
export function makeFolder(path: string): void {
  const missing: string[] = [];
  for (let folder = path; !isFolder(folder); folder = dirname(folder)) missing.push(folder);
  // one by one: what Node's own recursion says of a quota, or of a disk that fails or is read-only, is "no such file"
  for (const folder of missing.toReversed()) {
    try {
      mkdirSync(folder);
    } catch (error) {
      // made meanwhile by another process
      if (!isFolder(folder)) throw error;
    }
  }
  for (const folder of missing) syncFolder(dirname(folder));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Removes a file that may be missing. Of a disk that fails, Node's own `rmSync` throws an error without its code. */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
