/** Rules of `applyChanges`: notetypes, decks, presets, tags, config. */
import type { Json } from '../../lib/schema/json.ts';
import { deck, exactly, notetype, preset, type JsonObject } from './objects.ts';
import type { Changes, Held, Player } from './player.ts';
import type { Rule } from './rule.ts';

const field = notetype({})['flds'] as JsonObject[];
const template = notetype({})['tmpls'] as JsonObject[];
const BIG = '-7290854878769846350';

const named = { models: notetype, decks: deck, presets: preset } as const;
const kindsOf = ['models', 'decks', 'presets'] as const;
const ids = { models: 2000, decks: 3000, presets: 4000 } as const;
const words = { models: 'a notetype', decks: 'a deck', presets: 'a preset' } as const;

/** The name that the object has after one with stamp `mod` was sent: ours is of 1000. */
async function nameAfter(user: Player, kind: (typeof kindsOf)[number], mod: number, minUsn: number): Promise<string> {
  await user.begin();
  await user.sync({ [kind]: [named[kind]({ mod, name: 'incoming', usn: 1 })] }, { minUsn });
  return (await user.held())[kind][ids[kind]]!['name'] as string;
}

const whoWins: Rule[] = kindsOf.flatMap((kind) => [
  {
    sentence: `${words[kind]} that is newer than ours wins, though ours has changed too`,
    play: (user) => nameAfter(user, kind, 1001, 0),
    expected: 'incoming',
  },
  {
    sentence: `${words[kind]} as new as ours wins, though ours has changed too`,
    play: (user) => nameAfter(user, kind, 1000, 0),
    expected: 'incoming',
  },
  {
    sentence: `${words[kind]} older than ours is dropped without a word`,
    play: (user) => nameAfter(user, kind, 999, 0),
    expected: kind === 'models' ? 'notetype' : kind === 'decks' ? 'deck' : 'preset',
  },
  {
    sentence: `${words[kind]} older than ours is dropped even if ours has not changed since`,
    play: (user) => nameAfter(user, kind, 999, 1),
    expected: kind === 'models' ? 'notetype' : kind === 'decks' ? 'deck' : 'preset',
  },
]);

/** What becomes of a notetype with other fields or card types, and what the next step answers. */
async function reshaped(user: Player, changes: JsonObject): Promise<unknown> {
  await user.begin();
  await user.start({ minUsn: 1 });
  const answer = await user.status('applyChanges', {
    changes: { models: [notetype({ name: 'incoming', ...changes })], decks: [[deck({ name: 'sent along', mod: 2000 })], []], tags: [] },
  });
  const next = await user.status('finish');
  const { models, decks } = await user.held();
  return [answer, next, models[2000]!['name'], (models[2000]!['flds'] as Json[]).length, decks[3000]!['name']];
}

const shapes: Rule[] = [
  {
    sentence: 'a newer notetype with another field fails the sync, of which nothing stays',
    play: (user) => reshaped(user, { mod: 2000, flds: [...field, { ...field[0]!, name: 'third', ord: 2 }] }),
    expected: [400, 409, 'notetype', 2, 'deck'],
  },
  {
    sentence: 'a newer notetype with another card type fails the sync, of which nothing stays',
    play: (user) => reshaped(user, { mod: 2000, tmpls: [...template, { ...template[0]!, name: 'second', ord: 1 }] }),
    expected: [400, 409, 'notetype', 2, 'deck'],
  },
  {
    sentence: 'an older notetype with another field is dropped like any other',
    play: (user) => reshaped(user, { mod: 999, flds: [...field, { ...field[0]!, name: 'third', ord: 2 }] }),
    expected: [200, 200, 'notetype', 2, 'sent along'],
  },
  {
    sentence: 'a notetype nobody had may have any number of fields',
    play: async (user) => {
      await user.begin();
      await user.sync({ models: [notetype({ id: 2001, name: 'new', flds: [...field, { ...field[0]!, name: 'third', ord: 2 }] })] });
      return ((await user.held()).models[2001]!['flds'] as Json[]).length;
    },
    expected: 3,
  },
];

