import assert from 'node:assert/strict';
import test from 'node:test';
import { bindNameWith, escapeDnValue, filterForAnyName, filterWith } from '../../../lib/auth/ldap/escaping.ts';

test('in a filter, a name stays a value (examples of RFC 4515)', () => {
  const filter = (name: string): string => filterWith('(cn={name})', { name });
  assert.equal(filter('Parens R Us (for all your parenthetical needs)'), '(cn=Parens R Us \\28for all your parenthetical needs\\29)');
  assert.equal(filter('*'), '(cn=\\2a)');
  assert.equal(filter('C:\\MyFile'), '(cn=C:\\5cMyFile)');
  assert.equal(filter('*)(uid=*'), '(cn=\\2a\\29\\28uid=\\2a)');
  assert.equal(filter('a\0b'), '(cn=a\\00b)');
  assert.equal(filter('Łukasz 🃏'), '(cn=Łukasz 🃏)');
});

test('a name that looks like a placeholder, or like a replacement pattern, stays what it is', () => {
  assert.equal(filterWith('(|(cn={name})(member={dn}))', { name: '{dn}', dn: 'cn=$&{name}' }), '(|(cn={dn})(member=cn=$&{name}))');
  assert.equal(bindNameWith('uid={name},dc=x', "$&$'{name}"), "uid=$&$'{name},dc=x");
});

test('the filter for any name', () => {
  assert.equal(filterForAnyName('(|(uid={name})(mail={name}@example.org))'), '(|(uid=*)(mail=*@example.org))');
});

test('in a distinguished name, a name stays a value (examples of RFC 4514)', () => {
  assert.equal(escapeDnValue('James "Jim" Smith, III'), 'James \\"Jim\\" Smith\\, III');
  assert.equal(escapeDnValue('#hash'), '\\#hash');
  assert.equal(escapeDnValue(' both ends '), '\\ both ends\\ ');
  assert.equal(escapeDnValue('a+b=c;<d>\\'), 'a\\+b\\=c\\;\\<d\\>\\\\');
  assert.equal(escapeDnValue('x\0y'), 'x\\00y');
  assert.equal(bindNameWith('uid={name},ou=people,dc=x', 'bob,ou=admins'), 'uid=bob\\,ou\\=admins,ou=people,dc=x');
});

test('forms that are no distinguished name know no escaping', () => {
  assert.equal(bindNameWith('{name}@example.org', "o'neil+1"), "o'neil+1@example.org");
  assert.equal(bindNameWith('EXAMPLE\\{name}', 'ada'), 'EXAMPLE\\ada');
});
