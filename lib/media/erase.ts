import { settleMedia, type UserMedia } from './user-media.ts';

const NAMES_AT_ONCE = 200;

/**
 * Takes all of a user's media away, when they ask for it. Devices are told of no deletion, or they would lose theirs too: the index forgets the
 * names. Bytes first: what is cut off in the middle is finished by the next attempt.
 */
export async function eraseMedia(media: UserMedia): Promise<void> {
  const { store, files, user } = media;
  await settleMedia(media);
  let afterUsn = 0;
  for (;;) {
    const entries = await store.changesAfter(user, afterUsn, NAMES_AT_ONCE);
    if (entries.length === 0) return;
    afterUsn = entries.at(-1)!.usn;
    const names = entries.filter(({ bytes }) => bytes > 0).map(({ name }) => name);
    await files.settle(user, names.map((name) => ({ name, deleted: true })));
    await store.forget(user, names);
  }
}
