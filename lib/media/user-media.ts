import type { MediaFiles, MediaStore, UserPlace } from '../storage/storage.ts';

/** What the steps that touch files work on: one user's index and bytes. */
export interface UserMedia {
  store: MediaStore;
  files: MediaFiles;
  user: UserPlace;
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