const kept: Rule[] = [
  {
    sentence: 'ids of fields and card types keep all of their 64 bits',
    play: async (user) => {
      await user.begin({
        models: [notetype({ flds: field.map((one) => ({ ...one, id: exactly(BIG) })), tmpls: template.map((one) => ({ ...one, id: exactly('9223372036854775807') })) })],
      });
      const { flds, tmpls } = (await user.held()).models[2000]!;
      return [...(flds as JsonObject[]), ...(tmpls as JsonObject[])].map((one) => one['id']);
    },
    expected: [exactly(BIG), exactly(BIG), exactly('9223372036854775807')],
  },
  ...kindsOf.map((kind): Rule => ({
    sentence: `the id of ${words[kind]} keeps all of its 64 bits`,
    play: async (user) => {
      await user.begin({ [kind]: [named[kind]({ id: exactly('1234567890123456789') })], notes: [], cards: [], revlog: [] });
      return Object.keys((await user.held())[kind]).filter((id) => id === '1234567890123456789');
    },
    expected: ['1234567890123456789'],
  })),
  {
    sentence: 'keys that the server does not know stay, in every object and inside of fields and card types',
    play: async (user) => {
      const unknown = { addon: { deep: [1, 'two', null] } };
      await user.begin({
        models: [notetype({ ...unknown, flds: field.map((one) => ({ ...one, ...unknown })), tmpls: template.map((one) => ({ ...one, ...unknown })) })],
        decks: [deck(unknown)],
        presets: [preset(unknown)],
        conf: unknown,
      });
      const held = await user.held();
      const notetypeHeld = held.models[2000]!;
      const objects = [notetypeHeld, ...(notetypeHeld['flds'] as JsonObject[]), ...(notetypeHeld['tmpls'] as JsonObject[]), held.decks[3000]!, held.presets[4000]!, held.conf];
      return objects.map((object) => object['addon']);
    },
    expected: Array.from({ length: 7 }, () => ({ deep: [1, 'two', null] })),
  },
];

const configOf = ({ conf, crt }: Held): unknown => [conf['one'], conf['two'], crt];

const config: Rule[] = [
  {
    sentence: 'a config that comes in replaces the whole one',
    play: async (user) => {
      await user.begin({ conf: { one: 1 }, crt: 1000 });
      await user.sync({ conf: { two: 2 } });
      return configOf(await user.held());
    },
    expected: [undefined, 2, 1000],
  },
  {
    sentence: 'without a config or creation time ours stay',
    play: async (user) => {
      await user.begin({ conf: { one: 1 }, crt: 1000 });
      await user.sync();
      return configOf(await user.held());
    },
    expected: [1, undefined, 1000],
  },
  {
    sentence: 'a creation time that comes in replaces ours',
    play: async (user) => {
      await user.begin({ conf: { one: 1 }, crt: 1000 });
      await user.sync({ crt: 2000 });
      return configOf(await user.held());
    },
    expected: [1, undefined, 2000],
  },
  {
    sentence: 'config and creation time go to an older client, and not to a newer one',
    play: async (user) => {
      await user.begin();
      const keys: unknown[] = [];
      for (const newer of [false, true]) {
        await user.start({ newer });
        keys.push(Object.keys(await user.changes()).sort());
      }
      return keys;
    },
    expected: [['conf', 'crt', 'decks', 'models', 'tags'], ['decks', 'models', 'tags']],
  },
];

/** Ids of what a device gets that synced last at `minUsn`. */
async function newsSince(user: Player, minUsn: number, sent: Changes): Promise<unknown> {
  await user.start({ minUsn });
  const { models, decks, tags } = await user.changes(sent);
  const [deckList, presets] = decks as [JsonObject[], JsonObject[]];
  return [...[models as JsonObject[], deckList, presets].map((list) => list.map((object) => object['id'])), tags];
}

const news: Rule[] = [
  {
    sentence: 'a device gets what changed since its last sync, and not what it sends itself',
    play: async (user) => {
      await user.begin({ tags: ['old'] });
      await user.sync(
        {
          models: [notetype({ id: 2001, name: 'b', usn: 1 })], decks: [deck({ id: 3001, name: 'b', usn: 1 })],
          presets: [preset({ id: 4001, name: 'b', usn: 1 })], tags: ['new'],
        },
        { minUsn: 1 },
      );
      return newsSince(user, 1, { models: [notetype({ id: 2002, name: 'c', usn: 2 })], decks: [deck({ id: 3002, name: 'c', usn: 2 })], tags: ['newest'] });
    },
    expected: [[2001], [3001], [4001], ['new']],
  },
  {
    sentence: 'a device that has everything gets nothing',
    play: async (user) => {
      await user.begin({ tags: ['old'] });
      return newsSince(user, 1, {});
    },
    expected: [[], [], [], []],
  },
  {
    sentence: 'a tag that is known already is no news',
    play: async (user) => {
      await user.begin({ tags: ['old'] });
      await user.sync({ tags: ['old', 'new'] }, { minUsn: 1 });
      return newsSince(user, 1, {});
    },
    expected: [[], [], [], ['new']],
  },
];

const stale: Rule = {
  sentence: 'objects are kept under the usn of this sync, even if the client knows an older one',
  play: async (user) => {
    await user.begin();
    await user.sync({}, { minUsn: 1 });
    await user.sync({ models: [notetype({ usn: 1, mod: 2000 })], decks: [deck({ usn: 1, mod: 2000 })], presets: [preset({ usn: 1, mod: 2000 })] }, { minUsn: 1 });
    const held = await user.held({ minUsn: 1 });
    return kindsOf.map((kind) => held[kind][ids[kind]]!['usn']);
  },
  expected: [2, 2, 2],
  official: [1, 1, 1],
  why: 'other devices, which synced in between, never get them',
};

/** Names and usns by id, and whether the stamp is the server's. */
const namesOf = (objects: Record<string, JsonObject>, wanted: number[]): unknown =>
  wanted.map((id) => [objects[id]!['name'], objects[id]!['usn'], (objects[id]!['mod'] as number) > 1_000_000_000]);

