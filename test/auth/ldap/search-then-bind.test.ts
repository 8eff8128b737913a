import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escapeDnValue } from '../../../lib/auth/ldap/escaping.ts';
import { authenticatorSuite } from '../../../lib/conformance/index.ts';
import { credentials, directory, isUnavailable } from './directory.ts';
import { GROUPS, PEOPLE, SERVICE, base64, person } from './slapd.ts';

const ODD_NAME = `o'Neil, "Jr" +#;<>=\\ (*)`;
const ODD_PASSWORDS = ['p(a)s*s\\w"o,r+d;<>=#', 'Zoë schläft 🃏 日本', ' spaces around ', '%00{name}{dn}$&', 'x'.repeat(1024)];

const { slapd, skip, authenticator } = await directory({
  entries: [
    person(ODD_NAME, 'canary-odd', { dn: `uid=${escapeDnValue(ODD_NAME)},${PEOPLE}` }),
    person('Zoë', 'canary-zoe'),
    person('two', 'canary-two', { mail: 'bob' }),
    person('many', 'canary-many').replace(/^sn:/m, `uid:: ${base64('more')}\nsn:`),
    person('nowhere', 'canary-nowhere').replace(/^mail.*\n/m, ''),
    ...ODD_PASSWORDS.map((password, index) => person(`odd${index}`, password)),
  ].join('\n'),
});

test('the right password signs in, under the name as the directory spells it', { skip }, async (t) => {
  const ldap = authenticator(t);
  for (const typed of ['Ada', 'ada', 'ADA', ' ada ']) assert.deepEqual(await ldap.authenticate(credentials(typed, 'canary-ada-4411')), { loginName: 'Ada' });
  assert.deepEqual(await ldap.authenticate(credentials('bob', 'canary-bob-5522')), { loginName: 'bob' });
});

test('a name of two forms of Unicode is one person', { skip }, async (t) => {
  const ldap = authenticator(t);
  for (const typed of ['Zo\u00eb', 'Zoe\u0308']) assert.deepEqual(await ldap.authenticate(credentials(typed, 'canary-zoe')), { loginName: 'Zo\u00eb' });
});

test('by mail address or name, it is the same person', { skip }, async (t) => {
  const ldap = authenticator(t, { userFilter: '(|(mail={name})(uid={name}))', nameAttribute: 'uid' });
  for (const typed of ['ada', 'mail.ada@example.org']) assert.deepEqual(await ldap.authenticate(credentials(typed, 'canary-ada-4411')), { loginName: 'Ada' });
});

test('wrong passwords and unknown names get the same answer, after the same questions', { skip }, async (t) => {
  const ldap = authenticator(t);
  await ldap.check();
  const asked = async (username: string, password: string): Promise<string[]> => {
    await slapd.operations();
    assert.equal(await ldap.authenticate(credentials(username, password)), null);
    return (await slapd.operations()).map(({ kind }) => kind);
  };
  assert.deepEqual(await asked('ada', 'wrong'), ['SRCH', 'BIND']);
  assert.deepEqual(await asked('nobody', 'wrong'), ['SRCH', 'BIND']);
  assert.deepEqual(await asked('nobody', 'canary-ada-4411'), ['SRCH', 'BIND']);
  assert.deepEqual(await asked('many', 'canary-many'), ['SRCH', 'BIND']);
  assert.deepEqual(ldap.lines.filter(({ detail }) => !/not exactly one/.test(detail)), [], 'a wrong password is no event');
});

test('an empty password and an empty name are refused before the directory is asked: it would call them an anonymous success', { skip }, async (t) => {
  const ldap = authenticator(t);
  await ldap.check();
  await slapd.operations();
  for (const [name, password] of [['ada', ''], ['', 'x'], ['', ''], [' ', 'x'], ['ada', '\0'], ['ada', '\0x'], ['ada', 'canary-ada-4411\0']] as const) {
    assert.equal(await ldap.authenticate(credentials(name, password)), null);
  }
  assert.deepEqual(await slapd.operations(), []);
});

test('passwords of any characters are taken as they are', { skip }, async (t) => {
  const ldap = authenticator(t);
  for (const [index, password] of ODD_PASSWORDS.entries()) {
    assert.deepEqual(await ldap.authenticate(credentials(`odd${index}`, password)), { loginName: `odd${index}` }, password.slice(0, 30));
    assert.equal(await ldap.authenticate(credentials(`odd${index}`, `${password.slice(0, -1)}?`)), null);
  }
  assert.deepEqual(await ldap.authenticate(credentials('odd1', ODD_PASSWORDS[1]!.normalize('NFD'))), { loginName: 'odd1' });
});

test('names that try to be filters find nobody', { skip }, async (t) => {
  const ldap = authenticator(t);
  const names = ['*', 'a*', '*)(uid=*', 'ada)(|(uid=*', 'x)(|(objectClass=*)', '*))%00', '\\2a', '\\41da', '(uid=ada)', 'ada)', '{name}', 'ada\\'];
  await ldap.check();
  await slapd.operations();
  for (const name of names) {
    assert.equal(await ldap.authenticate(credentials(name, 'canary-ada-4411')), null, name);
    const [search, bind] = await slapd.operations();
    // slapd prints the filter that it understood: one comparison, and no star of ours
    assert.match(search?.what ?? '', /^\(uid=(?!.*[*]\))[^()]*\)$/, name);
    assert.match(bind?.what ?? '', /^cn=nobody-/, name);
  }
});

