import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loginKey, loginNameOrNull, namesDifferingInCase, normaliseLoginName } from '../../lib/auth/login-names.ts';

test('a login name is kept composed and without white space around it', () => {
  assert.equal(normaliseLoginName(' Zoe\u0308 '), 'Zo\u00eb');
  assert.equal(normaliseLoginName('a b'), 'a b');
  assert.equal(normaliseLoginName('ann@example.org'), 'ann@example.org');
});

test('empty, too long, control characters and broken Unicode are no names', () => {
  for (const name of ['', '  ', 'a\nb', 'a\0', 'a\u2028b', 'a\u0085b', '\ud800', 'x'.repeat(256), 'ä'.repeat(128)]) {
    assert.throws(() => normaliseLoginName(name), { code: 'NAME_INVALID' }, JSON.stringify(name));
    assert.equal(loginNameOrNull(name), null);
  }
  assert.equal(normaliseLoginName('ä'.repeat(127)).length, 127);
});

test('where case does not count, only case does not count', () => {
  assert.equal(loginKey('Bob@Example.ORG', false), 'bob@example.org');
  assert.equal(loginKey('ÄNNE', false), loginKey('änne', false));
  assert.notEqual(loginKey('straße', false), loginKey('strasse', false));
  assert.notEqual(loginKey('ışık', false), loginKey('işık', false));
  assert.notEqual(loginKey('İ', false), loginKey('i', false));
  assert.equal(loginKey('Bob', true), 'Bob');
});

test('names that differ only in case are found', () => {
  assert.deepEqual(namesDifferingInCase(['Bob', 'ann', 'bob']), [['Bob', 'bob']]);
  assert.deepEqual(namesDifferingInCase(['Bob', 'Bob', 'ann']), []);
});
