import { hash } from 'node:crypto';
import { settleMedia, type UserMedia } from './user-media.ts';

const NAMES_AT_ONCE = 200;
/** No client has a file of this name. */
const NOBODYS_NAME = '_anki-sync-erased';
const NO_BYTES = hash('sha1', '');

/**
 * Takes all of a user's media away, when they ask for it. Devices are told of no deletion, or they would lose theirs too: the index forgets the
 * names. Bytes first: what is cut off in the middle is finished by the next attempt.
 *
 * The last usn goes up, by a file that comes and goes: devices that have seen the one before would not even ask, and never find out that the
 * server lacks theirs. This way whoever signs in again compares all files, and sends them.
 */
export async function eraseMedia(media: UserMedia): Promise<void> {
  const { store, files, user } = media;
  await settleMedia(media);
  let afterUsn = 0;
  for (;;) {
    const entries = await store.changesAfter(user, afterUsn, NAMES_AT_ONCE);
    if (entries.length === 0) break;
    afterUsn = entries.at(-1)!.usn;
    const names = entries.filter(({ bytes }) => bytes > 0).map(({ name }) => name);
    await files.settle(user, names.map((name) => ({ name, deleted: true })));
    await store.forget(user, names);
  }
  if (afterUsn === 0) return;
  await store.apply(user, [{ name: NOBODYS_NAME, sha1: NO_BYTES, bytes: 1 }, { name: NOBODYS_NAME, deleted: true }]);
  await settleMedia(media);
}
