/** Rules of `finish` and of `download`: usn and `mod`. */
import assert from 'node:assert/strict';
import { changedBy } from '../server/collection-bytes.ts';
import { card } from './objects.ts';
import type { Player } from './player.ts';
import type { Rule } from './rule.ts';

/** By how much the usn rose, and whether `mod` is a new one. */
async function raised(user: Player, event: () => Promise<unknown>): Promise<unknown> {
  const before = await user.meta();
  await event();
  const after = await user.meta();
  return [(after['usn'] as number) - (before['usn'] as number), (after['mod'] as number) > (before['mod'] as number), after['scm'] === before['scm']];
}

/** The collection has a `mod` that is ahead, as after a clock was wrong. */
async function ahead(user: Player, millis: number): Promise<void> {
  await user.begin();
  const { body } = await user.client.post('download', {}, { version: 10 });
  const response = await user.client.post('upload', await changedBy(body, `UPDATE col SET mod = mod + ${millis}`));
  assert.equal(response.text(), 'OK');
}

export const FINISH: Rule[] = [
  {
    sentence: 'a sync raises the usn by one and sets a new mod',
    play: async (user) => {
      await user.begin();
      return raised(user, () => user.sync({ cards: [card({ id: 6001, usn: 1 })] }, { minUsn: 1 }));
    },
    expected: [1, true, true],
  },
  {
    sentence: 'a sync that only fetched does so too',
    play: async (user) => {
      await user.begin();
      return raised(user, () => user.sync({}, { minUsn: 0 }));
    },
    expected: [1, true, true],
  },
  {
    sentence: 'a sync that is aborted does not',
    play: async (user) => {
      await user.begin();
      return raised(user, async () => {
        await user.start();
        await user.rows({ cards: [card({ id: 6001, usn: 1 })] });
        await user.abort();
      });
    },
    expected: [0, false, true],
  },
  {
    sentence: 'finish answers the mod that meta then tells, in milliseconds',
    play: async (user) => {
      const mod = await user.sync();
      return [(await user.meta())['mod'] === mod, Math.abs((mod as number) - Date.now()) < 60_000];
    },
    expected: [true, true],
  },
  {
    sentence: 'a mod that is a little ahead of the clock rises still, with a sync',
    play: async (user) => {
      await ahead(user, 100_000);
      return raised(user, () => user.sync({}, { minUsn: 2 }));
    },
    expected: [1, true, true],
    official: [1, false, true],
    why: 'it takes the clock',
  },
  {
    sentence: 'a mod that is a little ahead of the clock rises still, with a download',
    play: async (user) => {
      await ahead(user, 100_000);
      return raised(user, () => user.query('SELECT 1'));
    },
    expected: [1, true, true],
    official: [1, false, true],
    why: 'it takes the clock',
  },
  {
    sentence: 'a mod of tomorrow is not kept',
    play: async (user) => {
      await ahead(user, 86_400_000);
      const bySync = await raised(user, () => user.sync({}, { minUsn: 2 }));
      await ahead(user, 86_400_000);
      return [bySync, await raised(user, () => user.query('SELECT 1'))];
    },
    expected: [[1, false, true], [1, false, true]],
  },
  {
    sentence: 'the file says when the last sync was',
    play: async (user) => {
      const mod = await user.sync();
      return (await user.query('SELECT ls FROM col'))[0] + '' === `${mod}`;
    },
    expected: true,
  },
  {
    sentence: 'a download raises the usn by one and sets a new mod, before the file is made',
    play: async (user) => {
      await user.begin();
      const before = (await user.meta())['mod'] as number;
      const [usn, mod] = (await user.query('SELECT usn, mod FROM col'))[0] as [number, number];
      const after = await user.meta();
      return [usn, mod > before, after['usn'], after['mod'] === mod];
    },
    expected: [2, true, 2, true],
  },
];
