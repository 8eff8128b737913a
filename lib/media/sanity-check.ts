import type { MediaStore, UserPlace } from '../storage/storage.ts';

/** On a mismatch the client forgets what it knows and compares all files again at its next sync. */
export async function mediaSanity(store: MediaStore, user: UserPlace, localCount: number): Promise<'OK' | 'mediaSanity'> {
  const { fileCount } = await store.totals(user);
  return fileCount === localCount ? 'OK' : 'mediaSanity';
}
