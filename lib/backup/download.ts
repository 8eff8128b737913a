import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { finished, type Readable } from 'node:stream';
import { stagingFolder } from '../storage/files/staging.ts';
import { userFolder } from '../storage/files/user-folder.ts';
import type { UserPlace } from '../storage/storage.ts';
import { colpkgStream } from './colpkg-stream.ts';

export interface DownloadOptions {
  base: string;
  user: UserPlace;
  withMedia: boolean;
  /** Writes `collection.anki2` and `media.db`, those that there are, as of one moment. */
  copyTo(folder: string): Promise<unknown>;
}

/** One user's `.colpkg`, or null for a user without a collection. The copies it is made of go when the stream closes. */
export async function openDownload({ base, user, withMedia, copyTo }: DownloadOptions): Promise<Readable | null> {
  const folder = join(stagingFolder(base), `backup-${randomBytes(12).toString('hex')}`);
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true }).catch(() => {});
  await mkdir(folder, { mode: 0o700 });
  try {
    await copyTo(folder);
    const collectionPath = join(folder, 'collection.anki2');
    if (!existsSync(collectionPath)) {
      await remove();
      return null;
    }
    const media = { indexPath: join(folder, 'media.db'), userFolder: userFolder(base, user) };
    const stream = colpkgStream({ collectionPath, ...(withMedia ? { media } : {}) });
    finished(stream, () => void remove());
    return stream;
  } catch (error) {
    await remove();
    throw error;
  }
}
