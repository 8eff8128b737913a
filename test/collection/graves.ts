/** Rules of `applyGraves`, and of the graves that `start` takes and gives. */
import type { Json } from '../../lib/schema/json.ts';
import { card, deck, exactly, note } from './objects.ts';
import type { Player } from './player.ts';
import type { Rule } from './rule.ts';

async function left(user: Player): Promise<unknown> {
  const { notes, cards, decks, graves } = await user.held();
  return [Object.keys(notes), Object.keys(cards), 3000 in decks, graves];
}

const ALL = { notes: [5000], cards: [6000], decks: [3000] };

export const GRAVES: Rule[] = [
  {
    sentence: 'what a client deleted is gone, and the other devices are told',
    play: async (user) => {
      await user.begin();
      await user.sync({ graves: ALL }, { minUsn: 1 });
      return left(user);
    },
    expected: [[], [], false, ALL],
  },
  {
    sentence: 'a deletion takes only what it names: the cards of a note and of a deck are deleted one by one',
    play: async (user) => {
      await user.begin();
      await user.sync({ graves: { notes: [5000], decks: [3000] } }, { minUsn: 1 });
      return left(user);
    },
    expected: [[], ['6000'], false, { notes: [5000], cards: [], decks: [3000] }],
  },
  {
    sentence: 'deletions of what was never here are passed on too, and ids are told apart by kind',
    play: async (user) => {
      await user.begin();
      await user.sync({ graves: { notes: [6000], cards: [3000], decks: [5000] } }, { minUsn: 1 });
      return left(user);
    },
    expected: [['5000'], ['6000'], true, { notes: [6000], cards: [3000], decks: [5000] }],
  },
  {
    sentence: 'start tells what was deleted since the last sync, and not what was before',
    play: async (user) => {
      await user.begin();
      await user.sync({ graves: { notes: [5000] } }, { minUsn: 1 });
      await user.sync({ graves: { cards: [6000] } }, { minUsn: 2 });
      return [await user.start({ minUsn: 1 }), await user.start({ minUsn: 2 }), await user.start({ minUsn: 3 })];
    },
    expected: [
      { notes: [5000], cards: [6000], decks: [] },
      { notes: [], cards: [6000], decks: [] },
      { notes: [], cards: [], decks: [] },
    ],
  },
  {
    sentence: 'deletions that come with start, from old clients, are applied and not sent back',
    play: async (user) => {
      await user.begin();
      const answer = await user.start({ minUsn: 0, graves: ALL });
      await user.finish();
      return [answer, await left(user)];
    },
    expected: [{ notes: [], cards: [], decks: [] }, [[], [], false, ALL]],
  },
  {
    sentence: 'deletions that come with start are undone with the sync',
    play: async (user) => {
      await user.begin();
      await user.start({ minUsn: 1, graves: ALL });
      await user.abort();
      return left(user);
    },
    expected: [['5000'], ['6000'], true, { notes: [], cards: [], decks: [] }],
  },
  {
    sentence: 'a deletion that is sent twice is told once',
    play: async (user) => {
      await user.begin();
      await user.start({ minUsn: 1 });
      await user.graves({ notes: [5000, 5000], cards: [6000] });
      await user.graves({ cards: [6000] });
      await user.finish();
      return user.start();
    },
    expected: { notes: [5000], cards: [6000], decks: [] },
  },
  {
    sentence: 'what comes back after its deletion is there, though other devices are told of the deletion first',
    play: async (user) => {
      await user.begin();
      await user.sync({ graves: ALL }, { minUsn: 1 });
      await user.sync({ notes: [note({ usn: 2 })], cards: [card({ usn: 2 })], decks: [deck({ usn: 2 })] }, { minUsn: 2 });
      return left(user);
    },
    expected: [['5000'], ['6000'], true, ALL],
  },
  {
    sentence: 'what was deleted, came back and is deleted again is told to devices that know of the first deletion',
    play: async (user) => {
      await user.begin();
      await user.sync({ graves: { notes: [5000] } }, { minUsn: 1 });
      await user.sync({ notes: [note({ usn: 2 })] }, { minUsn: 2 });
      await user.sync({ graves: { notes: [5000] } }, { minUsn: 3 });
      return user.start({ minUsn: 3 });
    },
    expected: { notes: [5000], cards: [], decks: [] },
    official: { notes: [], cards: [], decks: [] },
    why: 'a grave keeps its first usn',
  },
  {
    sentence: 'ids of graves keep all of their 64 bits',
    play: async (user) => {
      const id = exactly('-9223372036854775807');
      await user.begin({ notes: [note({ id })], cards: [card({ id })], decks: [deck({ id })] });
      await user.sync({ graves: { notes: [id], cards: [id], decks: [id] } }, { minUsn: 1 });
      const { notes, cards, graves } = await user.held();
      return [Object.keys(notes), Object.keys(cards), graves as unknown as Json];
    },
    expected: [[], [], { notes: [exactly('-9223372036854775807')], cards: [exactly('-9223372036854775807')], decks: [exactly('-9223372036854775807')] }],
  },
];
