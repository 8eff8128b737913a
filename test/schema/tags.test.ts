import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registerTags } from '../../lib/schema/tags.ts';
import { officialSync } from './official-sync.ts';

test('incoming tags are registered as on the official server', async (t) => {
  const official = await officialSync(t);
  const rounds = [
    ['one', 'ONE', 'One::two', 'a b', ' ', '', '::', 'foo::', '::foo', 'x\u3000y', 'tab\there', '\u0000', '\x7fdel',
    '\u0085n\u0085', '\u00a0nb\u00a0', '\ufeffbom', '\ufa47', 'e\u0301', '\u212b'],
    ['ÄÖ::Kind', 'äö::kind', 'äö', 'Straße', 'STRASSE::b', 'ﬃ', 'ffi', 'IFF', 'İ', 'i̇::x'],
    ['Parent::Child', 'parent', 'PARENT::child::Deep', 'pArent::other::Deep', 'parent::OTHER', 'parent::other::deep::x'],
    ['a:', 'A:::b', 'a:::B', 'A::::c', 'a::', 'x:::', 'X::::y', ':::', '::::', ':', 'b:c', 'B:C::d'],
  ];
  await official.start();
  let known: string[] = [];
  for (const round of rounds) {
    await official.apply({ tags: round });
    known = [...known, ...registerTags(round, known)];
    assert.deepEqual([...known].sort(), (await official.state()).tags.sort());
  }
});

test('tags thrown together by chance', async (t) => {
  const official = await officialSync(t);
  const pieces = ['a', 'A', 'ß', 'ss', ':', '::', '::', '::', ' ', '\n', 'e\u0301', 'É'];
  let state = 11;
  const next = (limit: number): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % 65_521 % limit;
  const tags = Array.from({ length: 3000 }, () => Array.from({ length: next(8) }, () => pieces[next(pieces.length)]).join(''));
  await official.start();
  await official.apply({ tags });
  assert.deepEqual(registerTags(tags, []).sort(), (await official.state()).tags.sort());
});

test('a tag with very many levels is walked once', () => {
  const deep = `x${'::a'.repeat(3e5)}`;
  assert.deepEqual(registerTags([deep.toUpperCase(), `${deep}::b`, `y${'::a'.repeat(3e5)}`, 'X', `${deep}c`], ['x']), [
    `x${'::A'.repeat(3e5)}`,
    `x${'::A'.repeat(3e5)}::b`,
    `y${'::a'.repeat(3e5)}`,
    `x${'::a'.repeat(3e5 - 1)}::ac`,
  ]);
});
