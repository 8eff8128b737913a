import type { MediaFiles, MediaStore, UserPlace } from '../storage/storage.ts';

/** What the steps that touch files work on: one user's index and bytes. */
export interface UserMedia {
  store: MediaStore;
  files: MediaFiles;
  user: UserPlace;
}

/**
 * Brings the files to what the index says. Called when an upload has been answered, since no client should wait for it;
 * and before the files are changed or sent, in case that a crash came between.
 */
export async function settleMedia({ store, files, user }: UserMedia): Promise<void> {
  const changes = await store.unsettled(user);
  if (changes.length > 0) {
    await files.settle(user, changes);
    await store.settled(user);
  }
  await files.discardStaged(user);
}
