/** The examples of docs/auth.md, as they stand there but for address, certificate and password, against a directory with such entries. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bindNameWith } from '../../../lib/auth/ldap/escaping.ts';
import type { LdapOptions } from '../../../lib/auth/ldap/settings.ts';
import { ldapSettings } from '../../../lib/cli/ldap-settings.ts';
import { ROOT } from '../../package/project-copy.ts';
import { credentials, directory } from './directory.ts';
import { BASE, GROUPS, SERVICE, base64 } from './slapd.ts';

const page = await readFile(join(ROOT, 'docs/auth.md'), 'utf8');
const folder = await mkdtemp(join(tmpdir(), 'anki-sync-ldap-examples-'));
after(() => rm(folder, { recursive: true, force: true }));

const LDAPSERVICE = `cn=ldapservice,ou=users,${BASE}`;

const { slapd, skip, authenticator } = await directory({
  global: [
    // what Active Directory and Authentik have, and the usual schemas do not
    'attributetype ( 1.3.6.1.4.1.99999.1 NAME \'sAMAccountName\' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )',
    'attributetype ( 1.3.6.1.4.1.99999.2 NAME \'userPrincipalName\' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )',
    'attributetype ( 1.3.6.1.4.1.99999.3 NAME \'userAccountControl\' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )',
    'attributetype ( 1.3.6.1.4.1.99999.4 NAME \'ak-active\' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )',
    'objectclass ( 1.3.6.1.4.1.99999.5 NAME \'user\' SUP top AUXILIARY MAY ( sAMAccountName $ userPrincipalName $ userAccountControl $ ak-active ) )',
  ],
  readers: [LDAPSERVICE],
  entries: [
    windowsPerson('Ada Lovelace', 'ada', 'lovelace@example.org', 512),
    windowsPerson('Lovelace Junior', 'lovelace', 'junior@example.org', 66048),
    windowsPerson('Bob Disabled', 'bob', 'bob@example.org', 514),
    windowsPerson('Eve Outside', 'eve', 'eve@example.org', 512),
    `dn: ou=users,${BASE}\nobjectClass: organizationalUnit\nou: users\n`,
    `dn: ${LDAPSERVICE}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: ldapservice\nuserPassword: ${SERVICE.password}\n`,
    authentikUser('ada', 'TRUE'),
    authentikUser('bob', 'FALSE'),
    authentikUser('eve', 'TRUE'),
  ].join('\n'),
});
if (skip === false) {
  const members = [...['Ada Lovelace', 'Lovelace Junior', 'Bob Disabled'].map((cn) => `cn=${cn},ou=Staff,${BASE}`), ...['ada', 'bob'].map((cn) => `cn=${cn},ou=users,${BASE}`)];
  await slapd.modify(`dn: cn=anki,${GROUPS}\nchangetype: add\nobjectClass: groupOfNames\ncn: anki\n${members.map((dn) => `member: ${dn}`).join('\n')}\n`);
  await writeFile(join(folder, 'ca.pem'), slapd.ca);
  await writeFile(join(folder, 'password'), `${SERVICE.password}\n`);
}

function windowsPerson(cn: string, short: string, long: string, control: number): string {
  const unit = short === 'ada' ? `dn: ou=Staff,${BASE}\nobjectClass: organizationalUnit\nou: Staff\n\n` : '';
  return `${unit}dn: cn=${cn},ou=Staff,${BASE}
objectClass: inetOrgPerson
objectClass: user
cn: ${cn}
sn: Person
sAMAccountName: ${short}
userPrincipalName: ${long}
userAccountControl: ${control}
userPassword:: ${base64(`canary-windows-${short}`)}
`;
}

function authentikUser(cn: string, active: string): string {
  return `dn: cn=${cn},ou=users,${BASE}
objectClass: inetOrgPerson
objectClass: user
cn: ${cn}
sn: Person
uid: ${Buffer.from(cn).toString('hex')}
ak-active: ${active}
userPassword:: ${base64(`canary-authentik-${cn}`)}
`;
}

/** The variables of the first block below a heading, with this directory in place of the one named there. */
function example(heading: string, changes: Record<string, string> = {}): object {
  const block = page.split(`### ${heading}\n`)[1]?.split('```sh\n')[1]?.split('```')[0] ?? '';
  const env: Record<string, string> = {};
  for (const [, name = '', quoted, plain = ''] of block.matchAll(/^(\w+)=(?:'(.*)'|(.*))$/gm)) env[name] = quoted ?? plain;
  assert.ok(Object.keys(env).length > 1, heading);
  const urls = env.LDAP_URL!.split(',');
  assert.ok(urls.every((url) => url.startsWith('ldaps://')));
  env.LDAP_URL = slapd.ldaps;
  env.LDAP_CA_FILE = join(folder, 'ca.pem');
  if (env.LDAP_BIND_PASSWORD_FILE !== undefined) env.LDAP_BIND_PASSWORD_FILE = join(folder, 'password');
  for (const [what, instead] of Object.entries(changes)) {
    assert.ok(Object.values(env).some((value) => value.includes(what)), what);
    for (const name of Object.keys(env)) env[name] = env[name]!.replaceAll(what, instead);
  }
  // what is not in the example is not in the options
  return { bindDn: undefined, bindPassword: undefined, searchBase: undefined, ...ldapSettings(new Map(), env) };
}

