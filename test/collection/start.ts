/** One sync at a time: what `start` begins, and what ends it. */
import type { Json } from '../../lib/schema/json.ts';
import { CARD } from '../../lib/schema/schema11.ts';
import { card, note, type JsonObject } from './objects.ts';
import { changesBody, startBody, type Player } from './player.ts';
import type { Rule } from './rule.ts';

/** Every step of a running sync, with a body that is right. */
const STEPS: Record<string, Json> = {
  applyGraves: { chunk: { cards: [], notes: [], decks: [] } },
  applyChanges: changesBody(),
  chunk: {},
  applyChunk: { chunk: { done: true } },
  sanityCheck2: { client: [[0, 0, 0], 0, 0, 0, 0, 0, 0, 0] },
  finish: {},
};

const NEW_CARD = { cards: [card({ id: 6001 })] };

/** A sync with a card that nobody has is running; what does its next step answer after `event`, and is the card there? */
async function after(user: Player, event: (user: Player) => Promise<unknown>): Promise<unknown> {
  await user.begin();
  await user.start({ minUsn: 1 });
  await user.rows(NEW_CARD);
  const answer = await event(user);
  const next = await user.status('finish');
  return [answer, next, 6001 in (await user.held()).cards];
}

const ended: Rule[] = [
  {
    sentence: 'meta ends what is running, of which nothing stays',
    play: (user) => after(user, () => user.status('meta', { v: 11, cv: '' })),
    expected: [200, 409, false],
  },
  {
    sentence: 'meta of another device ends what is running, of which nothing stays',
    play: (user) => after(user, () => user.other('another').status('meta', { v: 11, cv: '' })),
    expected: [200, 409, false],
  },
  {
    sentence: 'abort ends what is running, of which nothing stays',
    play: (user) => after(user, () => user.status('abort')),
    expected: [200, 409, false],
  },
  {
    sentence: 'abort of another device ends what is running, of which nothing stays',
    play: (user) => after(user, () => user.other('').status('abort')),
    expected: [200, 409, false],
  },
  {
    sentence: 'a download ends what is running, of which nothing stays',
    play: (user) => after(user, async () => (await user.query('SELECT count(*) FROM cards'))[0]),
    expected: [[1], 409, false],
  },
  {
    sentence: 'an upload ends what is running, of which nothing stays',
    play: async (user) => {
      await user.begin();
      const { body } = await user.client.post('download', {}, { version: 10 });
      await user.start({ minUsn: 1 });
      await user.rows(NEW_CARD);
      const answer = (await user.client.post('upload', body)).text();
      return [answer, await user.status('finish'), 6001 in (await user.held()).cards];
    },
    expected: ['OK', 409, false],
  },
  {
    sentence: 'a start of another device takes over, and the first gets a conflict while the second goes on',
    play: async (user) => {
      const second = user.other('another');
      const seen = await after(user, () => second.start({ minUsn: 1 }));
      await user.start({ minUsn: 1 });
      await user.rows({ cards: [card({ id: 6002 })] });
      await second.start({ minUsn: 1 });
      await second.rows({ cards: [card({ id: 6003 })] });
      const steps = [await user.status('chunk'), await second.status('finish')];
      return [seen, steps, Object.keys((await user.held()).cards)];
    },
    expected: [[{ cards: [], notes: [], decks: [] }, 409, false], [409, 200], ['6000', '6003']],
  },
  {
    sentence: 'a start with the same session key begins anew',
    play: (user) => after(user, () => user.start({ minUsn: 1 })),
    expected: [{ cards: [], notes: [], decks: [] }, 200, false],
  },
  {
    sentence: 'finish ends it: a second one is a conflict',
    play: (user) => after(user, () => user.status('finish')),
    expected: [200, 409, true],
  },
];

const undisturbed: [string, (user: Player) => Promise<unknown>, unknown][] = [
  ['a step with another session key', (user) => user.other('another').status('chunk'), 409],
  ['a step without a session key', (user) => user.other('').status('chunk'), 400],
  ['a start without a session key', (user) => user.other('').status('start', startBody()), 400],
  ['a start that makes no sense', (user) => user.other('another').status('start', { minUsn: 'one' }), 400],
  ['a step that makes no sense', (user) => user.status('applyChunk', { chunk: { cards: [[1]] } }), 400],
  ['an abort that makes no sense', (user) => user.status('abort', { unknown: true }), 400],
  ['a meta that makes no sense', (user) => user.status('meta', { v: '11' }), 400],
  ['a download that makes no sense', (user) => user.status('download', { unknown: true }), 400],
  ['the begin of a media sync', async (user) => (await user.client.msync('begin', { v: 'test' })).status, 200],
  ['a media sanity check', async (user) => (await user.client.msync('mediaSanity', { local: 0 })).status, 200],
  ['an unknown method', (user) => user.status('applyNothing'), 400],
];

const oneDayBack = 86_400;

