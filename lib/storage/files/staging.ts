import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Unfinished uploads and copies made for downloads: on the file system of the collections, so that taking one in is a rename. */
export function stagingFolder(base: string): string {
  const folder = join(base, '.anki-sync', 'staging');
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** What a crash left over. Called once at start, by the one process that holds the data folder. */
export function clearStaging(base: string): void {
  rmSync(join(base, '.anki-sync', 'staging'), { recursive: true, force: true });
}