/** slapd knows no nested groups: the members are direct ones here, and the rule is tried for itself below. */
const directGroups = { ':1.2.840.113556.1.4.1941:=': '=' };

test('OpenLDAP', { skip }, async (t) => {
  const ldap = authenticator(t, example('OpenLDAP'));
  await ldap.check();
  assert.deepEqual(await ldap.authenticate(credentials('ada', 'canary-ada-4411')), { loginName: 'Ada' });
  assert.equal(await ldap.authenticate(credentials('eve', 'canary-eve-6633')), null);
  assert.deepEqual([await ldap.stillAllowed('Ada'), await ldap.stillAllowed('eve')], [true, false]);
});

test('OpenLDAP, without a service account', { skip }, async (t) => {
  const ldap = authenticator(t, example('OpenLDAP, without a service account'));
  await ldap.check();
  assert.deepEqual(await ldap.authenticate(credentials('ada', 'canary-ada-4411')), { loginName: 'Ada' });
  assert.equal(await ldap.authenticate(credentials('ada', 'canary-eve-6633')), null);
});

test('OpenLDAP: what the text says about other filters', { skip }, async (t) => {
  await slapd.modify(`dn: cn=unix,${GROUPS}\nchangetype: add\nobjectClass: posixGroup\ncn: unix\ngidNumber: 5000\nmemberUid: bob\n`);
  const [, twoNames = ''] = /LDAP_USER_FILTER='(\(\|\(uid=.*?)'/.exec(page) ?? [];
  const [, byName = ''] = /\(`posixGroup`\): `'(.*?)'`/.exec(page) ?? [];
  const ldap = authenticator(t, { ...example('OpenLDAP'), userFilter: twoNames, groupFilter: byName.replace('learners', 'unix') });
  assert.deepEqual(await ldap.authenticate(credentials('mail.bob@example.org', 'canary-bob-5522')), { loginName: 'bob' });
  assert.equal(await ldap.authenticate(credentials('ada', 'canary-ada-4411')), null);
});

test('Active Directory', { skip }, async (t) => {
  const ldap = authenticator(t, example('Active Directory', directGroups));
  await ldap.check();
  assert.deepEqual(await ldap.authenticate(credentials('ADA', 'canary-windows-ada')), { loginName: 'ada' });
  assert.equal(await ldap.authenticate(credentials('bob', 'canary-windows-bob')), null, 'disabled');
  assert.equal(await ldap.authenticate(credentials('eve', 'canary-windows-eve')), null, 'not in the group');
  assert.deepEqual(await Promise.all(['ada', 'bob', 'eve'].map((name) => ldap.stillAllowed(name))), [true, false, false]);
});

test('Active Directory: by the long name it is the same user', { skip }, async (t) => {
  const [, short = '', both = ''] = /replace\n`(.*?)` by `(.*?)`/.exec(page) ?? [];
  const ldap = authenticator(t, example('Active Directory', { ...directGroups, [short]: both }));
  for (const typed of ['ada', 'lovelace@example.org', 'Lovelace@EXAMPLE.org']) {
    assert.deepEqual(await ldap.authenticate(credentials(typed, 'canary-windows-ada')), { loginName: 'ada' });
  }
  assert.equal(await ldap.stillAllowed('ada'), true);
});

test('Active Directory: the condition on nested groups is understood as a filter, by a rule that only Active Directory knows', { skip }, async (t) => {
  const ldap = authenticator(t, example('Active Directory'));
  await slapd.operations();
  assert.equal(await ldap.authenticate(credentials('ada', 'canary-windows-ada')), null);
  const search = (await slapd.operations()).find(({ kind }) => kind === 'SRCH');
  assert.equal(search?.what, '(&(objectClass=user)(sAMAccountName=ada)(!(userAccountControl:1.2.840.113556.1.4.803:=2))(?=undefined))');
});

test('Active Directory, without a service account: the long name goes out as it is, and slapd takes it for no name at all', { skip }, async (t) => {
  const settings = example('Active Directory, without a service account');
  const ldap = authenticator(t, settings);
  await ldap.check();
  assert.equal(await ldap.authenticate(credentials('ada', 'canary-windows-ada')), null);
  assert.match(ldap.lines[0]?.detail ?? '', /result code 34/);
  assert.equal(bindNameWith((settings as LdapOptions).bindTemplate!, 'ada'), 'ada@example.org');
  // what comes after such a bind is tried in direct-bind.test.ts
});

test('Authentik', { skip }, async (t) => {
  const ldap = authenticator(t, example('Authentik'));
  await ldap.check();
  assert.deepEqual(await ldap.authenticate(credentials('Ada', 'canary-authentik-ada')), { loginName: 'ada' });
  assert.equal(await ldap.authenticate(credentials('bob', 'canary-authentik-bob')), null, 'not active');
  assert.equal(await ldap.authenticate(credentials('eve', 'canary-authentik-eve')), null, 'not in the group');
  assert.deepEqual(await Promise.all(['ada', 'bob', 'eve'].map((name) => ldap.stillAllowed(name))), [true, false, false]);
});
