import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escapeDnValue } from '../../../lib/auth/ldap/escaping.ts';
import { authenticatorSuite } from '../../../lib/conformance/index.ts';
import { credentials, directory } from './directory.ts';
import { GROUPS, PEOPLE, person } from './slapd.ts';

const ODD_NAME = `o'Neil, "Jr" +#;<>=\\`;
const MALLORY = `uid=mallory,${PEOPLE}`;
const { slapd, skip, authenticator } = await directory({
  readers: [MALLORY],
  entries: [
    person('mallory', 'canary-mallory'),
    person('victim', 'canary-victim', { mail: MALLORY }),
    person(ODD_NAME, 'canary-odd', { dn: `uid=${escapeDnValue(ODD_NAME)},${PEOPLE}` }),
    person('PLAIN', 'canary-plain'),
  ].join('\n'),
});
const alone = { bindDn: undefined, bindPassword: undefined, searchBase: undefined, bindTemplate: `uid={name},${PEOPLE}` };

test('the right password signs in, under the name as the directory spells it', { skip }, async (t) => {
  const ldap = authenticator(t, alone);
  for (const typed of ['Ada', 'ada', ' ADA']) assert.deepEqual(await ldap.authenticate(credentials(typed, 'canary-ada-4411')), { loginName: 'Ada' });
});

test('wrong passwords and unknown names get the same answer, after the same one question', { skip }, async (t) => {
  const ldap = authenticator(t, alone);
  for (const [name, password] of [['ada', 'wrong'], ['nobody', 'wrong'], ['nobody', 'canary-ada-4411']] as const) {
    await slapd.operations();
    assert.equal(await ldap.authenticate(credentials(name, password)), null);
    assert.deepEqual((await slapd.operations()).map(({ kind }) => kind), ['BIND']);
  }
  assert.deepEqual(ldap.lines, []);
});

test('names that try to be a place stay names', { skip }, async (t) => {
  const ldap = authenticator(t, alone);
  for (const name of [`Ada,${PEOPLE}`, `x,uid=Ada`, `x+uid=Ada`, 'Ada,', '#41', '\\41da', 'Ada\\', '"Ada"', 'Ada;x=y']) {
    await slapd.operations();
    assert.equal(await ldap.authenticate(credentials(name, 'canary-ada-4411')), null, name);
    const [bind] = await slapd.operations();
    // slapd prints the name that it understood, with the separators in it as \2C and the like: one value, below the same place
    assert.match(bind?.what ?? '', /^uid=[^,+]+,ou=people,dc=example,dc=org$/, name);
    assert.doesNotMatch(bind?.what ?? '', /^uid=Ada,/i, name);
  }
});

test('a name of such characters signs in, if somebody has it', { skip }, async (t) => {
  assert.deepEqual(await authenticator(t, alone).authenticate(credentials(ODD_NAME, 'canary-odd')), { loginName: ODD_NAME });
});

test('a name that is also a way to sign in without a password is a name', { skip }, async (t) => {
  const ldap = authenticator(t, { bindDn: undefined, bindPassword: undefined, bindTemplate: '{name}' });
  await slapd.operations();
  for (const name of ['EXTERNAL', 'PLAIN', 'SCRAM-SHA-1']) assert.equal(await ldap.authenticate(credentials(name, 'canary-plain')), null);
  assert.deepEqual((await slapd.operations()).map(({ kind }) => kind), [], 'slapd takes none of them for a distinguished name');
});

test('a name that signs in one person and finds another lets in neither', { skip }, async (t) => {
  // as in Active Directory, where the long name of one may be the short name of another; here, a mail address that is somebody's entry
  const ldap = authenticator(t, { bindDn: undefined, bindPassword: undefined, bindTemplate: '{name}', userFilter: '(mail={name})', nameAttribute: 'uid' });
  assert.equal(await ldap.authenticate(credentials(MALLORY, 'canary-mallory')), null);
  assert.match(ldap.lines[0]?.detail ?? '', /are two people/);
  const same = authenticator(t, { bindDn: undefined, bindPassword: undefined, bindTemplate: '{name}', userFilter: '(entryDN={name})', nameAttribute: 'uid' });
  assert.deepEqual(await same.authenticate(credentials(MALLORY, 'canary-mallory')), { loginName: 'mallory' });
});

test('a person whom the filter does not allow is refused after the right password', { skip }, async (t) => {
  const ldap = authenticator(t, { ...alone, userFilter: '(!(uid=eve))' });
  assert.deepEqual(await ldap.authenticate(credentials('ada', 'canary-ada-4411')), { loginName: 'Ada' });
  assert.equal(await ldap.authenticate(credentials('eve', 'canary-eve-6633')), null);
  assert.match(ldap.lines[0]?.detail ?? '', /refused: none of the entries/);
});

test('with a service account beside it, groups that people cannot read count, and people can be looked up again', { skip }, async (t) => {
  const groupFilter = '(&(cn=learners)(member={dn}))';
  const ldap = authenticator(t, { bindTemplate: `uid={name},${PEOPLE}`, groupBase: GROUPS, groupFilter });
  assert.deepEqual(await ldap.authenticate(credentials('ada', 'canary-ada-4411')), { loginName: 'Ada' });
  assert.equal(await ldap.authenticate(credentials('eve', 'canary-eve-6633')), null);
  assert.deepEqual([await ldap.stillAllowed('Ada'), await ldap.stillAllowed('eve'), await ldap.stillAllowed('nobody')], [true, false, false]);
  await assert.rejects(authenticator(t, alone).stillAllowed('Ada'), { code: 'AUTH_UNAVAILABLE' });
});

if (skip === false) {
  authenticatorSuite({
    name: 'ldapAuthenticator, direct',
    async make() {
      await slapd.restart();
      return {
        authenticator: authenticator({ after: () => {} } as never, alone),
        right: credentials('Ada', 'canary-ada-4411'),
        unknownUsername: 'nobody',
        breakDown: () => slapd.stop(),
      };
    },
  });
}
