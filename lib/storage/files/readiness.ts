import { randomBytes } from 'node:crypto';
import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stagingFolder } from './staging.ts';

/** Below this, the next larger upload or media zip is likely to fail: time to send no more users, and to wake somebody. */
export const READY_FREE_BYTES = 64 * 1024 ** 2;

/** Free bytes on the disk of the data folder; undefined where the file system does not tell. */
export async function freeBytes(base: string): Promise<number | undefined> {
  const { blocks, bavail, bsize } = await statfs(base);
  return blocks > 0 ? bavail * bsize : undefined;
}

/** Why the data folder cannot be worked on now, in words without a path; undefined where it can. Writes a file, and removes it. */
export async function diskTrouble(base: string, leastFreeBytes = READY_FREE_BYTES): Promise<string | undefined> {
  try {
    const free = await freeBytes(base);
    if (free !== undefined && free < leastFreeBytes) return `the disk is almost full: ${Math.floor(free / 1024 ** 2)} MiB are free`;
    const path = join(stagingFolder(base), `ready-${randomBytes(12).toString('hex')}`);
    try {
      await writeFile(path, 'ready', { flag: 'wx', flush: true });
    } finally {
      await rm(path, { force: true });
    }
    return undefined;
  } catch (error) {
    return `the data folder cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`;
  }
}
