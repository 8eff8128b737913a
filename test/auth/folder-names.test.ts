import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseFolder, encodedFolder, foldFolder, isPortableFolder, isSingleSegment } from '../../lib/auth/folder-names.ts';

const folders = (...names: string[]): { name: string; isFolder: boolean }[] => names.map((name) => ({ name, isFolder: true }));
const choose = (loginName: string, there: Partial<Parameters<typeof chooseFolder>[0]> = {}): string =>
  chooseFolder({ loginName, caseSensitive: false, entries: [], taken: [], ...there });
const ENCODED = /^user=[0-9a-f]{32}$/;

test('a safe name is its own folder, as on the official server', () => {
  for (const name of ['ann', 'Bob', 'ann@example.org', 'Zoë', '日本', 'a b', 'a+b', "o'neill", 'user=ann', 'x'.repeat(120)]) assert.equal(choose(name), name);
});

test('a name that is no single path segment is never a folder, even if one is there', () => {
  for (const name of ['.', '..', '../x', 'a/b', 'a\\b', '.hidden', '.anki-sync', '/etc', 'C:\\x', 'a\0b', 'a\x01b', '\ud800']) {
    assert.equal(isSingleSegment(name), false, JSON.stringify(name));
    assert.match(choose(name, { entries: folders(name) }), ENCODED);
  }
});

test('names that some file system cannot hold, or takes for another, get an encoded folder', () => {
  const names = ['con', 'NUL.txt', 'com1', 'lpt¹', 'a.', 'a ', 'a:b', 'a?', 'a*', 'a"b', 'a<b', 'a|b', 'MILLER~1', 'a\u200bb', 'a\u00adb', 'x'.repeat(121)];
  for (const name of names) {
    assert.equal(isPortableFolder(name), false, JSON.stringify(name));
    assert.match(choose(name), ENCODED);
  }
  for (const name of ['console', 'com', 'com10', 'a.b', 'a~b']) assert.equal(isPortableFolder(name), true, name);
});

test('a folder of the official server is adopted, whatever name its file system could hold', () => {
  for (const name of ['ann', 'a?b', 'con', 'MILLER~1', 'x'.repeat(255)]) assert.equal(choose(name, { entries: folders(name, 'other') }), name);
});

test('an adopted folder keeps its own spelling', () => {
  assert.equal(choose('bob', { entries: folders('Bob') }), 'Bob');
  assert.equal(choose('Zo\u00eb', { entries: folders('Zoe\u0308') }), 'Zoe\u0308');
  assert.equal(choose('bob', { entries: folders('Bob', 'bob') }), 'bob');
});

test('where case does not count and two folders fit, none is guessed', () => {
  assert.throws(() => choose('BOB', { entries: folders('Bob', 'bob') }), { code: 'FOLDER_AMBIGUOUS' });
});

test('a folder of another user is never adopted', () => {
  assert.match(choose('ann', { entries: folders('ann'), taken: ['ann'] }), ENCODED);
});

test('where case counts, two users have folders that differ on every file system', () => {
  assert.equal(choose('Bob', { caseSensitive: true, entries: folders('Bob', 'bob') }), 'Bob');
  const second = choose('bob', { caseSensitive: true, entries: folders('Bob'), taken: ['Bob'] });
  assert.match(second, ENCODED);
  assert.notEqual(second, choose('BOB', { caseSensitive: true, taken: ['Bob'] }));
});

test('names that a file system folds more than we do get different folders', () => {
  for (const [first, second] of [['straße', 'strasse'], ['straẞe', 'strasse'], ['ışık', 'işık'], ['ﬁ', 'fi'], ['K', '\u212a']] as const) {
    assert.equal(foldFolder(first), foldFolder(second), first);
    assert.match(choose(second, { taken: [first] }), ENCODED);
  }
});

test('a file in the way is not taken for a folder', () => {
  assert.match(choose('notes', { entries: [{ name: 'notes', isFolder: false }] }), ENCODED);
});

test('an encoded folder never equals a folder that a name gives', () => {
  const encoded = encodedFolder('../x');
  assert.notEqual(choose(encoded), encoded);
  assert.notEqual(choose(encoded, { entries: folders(encoded) }), encoded);
  assert.notEqual(choose(encoded.toUpperCase()).toLowerCase(), encoded);
});

test('the same name gets the same folder again, in any case where case does not count', () => {
  assert.equal(choose('A/B'), choose('a/b'));
  assert.notEqual(choose('A/B', { caseSensitive: true }), choose('a/b', { caseSensitive: true }));
});
