import type { JsonArrayText, MediaStore, UserPlace } from '../storage/storage.ts';
import { CHANGES_PER_PAGE } from './limits.ts';

/** SHA-1 in lower-case hex, empty for a deleted file. */
export type MediaChangeRow = [name: string, usn: number, sha1: string];

/** The usn of the last one, at the end of their text. */
const LAST_USN = /,(\d+),"[0-9a-f]*"\]\]$/;
const LAST_USN_CHARS = 80;

/** `MediaChangeRow`s. The client asks again with the last usn it got, until the answer is empty. */
export async function mediaChanges(store: MediaStore, user: UserPlace, lastUsn: number): Promise<JsonArrayText> {
  if (store.changesTextAfter !== undefined) return store.changesTextAfter(user, lastUsn, CHANGES_PER_PAGE);
  const entries = await store.changesAfter(user, lastUsn, CHANGES_PER_PAGE);
  return JSON.stringify(entries.map(({ name, usn, sha1, bytes }): MediaChangeRow => [name, usn, bytes === 0 ? '' : sha1]));
}

/**
 * What the client of an answer asks for next, made ready while it reads that one: whoever has no media yet asks twenty times for 20,000 names.
 * Nothing to do for stores that do not remember what they wrote.
 */
export async function readAhead(store: MediaStore, user: UserPlace, answered: JsonArrayText): Promise<void> {
  const lastUsn = LAST_USN.exec(answered.slice(-LAST_USN_CHARS))?.[1];
  if (lastUsn !== undefined) await store.changesTextAfter?.(user, Number(lastUsn), CHANGES_PER_PAGE);
}
