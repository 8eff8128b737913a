/** Where a user's sync may stand when a request comes, and the valid requests that bring it there. */
import { newRows } from './bodies.ts';
import { Random } from './random.ts';
import { SYNC_IDLE_MILLIS } from './target.ts';
import type { FuzzUser } from './user.ts';
import { setTimeout as sleep } from 'node:timers/promises';

export const STATES = [
  'no sync', 'started', 'graves applied', 'changes applied', 'chunks fetched', 'chunk applied', 'sanity checked', 'finished', 'aborted', 'failed step',
  'bad sanity check', 'taken over', 'expired', 'user removed',
] as const;
export type State = (typeof STATES)[number];

/** The valid sync, in its order; each state is reached by the one before. */
const WAY: readonly [State, (user: FuzzUser, random: Random) => Promise<void>][] = [
  ['started', async (user) => {
    user.newSession();
    await user.must('start', { minUsn: user.usn, lnewer: false, graves: null });
    user.running = user.sessionKey;
  }],
  ['graves applied', async (user) => void (await user.must('applyGraves', { chunk: { cards: [1], notes: [2], decks: [] } }))],
  ['changes applied', async (user) => {
    const changes = { models: [], decks: [[], []], tags: ['tag'] };
    await user.must('applyChanges', { changes });
  }],
  ['chunks fetched', async (user) => {
    for (let i = 0; i < 100; i++) if (((await user.must('chunk', {})) as { done: boolean }).done) return;
    throw new Error('a hundred chunks, and no end');
  }],
  ['chunk applied', async (user, random) => void (await user.must('applyChunk', { chunk: { done: true, ...newRows(user, random) } }))],
  ['sanity checked', async (user) => {
    const { status } = (await user.must('sanityCheck2', { client: user.counts })) as { status: string };
    if (status !== 'ok') throw new Error('the sanity check of a valid sync is bad');
  }],
  ['finished', async (user) => {
    await user.must('finish', {});
    user.running = null;
    user.usn += 1;
    user.atRest.committed();
  }],
];

async function walk(user: FuzzUser, to: State, random: Random): Promise<void> {
  for (const [state, step] of WAY) {
    await step(user, random);
    if (state === to) return;
  }
}

export const NOTHING_COUNTED = [[0, 0, 0], 9_999, 0, 0, 0, 0, 0, 0];

/** @throws when a valid request is not answered as it should be. */
export async function bring(user: FuzzUser, state: State, random: Random): Promise<void> {
  switch (state) {
    case 'no sync':
      await user.must('meta', { v: 11, cv: 'fuzz' });
      user.running = null;
      return;
    case 'aborted':
      await walk(user, 'graves applied', random);
      await user.must('abort', {});
      user.running = null;
      return;
    case 'failed step': {
      await walk(user, 'changes applied', random);
      const rows = newRows(user, random);
      const stray = rows.notes.map((row) => (row as unknown[]).with(2, 404).with(3, 2_000_000_000));
      const answer = await user.ask('applyChunk', { chunk: { done: true, ...rows, notes: stray } });
      if (answer.status !== 400) throw new Error(`a note without its notetype is answered ${answer.status}`);
      user.running = null;
      return;
    }
    case 'bad sanity check':
      await walk(user, 'chunk applied', random);
      await user.must('sanityCheck2', { client: NOTHING_COUNTED });
      user.running = null;
      return;
    case 'taken over':
      await walk(user, 'started', random);
      user.running = `${user.sessionKey} of another device`;
      await user.must('start', { minUsn: user.usn, lnewer: false, graves: null }, user.running);
      return;
    case 'expired':
      await walk(user, 'graves applied', random);
      for (let attempt = 0; attempt < 5; attempt++) {
        await sleep(SYNC_IDLE_MILLIS * 1.3);
        const { status } = await user.ask('applyGraves', { chunk: { cards: [], notes: [], decks: [] } });
        if (status === 409) break;
        if (attempt === 4) throw new Error('an idle sync does not expire');
      }
      user.running = null;
      return;
    case 'user removed':
      await walk(user, 'changes applied', random);
      await user.remove();
      user.running = null;
      return;
    default:
      if (state === 'sanity checked' || state === 'finished') await count(user, random);
      await walk(user, state, random);
  }
}

/** The server tells its counts to a client that is wrong. */
async function count(user: FuzzUser, random: Random): Promise<void> {
  if (user.counts !== undefined) return;
  await walk(user, 'chunk applied', random);
  const { s } = (await user.must('sanityCheck2', { client: NOTHING_COUNTED })) as { s: unknown };
  user.running = null;
  if (s === null) throw new Error('the collection has objects that were never sent');
  user.counts = s;
}
