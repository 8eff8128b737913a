/** Rules of `chunk` and `applyChunk`: notes, cards, revlog. */
import type { Json } from '../../lib/schema/json.ts';
import { CARD, NOTE, REVLOG } from '../../lib/schema/schema11.ts';
import { card, exactly, many, note, notetype, review } from './objects.ts';
import type { Player, Rows } from './player.ts';
import type { Rule } from './rule.ts';

/** Ours has stamp 2000 and usn 1; a device that synced last at `minUsn` sends one with stamp `mod`. Whose text is there then? */
async function winner(user: Player, kind: 'notes' | 'cards', mod: Json, minUsn: number): Promise<unknown> {
  const one = (stamp: Json, usn: number, whose: string): Rows =>
    kind === 'notes' ? { notes: [note({ mod: stamp, usn, flds: `${whose}\x1fback` })] } : { cards: [card({ mod: stamp, usn, data: whose === 'ours' ? '{"pos":1}' : '{"pos":2}' })] };
  await user.begin();
  await user.sync(one(2000, 1, 'ours'), { minUsn: 1 });
  await user.sync(one(mod, 2, 'theirs'), { minUsn });
  const held = await user.held();
  if (kind === 'notes') return (held.notes[5000]![NOTE.flds] as string).split('\x1f')[0];
  return held.cards[6000]![CARD.data] === '{"pos":1}' ? 'ours' : 'theirs';
}

const whoWins: Rule[] = (['notes', 'cards'] as const).flatMap((kind): Rule[] => {
  const one = kind === 'notes' ? 'a note' : 'a card';
  return [
    { sentence: `${one} wins when ours has not changed since, even if it is older`, play: (user) => winner(user, kind, 1999, 2), expected: 'theirs' },
    { sentence: `${one} is dropped when ours has changed since and is newer`, play: (user) => winner(user, kind, 1999, 1), expected: 'ours' },
    { sentence: `${one} is dropped when ours has changed since and is as new`, play: (user) => winner(user, kind, 2000, 1), expected: 'ours' },
    { sentence: `${one} wins when ours has changed since and is older`, play: (user) => winner(user, kind, 2001, 1), expected: 'theirs' },
  ];
});

const revlog: Rule = {
  sentence: 'a review never overwrites one of the same id',
  play: async (user) => {
    await user.begin();
    await user.sync({ revlog: [review({ ease: 1, usn: 1 }), review({ id: 7001, ease: 2, usn: 1 })] }, { minUsn: 1 });
    const held = await user.held();
    return [held.revlog[7000]![REVLOG.ease], held.revlog[7001]![REVLOG.ease]];
  },
  expected: [3, 2],
};

const FIELDS = notetype({})['flds'] as Json[];

const computed: Rule[] = [
  {
    sentence: 'sort field and checksum are computed from the fields, whatever the client sent',
    play: async (user) => {
      await user.begin({ notes: [note({ flds: '<b>one</b> &amp; <img src="two.png">\x1fback', sfld: 'junk', csum: '77', flags: 5, data: 'junk' })] });
      return user.query('SELECT sfld, csum, flags, data FROM notes');
    },
    expected: [['one &  two.png ', 1092801072, 0, '']],
  },
  {
    sentence: "the sort field is the notetype's, and a number stays one",
    play: async (user) => {
      await user.begin({ models: [notetype({ sortf: 1 })], notes: [note({ flds: 'front\x1f42' })] });
      return user.query('SELECT sfld, typeof(sfld) FROM notes');
    },
    expected: [[42, 'integer']],
  },
  {
    sentence: "a changed notetype counts for the notes that follow it, and not for those before",
    play: async (user) => {
      await user.begin();
      await user.start({ minUsn: 1 });
      await user.rows({ notes: [note({ id: 5001, guid: 'x', flds: 'a\x1fb' })] });
      await user.changes({ models: [notetype({ sortf: 1, mod: 2000 }), notetype({ id: 2001, name: 'one field', flds: FIELDS.slice(0, 1) })] });
      await user.rows({ notes: [note({ id: 5002, guid: 'y', flds: 'c\x1fd' }), note({ id: 5003, guid: 'z', mid: 2001, flds: 'e' })] });
      await user.finish();
      return user.query('SELECT sfld FROM notes WHERE id > 5000 ORDER BY id');
    },
    expected: [['a'], ['d'], ['e']],
  },
  {
    sentence: 'control characters leave the fields, except for tab and newline',
    play: async (user) => {
      await user.begin({ notes: [note({ flds: 'a\x01b\tc\nd\x1fe\x7f' })] });
      return (await user.held()).notes[5000]![NOTE.flds];
    },
    expected: 'ab\tc\nd\x1fe',
  },
  {
    sentence: 'tags of a note get one space around each',
    play: async (user) => {
      await user.begin({ notes: [note({ tags: ' b a  B ' })] });
      return (await user.held()).notes[5000]![NOTE.tags];
    },
    expected: ' b a B ',
  },
  {
    sentence: 'a note goes out without what each client computes for itself',
    play: async (user) => {
      await user.begin();
      return (await user.held()).notes[5000];
    },
    expected: [5000, 'guid', 2000, 1000, 0, '', 'front\x1fback', '', '', 0, ''],
  },
];

