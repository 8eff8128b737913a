import assert from 'node:assert/strict';
import test from 'node:test';
import { ldapAuthenticator } from '../../../lib/auth/ldap/ldap-authenticator.ts';
import { requireLdapLibrary } from '../../../lib/auth/ldap/library.ts';
import { checkLdapOptions, type LdapOptions } from '../../../lib/auth/ldap/settings.ts';

const right: LdapOptions = { url: 'ldaps://ldap.example.org', bindDn: 'cn=anki,dc=example,dc=org', bindPassword: 'secret', searchBase: 'ou=people,dc=example,dc=org' };
const change = (changes: object): LdapOptions => Object.fromEntries(Object.entries({ ...right, ...changes }).filter(([, value]) => value !== undefined)) as unknown as LdapOptions;

test('a service account and a place are enough', () => {
  const settings = checkLdapOptions(right);
  assert.deepEqual(settings.servers, [{ url: 'ldaps://ldap.example.org', encryption: 'tls', host: 'ldap.example.org', port: 636 }]);
  assert.deepEqual([settings.userFilter, settings.nameAttribute, settings.recheckMinutes, settings.timeoutMillis], ['(uid={name})', 'uid', 60, 5000]);
  assert.equal(settings.checkCertificates, true);
});

test('a distinguished name as template is enough too, and then nobody can be looked up again', () => {
  const settings = checkLdapOptions({ url: 'ldaps://ldap.example.org', bindTemplate: 'cn={name},ou=people,dc=example,dc=org' });
  assert.deepEqual([settings.nameAttribute, settings.recheckMinutes, settings.userFilter], ['cn', 0, undefined]);
});

test('the name is the first attribute that is compared with it, unless another is given', () => {
  const userFilter = '(&(objectClass=user)(|(sAMAccountName={name})(userPrincipalName={name})))';
  assert.equal(checkLdapOptions(change({ userFilter })).nameAttribute, 'sAMAccountName');
  assert.equal(checkLdapOptions(change({ userFilter, nameAttribute: 'mail' })).nameAttribute, 'mail');
});

const refused: [string, object, RegExp][] = [
  ['no url', { url: undefined }, /url/],
  ['no url in a list', { url: [] }, /url/],
  ['another scheme', { url: 'https://ldap.example.org' }, /url/],
  ['a base in the url', { url: 'ldaps://ldap.example.org/dc=example' }, /searchBase/],
  ['an account in the url', { url: 'ldaps://cn:pw@ldap.example.org' }, /bindDn/],
  ['passwords in the clear', { url: 'ldap://ldap.example.org' }, /unencrypted.*startTls/],
  ['passwords in the clear to the second server', { url: ['ldaps://one.example.org', 'ldap://two.example.org'] }, /two.*unencrypted/],
  ['no service account and no template', { bindDn: undefined, bindPassword: undefined }, /bindDn/],
  ['a service account without a password', { bindPassword: undefined }, /bindPassword/],
  ['a service account with an empty password', { bindPassword: '' }, /bindPassword/],
  ['a password for nobody', { bindDn: undefined }, /bindDn/],
  ['no place', { searchBase: undefined }, /searchBase/],
  ['a filter without the name', { userFilter: '(objectClass=person)' }, /\{name\}/],
  ['a filter with a lost bracket', { userFilter: '(&(uid={name})(objectClass=person)' }, /userFilter/],
  ['two filters', { userFilter: '(uid={name})(objectClass=person)' }, /userFilter/],
  ['a misspelt placeholder', { userFilter: '(&(uid={name})(cn={username}))' }, /\{username\}/],
  ['a name in a matching rule', { userFilter: '(|(uid={name})(cn:caseExactMatch:={name}))' }, /:=/],
  ['a template without the name', { bindTemplate: 'uid=ada,dc=example,dc=org' }, /\{name\}/],
  ['a template in which the name cannot be escaped', { bindTemplate: 'uid=x-{name},dc=example,dc=org' }, /whole value/],
  ['a group filter without the person', { groupFilter: '(memberOf=cn=anki)' }, /userFilter/],
  ['a group base alone', { groupBase: 'ou=groups' }, /groupFilter/],
  ['a ca that is none', { ca: 'nothing' }, /ca holds no certificate/],
  ['a ca that is damaged', { ca: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' }, /cannot be read/],
  ['looking up again without an account', { bindTemplate: 'uid={name},dc=x', bindDn: undefined, bindPassword: undefined, recheckMinutes: 5 }, /recheckMinutes/],
  ['a timeout of nothing', { timeoutMillis: 0 }, /timeoutMillis/],
  ['a misspelt option', { searchbase: 'dc=x' }, /unknown LDAP option "searchbase".*searchBase/],
];
for (const [what, changes, words] of refused) {
  test(`${what}: refused, in words that name the option`, () => {
    assert.throws(() => ldapAuthenticator(change(changes)), (error) => error instanceof TypeError && words.test(error.message) && !error.message.includes('secret'));
  });
}

test('unencrypted is allowed within one machine, by StartTLS, and by a loud option', () => {
  for (const url of ['ldap://localhost:3890', 'ldap://127.0.0.1', 'ldap://[::1]:389']) assert.equal(checkLdapOptions(change({ url })).servers[0]?.encryption, 'none');
  assert.equal(checkLdapOptions(change({ url: 'ldap://ldap.example.org', startTls: true })).servers[0]?.encryption, 'startTls');
  assert.equal(checkLdapOptions(change({ url: 'ldap://ldap.example.org', dangerouslyAllowPlaintext: true })).servers[0]?.encryption, 'none');
});

test('where the library is not installed, the message says what to install', () => {
  const missing = (): never => {
    throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
  };
  assert.throws(() => requireLdapLibrary(missing), /npm install ldapts@9/);
});
