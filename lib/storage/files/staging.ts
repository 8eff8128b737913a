import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from './durable.ts';

/** Unfinished uploads and copies made for downloads: on the file system of the collections, so that taking one in is a rename. */
export function stagingFolder(base: string): string {
  const folder = join(base, '.anki-sync', 'staging');
  makeFolder(folder);
  return folder;
}

/**
 * A staged file, with the log that is left beside a database whose conversion failed. What a failing disk keeps is no reason to fail what
 * was done, or to hide why it failed: the next start removes it.
 */
export async function removeStaged(path: string): Promise<void> {
  for (const suffix of ['-journal', '-wal', '']) await rm(path + suffix, { force: true }).catch(() => {});
}

/** What a crash left over. Called once at start, by the one process that holds the data folder. */
export function clearStaging(base: string): void {
  rmSync(join(base, '.anki-sync', 'staging'), { recursive: true, force: true });
}
