import type { MediaFiles, MediaStore, UserPlace } from '../storage/storage.ts';

/** What the steps that touch files work on: one user's index and bytes. */
export interface UserMedia {
  store: MediaStore;
  files: MediaFiles;
  user: UserPlace;
}

/** Brings the files to what the index says, if a crash came between the two. */
export async function settleInterrupted({ store, files, user }: UserMedia): Promise<void> {
  const changes = await store.unsettled(user);
  if (changes.length === 0) return;
  await files.settle(user, changes);
  await store.settled(user);
}
