import { SyncError } from '../errors.ts';
import type { MediaFiles, MediaStore, UserPlace } from '../storage/storage.ts';

/** What the steps that touch files work on: one user's index and bytes. */
export interface UserMedia {
  store: MediaStore;
  files: MediaFiles;
  user: UserPlace;
  /** Most that the user's files may have together; none: as much as the disk has. */
  maxTotalBytes?: number | undefined;
}

/** Once so much is unsettled, an upload settles it first: disks and journals stay bounded, however busy the user is. */
const MAX_UNSETTLED_NAMES = 1000;
const MAX_UNSETTLED_BYTES = 128 * 1024 * 1024;

/**
 * Brings the files to what the index says, and drops what was staged. Nobody depends on it, since staged files are served
 * like others and a crash loses none; but until then a media folder lacks them. So it is called when a user has been idle
 * for a moment after an upload, and before a user's media are released.
 */
export async function settleMedia({ store, files, user }: UserMedia): Promise<void> {
  const changes = await store.unsettled(user);
  if (changes.length > 0) {
    await files.settle(user, changes);
    await store.settled(user);
  }
  await files.discardStaged(user);
}

export async function settleWhenMuch(media: UserMedia): Promise<void> {
  const { names, bytes } = await media.store.unsettledTotals(media.user);
  if (names > MAX_UNSETTLED_NAMES || bytes > MAX_UNSETTLED_BYTES) await settleMedia(media);
}

/**
 * Refuses to go on where the index has files and the medium has none at all. Anki's server takes each of them for deleted by hand,
 * and forgets it; but most often a disk is not mounted, and what is written now would be hidden once it is.
 */
export async function requireFolder({ store, files, user }: UserMedia): Promise<void> {
  const { fileCount } = await store.totals(user);
  if (fileCount === 0 || files.hasAny === undefined || (await files.hasAny(user))) return;
  throw new SyncError('MEDIA_FOLDER_MISSING', 'the media folder is missing or empty', {
    detail: `the index has ${fileCount} media files, and there is none: is a disk not mounted? If they are gone for good, restore them from a backup, `
      + 'or stop the server and move media.db away: devices then send theirs again',
  });
}
