import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLossless, type Json } from '../../lib/schema/json.ts';
import { normalizeDeckName, takeName, uniqueName, type TakenNames } from '../../lib/schema/names.ts';
import { newCollection } from '../../lib/schema/new-collection.ts';
import { officialSync } from './official-sync.ts';

const fresh = newCollection(1_000_000);
const deck = (Object.values(parseLossless(fresh.decks) as object) as { [key: string]: Json }[])[0]!;
const notetype = (Object.values(parseLossless(fresh.models) as object) as { [key: string]: Json }[])[0]!;

const NAMES = [
  'plain', 'a::b', 'a:::b', 'a::::b', '::', '', ':', ':::', ' x ', ' a :: b ', 'a: ::: :b', 'tab\there', 'new\nline', '\u0000nul',
  '\x1f', 'a\x1fb', '\x7f', ' ',
  '\u0085a\u0085', '\u00a0a\u00a0', '\u3000a\u3000', '\ufeffa\ufeff', '\u200ba', 'e\u0301', '\ufa47', '\u212b', 'ﬁ', '👩‍🚀::🚀',
  'a::blank::', '::a', 'a:', ':a', 'a::b:', 'c +',
];

test('names of decks are normalised as the official server does, and made unique', async (t) => {
  const official = await officialSync(t);
  const clashes = ['Ä', 'ä', 'Straße', 'STRASSE', 'strasse', 'x+', 'x', 'X', 'İ', 'i̇', 'ﬃ', 'ffi', 'iff', 'DEFAULT', 'Default+',
  'default', 'a::B', 'A::b'];
  const names = [...NAMES, ...clashes];
  await official.start();
  await official.apply({ decks: names.map((name, index) => ({ ...deck, id: 1000 + index, name, mod: 5, usn: 7 })) });
  const { decks: [decks] } = await official.state();
  const stored = new Map(decks.map((stored) => [stored['id'] as number, stored]));

  const taken: TakenNames<number> = new Map();
  takeName(taken, 'Default', 1);
  for (const [index, name] of names.entries()) {
    const id = 1000 + index;
    const unique = uniqueName(normalizeDeckName(name), id, taken);
    takeName(taken, unique.name, id);
    assert.equal(unique.name, stored.get(id)?.['name'], JSON.stringify(name));
    assert.equal(unique.changed, stored.get(id)?.['mod'] !== 5, `only a clash changes the time of ${JSON.stringify(name)}`);
  }
});

test('names of notetypes stay as they are, but unique', async (t) => {
  const official = await officialSync(t);
  const names = [' x ', 'a::b', 'e\u0301', 'é', 'basic', 'BASIC', 'Basic+', 'ß', 'SS', 'Cloze', '', '', '\u0000'];
  await official.start();
  const taken: TakenNames<number> = new Map();
  for (const model of (await official.state()).models) takeName(taken, model['name'] as string, model['id'] as number);
  await official.apply({ models: names.map((name, index) => ({ ...notetype, id: 1000 + index, name, mod: 5, usn: 7 })) });
  const stored = new Map((await official.state()).models.map((model) => [model['id'] as number, model]));
  for (const [index, name] of names.entries()) {
    const id = 1000 + index;
    const unique = uniqueName(name, id, taken);
    takeName(taken, unique.name, id);
    assert.equal(unique.name, stored.get(id)?.['name'], JSON.stringify(name));
    assert.equal(unique.changed, stored.get(id)?.['mod'] !== 5);
  }
});

test('an object keeps a name that is its own, in any case', () => {
  const taken: TakenNames<number> = new Map();
  takeName(taken, 'Ä', 1);
  takeName(taken, 'Ä+', 2);
  assert.deepEqual(uniqueName('ä', 1, taken), { name: 'ä', changed: false });
  assert.deepEqual(uniqueName('ä', 2, taken), { name: 'ä+', changed: true });
  assert.deepEqual(uniqueName('ä', 3, taken), { name: 'ä++', changed: true });
});

test('a long run of white space is trimmed in one pass', () => {
  const hostile = `a${' '.repeat(1e6)}b`;
  assert.equal(normalizeDeckName(`${hostile}${':'.repeat(1e6)} `), [hostile, ...Array<string>(5e5).fill('blank')].join('::'));
});