/** The usns under which rows are kept that a device sent with the usn of a `meta` before another device's sync. */
const stale: Rule = {
  sentence: 'rows are kept under the usn of this sync, even if the client knows an older one',
  play: async (user) => {
    await user.begin();
    await user.sync({}, { minUsn: 1 });
    await user.sync({ notes: [note({ usn: 1, mod: 2000 })], cards: [card({ usn: 1, mod: 2000 })], revlog: [review({ id: 7001, usn: 1 })] }, { minUsn: 1 });
    const { notes, cards, revlog: reviews } = await user.held();
    return [notes[5000]![NOTE.usn], cards[6000]![CARD.usn], reviews[7001]![REVLOG.usn]];
  },
  expected: [2, 2, 2],
  official: [1, 1, 1],
  why: 'other devices, which synced in between, never get them',
};

const cardData: Rule = {
  sentence: 'a card without custom data gets the empty object that every device makes of it',
  play: async (user) => {
    await user.begin({ cards: [card({ data: '' }), card({ id: 6001, data: '{"pos":1}' })] });
    const { cards } = await user.held();
    return [cards[6000]![CARD.data], cards[6001]![CARD.data]];
  },
  expected: ['{}', '{"pos":1}'],
};

/** What a chunk and the step after it answer, and which of two notes are there then. */
async function refused(user: Player, bad: Json[], minUsn = 1): Promise<unknown> {
  await user.begin();
  await user.start({ minUsn });
  const answer = await user.status('applyChunk', { chunk: { done: true, notes: [note({ id: 5001, guid: 'good' }), bad] } });
  const next = await user.status('finish');
  return [answer, next, Object.keys((await user.held()).notes)];
}

const refusals: Rule[] = [
  {
    sentence: 'a note whose notetype is missing fails the sync, of which nothing stays',
    play: (user) => refused(user, note({ id: 5002, mid: 1 })),
    expected: [400, 409, ['5000']],
  },
  {
    sentence: 'a note with a field too few fails the sync, of which nothing stays',
    play: (user) => refused(user, note({ id: 5002, flds: 'front' })),
    expected: [400, 409, ['5000']],
  },
  {
    sentence: 'a note with a field too many fails the sync, of which nothing stays',
    play: (user) => refused(user, note({ id: 5002, flds: 'a\x1fb\x1fc' })),
    expected: [400, 409, ['5000']],
  },
  {
    sentence: 'a note that does not fit is dropped without a word where ours would win anyway',
    play: (user) => refused(user, note({ mid: 1 }), 0),
    expected: [200, 200, ['5000', '5001']],
  },
  {
    sentence: 'a note with a field too few is dropped without a word where ours would win anyway',
    play: (user) => refused(user, note({ flds: 'front' }), 0),
    expected: [200, 200, ['5000', '5001']],
  },
  {
    sentence: 'a note that does not fit and is newer than ours fails the sync',
    play: (user) => refused(user, note({ mid: 1, mod: 1001 }), 0),
    expected: [400, 409, ['5000']],
  },
  {
    sentence: 'a note that does not fit fails the sync when ours has not changed since, even if it is older',
    play: (user) => refused(user, note({ mid: 1, mod: 999 }), 1),
    expected: [400, 409, ['5000']],
  },
];

const numbers: Rule[] = [
  {
    sentence: 'floats are taken in the columns where old clients wrote them, and cut',
    play: async (user) => {
      await user.begin({
        cards: [card({ due: exactly('-1.9'), ivl: exactly('2.9'), odue: exactly('3.5'), mod: exactly('1000.7') })],
        revlog: [review({ ivl: exactly('-600.5'), lastIvl: exactly('1.0'), factor: exactly('2500.0'), time: exactly('9.9') })],
      });
      const { cards, revlog: reviews } = await user.held();
      const [one, answer] = [cards[6000]!, reviews[7000]!];
      return [one[CARD.due], one[CARD.ivl], one[CARD.odue], one[CARD.mod], answer[REVLOG.ivl], answer[REVLOG.lastIvl], answer[REVLOG.factor], answer[REVLOG.time]];
    },
    expected: [-1, 2, 3, 1000, -600, 1, 2500, 9],
  },
  {
    sentence: 'a float in any other column is refused, and the sync goes on',
    play: async (user) => {
      await user.begin();
      await user.start({ minUsn: 1 });
      const status = await user.status('applyChunk', { chunk: { done: true, cards: [card({ reps: exactly('1.5') })] } });
      return [status, await user.status('finish')];
    },
    expected: [400, 200],
  },
  {
    sentence: 'ids of notes, cards and reviews keep all of their 64 bits',
    play: async (user) => {
      const [id, nid] = [exactly('9223372036854775807'), exactly('-9223372036854775807')];
      await user.begin({ notes: [note({ id: nid })], cards: [card({ id, nid })], revlog: [review({ id: nid, cid: id })] });
      const held = await user.held();
      const [oneCard, answer] = [Object.values(held.cards)[0]!, Object.values(held.revlog)[0]!];
      return [Object.values(held.notes)[0]![0], oneCard[CARD.id], oneCard[CARD.nid], answer[REVLOG.id], answer[REVLOG.cid]];
    },
    expected: ['-9223372036854775807', '9223372036854775807', '-9223372036854775807', '-9223372036854775807', '9223372036854775807'].map(exactly),
  },
];