const names: Rule[] = (['models', 'decks'] as const).flatMap((kind): Rule[] => [
  {
    sentence: `${words[kind]} whose name is taken gets a +, and counts as changed by the server`,
    play: async (user) => {
      await user.begin();
      await user.sync({ [kind]: [named[kind]({ id: 9001, usn: 1 }), named[kind]({ id: 9002, usn: 1 })] }, { minUsn: 1 });
      return namesOf((await user.held())[kind], [ids[kind], 9001, 9002]);
    },
    expected: [
      [kind === 'models' ? 'notetype' : 'deck', 0, false],
      [kind === 'models' ? 'notetype+' : 'deck+', 1, true],
      [kind === 'models' ? 'notetype++' : 'deck++', 1, true],
    ],
  },
  {
    sentence: `${words[kind]} whose name differs by case alone, beyond ASCII too, gets a +`,
    play: async (user) => {
      await user.begin({ [kind]: [named[kind]({ id: 9001, name: 'Ärger' })], notes: [], cards: [], revlog: [] });
      await user.sync({ [kind]: [named[kind]({ id: 9002, name: 'äRGER', usn: 1 })] }, { minUsn: 1 });
      return namesOf((await user.held())[kind], [9001, 9002]);
    },
    expected: [['Ärger', 0, false], ['äRGER+', 1, true]],
  },
  {
    sentence: `${words[kind]} that keeps its own name, or changes its case, gets no +`,
    play: async (user) => {
      await user.begin();
      await user.sync({ [kind]: [named[kind]({ mod: 2000, usn: 1, name: kind === 'models' ? 'NOTETYPE' : 'DECK' })] }, { minUsn: 1 });
      return namesOf((await user.held())[kind], [ids[kind]]);
    },
    expected: [[kind === 'models' ? 'NOTETYPE' : 'DECK', 1, false]],
  },
  {
    sentence: `two that swap their names (${kind}): the first gets a +, as the second still has the name`,
    play: async (user) => {
      await user.begin({ [kind]: [named[kind]({ id: 9001, name: 'x' }), named[kind]({ id: 9002, name: 'y' })], notes: [], cards: [], revlog: [] });
      await user.sync({ [kind]: [named[kind]({ id: 9001, name: 'y', mod: 2000, usn: 1 }), named[kind]({ id: 9002, name: 'x', mod: 2000, usn: 1 })] }, { minUsn: 1 });
      return namesOf((await user.held())[kind], [9001, 9002]);
    },
    expected: [['y+', 1, true], ['x', 1, false]],
  },
  {
    sentence: `a name given up earlier in the same request is free (${kind})`,
    play: async (user) => {
      await user.begin({ [kind]: [named[kind]({ id: 9001, name: 'x' }), named[kind]({ id: 9002, name: 'y' })], notes: [], cards: [], revlog: [] });
      await user.sync({ [kind]: [named[kind]({ id: 9001, name: 'z', mod: 2000, usn: 1 }), named[kind]({ id: 9002, name: 'x', mod: 2000, usn: 1 })] }, { minUsn: 1 });
      return namesOf((await user.held())[kind], [9001, 9002]);
    },
    expected: [['z', 1, false], ['x', 1, false]],
  },
]);

const twice: Rule[] = (['models', 'decks'] as const).map((kind) => ({
  sentence: `${words[kind]} that comes twice in one request: the newer one stays`,
  play: async (user) => {
    await user.begin();
    await user.sync({ [kind]: [named[kind]({ mod: 3000, name: 'newer' }), named[kind]({ mod: 2000, name: 'older' })] }, { minUsn: 1 });
    return (await user.held())[kind][ids[kind]]!['name'];
  },
  expected: 'newer',
}));

const renamedIsNewer: Rule[] = (['models', 'decks'] as const).map((kind) => ({
  sentence: `${words[kind]} that got a + is as new as that, so that an older one does not undo it`,
  play: async (user) => {
    await user.begin();
    const taken = kind === 'models' ? 'notetype' : 'deck';
    await user.sync({ [kind]: [named[kind]({ id: 9001, name: taken, mod: 2000 }), named[kind]({ id: 9001, name: 'other', mod: 3000 })] }, { minUsn: 1 });
    return (await user.held())[kind][9001]!['name'];
  },
  expected: kind === 'models' ? 'notetype+' : 'deck+',
}));

const presetNames: Rule = {
  sentence: 'presets may share a name',
  play: async (user) => {
    await user.begin();
    await user.sync({ presets: [preset({ id: 9001, usn: 1 })] }, { minUsn: 1 });
    return namesOf((await user.held()).presets, [4000, 9001]);
  },
  expected: [['preset', 0, false], ['preset', 1, false]],
};

export const CHANGES: Rule[] = [...whoWins, ...shapes, ...kept, ...config, ...news, stale, ...names, ...twice, ...renamedIsNewer, presetNames];
