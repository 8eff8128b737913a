import { SyncError } from '../errors.ts';
import type { MediaFiles, MediaStore, UserPlace } from '../storage/storage.ts';

/** What the steps that touch files work on: one user's index and bytes. */
export interface UserMedia {
  store: MediaStore;
  files: MediaFiles;
  user: UserPlace;
  /** Most that the user's files may have together; none: as much as the disk has. */
  maxTotalBytes?: number | undefined;
  /** Users with whom this one shares what may wait unsettled, itself included. Default 1. */
  unsettledUsers?: number | undefined;
}

/**
 * Once more is unsettled, uploads settle the oldest first: disks, memory and the time to stop stay bounded, however busy a user is. Of small
 * files, thousands fit into a few MiB of the log, and to bring each to its place takes longer than all the rest of its upload.
 */
const MAX_UNSETTLED_BYTES = 128 * 1024 * 1024;
/** Of all users of a thread together. */
const MAX_UNSETTLED_NAMES = 20_000;
/** Settled at a time: the next request of the user waits for these. */
const SETTLED_AT_ONCE = 400;

/**
 * Brings the files to what the index says, and drops what was staged. Nobody depends on it, since staged files are served
 * like others and a crash loses none; but until then a media folder lacks them. So it is called when a user has been idle
 * for a moment after an upload, and before a user's media are released.
 */
export async function settleMedia(media: UserMedia): Promise<void> {
  while (!(await settleSome(media)));
}

/** The same for some of them, the oldest. Answers whether that was all. */
export async function settleSome({ store, files, user }: UserMedia): Promise<boolean> {
  const changes = await store.unsettled(user, SETTLED_AT_ONCE);
  const isAll = changes.length < SETTLED_AT_ONCE;
  if (changes.length > 0) {
    await files.settle(user, changes);
    await store.settled(user, isAll ? undefined : changes);
  }
  if (isAll) await files.discardStaged(user);
  return isAll;
}

export async function settleWhenMuch(media: UserMedia): Promise<void> {
  const maxNames = Math.max(SETTLED_AT_ONCE, MAX_UNSETTLED_NAMES / (media.unsettledUsers ?? 1));
  for (;;) {
    const { names, bytes } = await media.store.unsettledTotals(media.user);
    if ((names <= maxNames && bytes <= MAX_UNSETTLED_BYTES) || (await settleSome(media))) return;
  }
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