/** How many of each kind each chunk holds, and whether it was the last. */
async function chunkSizes(user: Player, notes: number, cards: number, reviews: number): Promise<unknown> {
  await user.begin({
    notes: many(notes, 10_000, (id) => note({ id, guid: `${id}` })),
    cards: many(cards, 20_000, (id) => card({ id })),
    revlog: many(reviews, 30_000, (id) => review({ id })),
  });
  await user.start();
  const sizes: unknown[] = [];
  for (;;) {
    const { done, ...rows } = await user.chunk();
    sizes.push([rows.revlog?.length ?? 0, rows.notes?.length ?? 0, rows.cards?.length ?? 0, done]);
    if (done) return sizes;
  }
}

const chunkRules: Rule[] = [
  { sentence: '249 rows are one chunk', play: (user) => chunkSizes(user, 0, 249, 0), expected: [[0, 0, 249, true]] },
  {
    sentence: '250 rows are a full chunk, after which an empty one says that it was the last',
    play: (user) => chunkSizes(user, 0, 250, 0),
    expected: [[0, 0, 250, false], [0, 0, 0, true]],
  },
  { sentence: '251 rows are two chunks', play: (user) => chunkSizes(user, 0, 251, 0), expected: [[0, 0, 250, false], [0, 0, 1, true]] },
  {
    sentence: 'reviews, notes and cards are taken in turn',
    play: (user) => chunkSizes(user, 100, 300, 100),
    expected: [[84, 84, 84, false], [16, 16, 216, true]],
  },
  {
    sentence: 'a chunk holds what changed since the last sync, the newest of each kind first',
    play: async (user) => {
      await user.begin();
      await user.sync({ cards: [card({ id: 6003, usn: 1 }), card({ id: 6001, usn: 1 })], notes: [note({ id: 5001, guid: 'x', usn: 1 })] }, { minUsn: 1 });
      await user.sync({ cards: [card({ id: 6002, usn: 2 })], revlog: [review({ id: 7001, usn: 2 })] }, { minUsn: 2 });
      await user.start({ minUsn: 1 });
      const { revlog: reviews, cards, notes } = await user.chunks();
      return [reviews, cards, notes].map((rows) => rows.map((row) => (row as Json[])[0]));
    },
    expected: [[7001], [6002, 6003, 6001], [5001]],
  },
  {
    sentence: 'what the client sends is not sent back to it',
    play: async (user) => {
      await user.begin();
      await user.start({ minUsn: 1 });
      const first = await user.chunks();
      await user.rows({ cards: [card({ id: 6001, usn: 1 })] });
      const second = await user.chunks();
      return [first, second].map(({ cards }) => cards.length);
    },
    expected: [0, 0],
  },
  {
    sentence: 'long notes all arrive, in however many chunks',
    play: async (user) => {
      await user.begin({ notes: many(4, 10_000, (id) => note({ id, guid: `${id}`, flds: `${'x'.repeat(3_000_000)}\x1f${id}` })) });
      await user.start();
      return (await user.chunks()).notes.map((row) => [(row as Json[])[0], ((row as Json[])[NOTE.flds] as string).length]);
    },
    expected: [10_003, 10_002, 10_001, 10_000].map((id) => [id, 3_000_006]),
  },
  {
    sentence: 'a chunk of long notes ends early',
    play: async (user) => {
      await user.begin({ notes: many(4, 10_000, (id) => note({ id, guid: `${id}`, flds: `${'x'.repeat(3_000_000)}\x1f` })) });
      await user.start();
      const { done, notes } = await user.chunk();
      return [done, notes!.length < 4];
    },
    expected: [false, true],
    official: [true, false],
    why: 'it sends 250 rows, however long',
  },
  {
    sentence: '600 rows of one request are all kept',
    play: async (user) => {
      await user.begin({ cards: many(600, 20_000, (id) => card({ id })) });
      return Object.keys((await user.held()).cards).length;
    },
    expected: 600,
  },
];

export const CHUNKS: Rule[] = [...whoWins, revlog, stale, cardData, ...computed, ...refusals, ...numbers, ...chunkRules];
