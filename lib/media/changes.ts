import type { JsonArrayText, MediaStore, UserPlace } from '../storage/storage.ts';
import { CHANGES_PER_PAGE } from './limits.ts';

/** SHA-1 in lower-case hex, empty for a deleted file. */
export type MediaChangeRow = [name: string, usn: number, sha1: string];

/** `MediaChangeRow`s. The client asks again with the last usn it got, until the answer is empty. */
export async function mediaChanges(store: MediaStore, user: UserPlace, lastUsn: number): Promise<JsonArrayText> {
  if (store.changesTextAfter !== undefined) return store.changesTextAfter(user, lastUsn, CHANGES_PER_PAGE);
  const entries = await store.changesAfter(user, lastUsn, CHANGES_PER_PAGE);
  return JSON.stringify(entries.map(({ name, usn, sha1, bytes }): MediaChangeRow => [name, usn, bytes === 0 ? '' : sha1]));
}
