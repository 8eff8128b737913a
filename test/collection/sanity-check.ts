/** Rules of `sanityCheck2`. */
import type { Json } from '../../lib/schema/json.ts';
import { card, deck, note, notetype, preset, review } from './objects.ts';
import type { Player, Sent } from './player.ts';
import type { Rule } from './rule.ts';

type Counts = [[number, number, number], number, number, number, number, number, number, number];

/** What a client that agrees with the server counts within the running sync. */
async function counted(user: Player): Promise<Counts> {
  const { cards, notes, revlog, models, decks, presets } = await user.heldNow();
  return [[0, 0, 0], ...([cards, notes, revlog, {}, models, decks, presets].map((objects) => Object.keys(objects).length) as [number, number, number, number, number, number, number])];
}

/** The answer to counts that differ from the server's by `change`. */
async function checked(user: Player, change: (counts: Counts) => void): Promise<unknown> {
  await user.begin();
  await user.start();
  const counts = await counted(user);
  change(counts);
  const answer = await user.ask('sanityCheck2', { client: counts as Json });
  return (answer as { status: string }).status;
}

const kinds = ['cards', 'notes', 'reviews', 'graves', 'notetypes', 'decks', 'presets'];

const compared: Rule[] = kinds.flatMap((kind, index): Rule[] =>
  kind === 'graves'
    ? []
    : [1, -1].map((by) => ({
        sentence: `${by > 0 ? 'more' : 'fewer'} ${kind} on the client are bad`,
        play: (user) => checked(user, (counts) => ((counts[index + 1] as number) += by)),
        expected: 'bad',
      })),
);

/** The answer to a sync that left one object with usn -1. */
async function unsent(user: Player, sent: Sent): Promise<unknown> {
  await user.begin();
  await user.start({ minUsn: 1 });
  await user.changes(sent);
  if (sent.notes ?? sent.cards ?? sent.revlog) await user.rows({ notes: [], cards: [], revlog: [], ...pick(sent) });
  const answer = (await user.ask('sanityCheck2', { client: [[0, 0, 0], 0, 0, 0, 0, 0, 0, 0] })) as { status: string; s: Json };
  return [answer.status, answer.s];
}

function pick({ notes, cards, revlog }: Sent): Sent {
  return { ...(notes ? { notes } : {}), ...(cards ? { cards } : {}), ...(revlog ? { revlog } : {}) };
}

const notSent: [string, Sent][] = [
  ['a note', { notes: [note({ id: 5001, guid: 'x', usn: -1 })] }],
  ['a card', { cards: [card({ id: 6001, usn: -1 })] }],
  ['a review', { revlog: [review({ id: 7001, usn: -1 })] }],
  ['a notetype', { models: [notetype({ id: 2001, name: 'x', usn: -1 })] }],
  ['a deck', { decks: [deck({ id: 3001, name: 'x', usn: -1 })] }],
  ['a preset', { presets: [preset({ id: 4001, name: 'x', usn: -1 })] }],
];

/** `finish` after a bad check, and whether what the sync sent is there. */
async function afterBad(user: Player, client: Json): Promise<unknown> {
  await user.begin();
  await user.start({ minUsn: 1 });
  await user.rows({ cards: [card({ id: 6001 })] });
  const { status } = (await user.ask('sanityCheck2', { client })) as { status: string };
  const step = await user.status('chunk');
  return [status, step, Object.keys((await user.held()).cards), (await user.meta())['usn']];
}

export const SANITY_CHECK: Rule[] = [
  { sentence: 'the same counts are ok', play: (user) => checked(user, () => {}), expected: 'ok' },
  ...compared,
  {
    sentence: 'due counts and graves are not compared',
    play: (user) =>
      checked(user, (counts) => {
        counts[0] = [1, 2, 3];
        counts[4] = 9;
      }),
    expected: 'ok',
  },
  {
    sentence: "a good check answers both sides' counts, and the sync goes on",
    play: async (user) => {
      await user.begin();
      await user.start();
      const counts = await counted(user);
      const answer = (await user.ask('sanityCheck2', { client: counts as Json })) as { c: Json; s: Json };
      return [await user.status('finish'), Object.keys(answer).sort(), JSON.stringify(answer.c) === JSON.stringify(counts), JSON.stringify(answer.s) === JSON.stringify(counts)];
    },
    expected: [200, ['c', 's', 'status'], true, true],
  },
  {
    sentence: 'what this sync did counts too',
    play: async (user) => {
      await user.begin();
      await user.start();
      const counts = await counted(user);
      await user.rows({ cards: [card({ id: 6001 })], notes: [note({ id: 5001, guid: 'x' })], revlog: [review({ id: 7001 })] });
      await user.changes({ models: [notetype({ id: 2001, name: 'x' })], decks: [deck({ id: 3001, name: 'x' })], presets: [preset({ id: 4001 })] });
      await user.graves({ cards: [6000] });
      const [due, cards, notes, revlog, graves, models, decks, presets] = counts;
      const client: Counts = [due, cards, notes + 1, revlog + 1, graves, models + 1, decks + 1, presets + 1];
      return ((await user.ask('sanityCheck2', { client: client as Json })) as { status: string }).status;
    },
    expected: 'ok',
  },
  {
    sentence: 'a bad check answers the counts of both sides, without due counts and graves',
    play: async (user) => {
      await user.begin();
      await user.start();
      const counts = await counted(user);
      const answer = (await user.ask('sanityCheck2', { client: [[1, 2, 3], 90, 91, 92, 93, 94, 95, 96] })) as { c: Json; s: Json };
      return [answer.c, JSON.stringify(answer.s) === JSON.stringify(counts)];
    },
    expected: [[[0, 0, 0], 90, 91, 92, 0, 94, 95, 96], true],
  },
  ...notSent.map(([what, sent]): Rule => ({
    sentence: `${what} that still says it was not sent makes the check bad, without counts of ours`,
    play: (user) => unsent(user, sent),
    expected: ['bad', null],
  })),
  {
    sentence: "the client's counts come back without due counts and graves then, too",
    play: async (user) => {
      await user.start();
      await user.rows({ cards: [card({ usn: -1 })] });
      return ((await user.ask('sanityCheck2', { client: [[1, 2, 3], 4, 5, 6, 7, 8, 9, 10] })) as { c: Json }).c;
    },
    expected: [[0, 0, 0], 4, 5, 6, 0, 8, 9, 10],
    official: [[1, 2, 3], 4, 5, 6, 7, 8, 9, 10],
    why: 'as they were sent',
  },
  {
    sentence: 'after a bad check nothing of the sync is left, and its next step is a conflict',
    play: (user) => afterBad(user, [[0, 0, 0], 0, 0, 0, 0, 0, 0, 0]),
    expected: ['bad', 409, ['6000'], 1],
    official: ['bad', 200, ['6000'], 1],
    why: 'its sync goes on without a transaction',
  },
];