/**
 * Buried cards of a collection whose local time is noon now, last unburied on `lastUnburied` days since its creation three
 * days ago, whose day begins at `rollover` o'clock: queues by card, `mod` and usn of the first, and the day that is noted.
 */
async function unburied(user: Player, rollover: number, lastUnburied: number): Promise<unknown> {
  const nowSecs = Math.floor(Date.now() / 1000);
  const westMinutes = Math.floor((nowSecs % oneDayBack) / 3600) * 60 - 12 * 60;
  const conf = { schedVer: 2, rollover, creationOffset: westMinutes, localOffset: westMinutes, lastUnburied };
  await user.begin({
    conf,
    crt: nowSecs - 3 * oneDayBack,
    cards: [
      card({ id: 1, queue: -2, type: 2 }), card({ id: 2, queue: -3, type: 0 }), card({ id: 3, queue: -1, type: 2 }),
      card({ id: 4, queue: -2, type: 1, due: 1_600_000_000 }), card({ id: 5, queue: -3, type: 3, due: 5 }),
      card({ id: 6, queue: -2, type: 1, due: 5 }), card({ id: 7, queue: -3, type: 3, due: 1_600_000_000 }),
    ],
  });
  await user.sync({ conf }, { minUsn: 1 });
  await user.sync({}, { minUsn: 2 });
  const cards = (await user.query('SELECT queue, mod, usn FROM cards ORDER BY id')) as number[][];
  const [noted] = (await user.query("SELECT conf ->> '$.lastUnburied' FROM col"))[0] as [number];
  return [cards.map(([queue]) => queue), cards[0]!.slice(1), noted];
}

const unbury: Rule[] = [
  {
    sentence: 'on a new day buried cards get the queue of their type back, their stamp and usn stay, and the day is noted',
    play: (user) => unburied(user, 4, 2),
    expected: [[2, 0, -1, 1, 3, 3, 1], [1000, 0], 3],
  },
  {
    sentence: 'on the same day buried cards stay buried',
    play: (user) => unburied(user, 4, 3),
    expected: [[-2, -3, -1, -2, -3, -2, -3], [1000, 0], 3],
  },
  {
    sentence: 'the day begins at the hour that the config says',
    play: (user) => unburied(user, 23, 2),
    expected: [[-2, -3, -1, -2, -3, -2, -3], [1000, 0], 2],
  },
  {
    sentence: 'the hour of a new day is written where the v2 scheduler has none, and other settings stay',
    play: async (user) => {
      const rollovers: unknown[] = [];
      for (const conf of [{ schedVer: 2, addon: 1 }, { schedVer: 2, addon: 1, rollover: 7 }, { schedVer: 1, addon: 1 }] as JsonObject[]) {
        await user.sync({ conf, crt: 1000 });
        // Anki's server reckons the day once while it holds the collection open; this makes it open it anew
        await user.start();
        await user.abort();
        const held = (await user.held()).conf;
        rollovers.push([held['rollover'], held['addon'], typeof held['lastUnburied']]);
      }
      return rollovers;
    },
    expected: [[4, 1, 'number'], [7, 1, 'number'], [undefined, 1, 'number']],
  },
  {
    sentence: 'cards that came back with a sync that is aborted are buried again',
    play: async (user) => {
      await user.begin({ conf: { schedVer: 2 }, crt: 1000, cards: [card({ queue: -2, type: 2 })] });
      await user.start();
      const queue = (await user.chunks()).cards.map((row) => (row as Json[])[CARD.queue]);
      await user.abort();
      return [queue, (await user.query('SELECT queue FROM cards'))[0]];
    },
    expected: [[2], [-2]],
  },
];

export const START: Rule[] = [
  ...Object.entries(STEPS).map(([step, body]): Rule => ({
    sentence: `${step} without a start is a conflict`,
    play: async (user) => {
      await user.begin();
      return user.status(step, body);
    },
    expected: 409,
  })),
  ...Object.entries(STEPS).map(([step, body]): Rule => ({
    sentence: `${step} of a device that does not hold the sync is a conflict, and without a session key refused`,
    play: async (user) => {
      await user.start();
      return [await user.other('another').status(step, body), await user.other('').status(step, body)];
    },
    expected: [409, 400],
  })),
  ...ended,
  ...undisturbed.map(([what, event, answer]): Rule => ({
    sentence: `${what} leaves the running sync alone`,
    play: (user) => after(user, event),
    expected: [answer, 200, true],
  })),
  {
    sentence: 'abort is fine at any time, and again',
    play: async (user) => [await user.abort(), await user.abort()],
    expected: [null, null],
  },
  {
    sentence: 'a step that fails ends the sync, of which nothing stays',
    play: (user) => after(user, () => user.status('applyChunk', { chunk: { done: true, notes: [note({ id: 5001, mid: 1 })] } })),
    expected: [400, 409, false],
  },
  ...unbury,
];