test('a name of such characters signs in, if somebody has it', { skip }, async (t) => {
  assert.deepEqual(await authenticator(t).authenticate(credentials(ODD_NAME, 'canary-odd')), { loginName: ODD_NAME });
});

test('a name that means two people is refused and told, whoever has the password', { skip }, async (t) => {
  const ldap = authenticator(t, { userFilter: '(|(uid={name})(mail={name}))' });
  for (const password of ['canary-bob-5522', 'canary-two']) assert.equal(await ldap.authenticate(credentials('bob', password)), null);
  assert.deepEqual(ldap.lines.map(({ level, user, detail }) => [level, user, detail]), Array(2).fill(['warn', 'bob', 'refused: more than one entry matches this name']));
});

test('an entry with two names, or none, is refused and told: which one is it tomorrow?', { skip }, async (t) => {
  const ldap = authenticator(t);
  assert.equal(await ldap.authenticate(credentials('many', 'canary-many')), null);
  const byMail = authenticator(t, { nameAttribute: 'mail' });
  assert.equal(await byMail.authenticate(credentials('nowhere', 'canary-nowhere')), null);
  for (const { lines } of [ldap, byMail]) assert.match(lines[0]?.detail ?? '', /not exactly one usable (uid|mail)/);
});

test('only members of a group sign in, by the group or by the person', { skip }, async (t) => {
  const groupFilter = '(&(cn=learners)(member={dn}))';
  const byGroup = authenticator(t, { groupBase: GROUPS, groupFilter });
  assert.deepEqual(await byGroup.authenticate(credentials('ada', 'canary-ada-4411')), { loginName: 'Ada' });
  assert.equal(await byGroup.authenticate(credentials('eve', 'canary-eve-6633')), null);
  assert.deepEqual(byGroup.lines.map(({ user, detail }) => [user, detail]), [['eve', 'refused: in no group that may sign in']]);

  // the overlay fills memberOf when groups change
  const oddDn = base64(`uid=${escapeDnValue(ODD_NAME)},${PEOPLE}`);
  await slapd.modify(`dn: cn=choir,${GROUPS}\nchangetype: add\nobjectClass: groupOfNames\ncn: choir\nmember: uid=eve,${PEOPLE}\nmember:: ${oddDn}\n`);
  const byPerson = authenticator(t, { userFilter: `(&(uid={name})(memberOf=cn=choir,${GROUPS}))` });
  assert.deepEqual(await byPerson.authenticate(credentials('eve', 'canary-eve-6633')), { loginName: 'eve' });
  assert.equal(await byPerson.authenticate(credentials('ada', 'canary-ada-4411')), null);

  const odd = authenticator(t, { groupBase: GROUPS, groupFilter: '(&(cn=choir)(member={dn}))' });
  assert.deepEqual(await odd.authenticate(credentials(ODD_NAME, 'canary-odd')), { loginName: ODD_NAME });
});

test('a service account that is refused makes 503, and is not tried again at once, so that it is not locked', { skip }, async (t) => {
  const ldap = authenticator(t, { bindPassword: 'canary-wrong-service' });
  await slapd.operations();
  for (let i = 0; i < 3; i++) await assert.rejects(ldap.authenticate(credentials('ada', 'canary-ada-4411')), isUnavailable(/refuses the service account: result code 49/));
  assert.deepEqual(await slapd.operations(), [{ kind: 'BIND', what: SERVICE.dn }]);
});

test('a place that is not there makes 503, and not "wrong password" for everybody', { skip }, async (t) => {
  const ldap = authenticator(t, { searchBase: 'ou=typo,dc=example,dc=org' });
  await assert.rejects(ldap.authenticate(credentials('ada', 'canary-ada-4411')), isUnavailable(/result code 32/));
});

test('a filter that the directory does not understand makes 503', { skip }, async (t) => {
  const ldap = authenticator(t, { userFilter: '(&(uid={name})(!))' });
  await assert.rejects(ldap.authenticate(credentials('ada', 'canary-ada-4411')), isUnavailable());
});

test('many logins at once are queued, and all answered', { skip }, async (t) => {
  const ldap = authenticator(t);
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => ldap.authenticate(credentials('ada', i % 2 === 0 ? 'canary-ada-4411' : 'wrong'))));
  assert.deepEqual(answers.map((answer) => answer?.loginName), Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 'Ada' : undefined)));
});

if (skip === false) {
  authenticatorSuite({
    name: 'ldapAuthenticator, by a service account',
    async make() {
      await slapd.restart();
      return {
        authenticator: authenticator({ after: () => {} } as never),
        right: credentials('Ada', 'canary-ada-4411'),
        unknownUsername: 'nobody',
        breakDown: () => slapd.stop(),
      };
    },
  });
}
