/** Whose a user is: the subject that came first, whatever anybody calls themselves later. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { openBuiltInAuth, type BuiltInAuth } from '../../../lib/auth/built-in.ts';
import { OidcError } from '../../../lib/auth/oidc/oidc.ts';
import { checkOidcOptions, type OidcOptions } from '../../../lib/auth/oidc/settings.ts';
import { sqliteOidcSubjects } from '../../../lib/auth/oidc/subjects.ts';
import type { Authenticator } from '../../../lib/index.ts';
import { CHEAP } from '../cheap.ts';
import { dataFolder } from '../folder.ts';
import { RealProvider } from './provider.ts';
import { failure, options, page, REDIRECT_URI, signIn } from './sign-in.ts';

let real: RealProvider;
let other: RealProvider;
before(async () => {
  real = await RealProvider.start([REDIRECT_URI]);
  other = await RealProvider.start([REDIRECT_URI]);
});
after(async () => {
  await real.close();
  await other.close();
});

async function opened(t: TestContext, base = dataFolder()): Promise<BuiltInAuth> {
  const auth = await openBuiltInAuth(base, { passwords: CHEAP });
  t.after(() => auth.close());
  return auth;
}

const provider = (more: Partial<OidcOptions> = {}) => checkOidcOptions([{ id: 'example', issuer: 'https://login.example.org', clientId: 'x', ...more }])[0]!;

test('another person of the same provider who takes the name is refused, and told why', async (t) => {
  const at = await page(t, options(real));
  const ada = await signIn(at, 'ada');
  const error = await failure(signIn(at, 'eve'), 'name-taken', real.secrets);
  assert.match(error.message, /"ada" belongs to another account here/);
  assert.match(error.detail, /bound to another account of a provider.*anki-sync user link NAME/);
  assert.equal((await signIn(at, 'ada')).user.id, ada.user.id);
});

test('so is the same name from another provider, also where existing users may be linked to that one\'s own people', async (t) => {
  const first = await page(t, options(real));
  const ada = await signIn(first, 'ada');
  const second = await page(t, options(other, { id: 'other' }), first.auth);
  await failure(signIn(second, 'ada'), 'name-taken', []);
  const trusting = await page(t, options(other, { id: 'other', linkExistingUsers: true }), first.auth);
  assert.equal((await signIn(trusting, 'ada')).user.id, ada.user.id, 'two providers that give names to the same people');
  await failure(signIn(trusting, 'eve'), 'name-taken', []);
  assert.equal((await signIn(first, 'ada')).user.id, ada.user.id);
});

test('whoever is renamed at the provider keeps the user, and the old name is still taken', async (t) => {
  const auth = await opened(t);
  const subjects = sqliteOidcSubjects(auth.database, auth.authenticator);
  const ada = await subjects.userOf({ settings: provider(), subject: '1', loginName: 'ada' });
  assert.deepEqual(await subjects.userOf({ settings: provider(), subject: '1', loginName: 'ada.lovelace' }), ada);
  await assert.rejects(subjects.userOf({ settings: provider(), subject: '2', loginName: 'ada' }), { reason: 'name-taken' });
  assert.equal((await subjects.userOf({ settings: provider(), subject: '2', loginName: 'ada.lovelace' })).loginName, 'ada.lovelace');
});

test('the same subject at another issuer is another person', async (t) => {
  const auth = await opened(t);
  const subjects = sqliteOidcSubjects(auth.database, auth.authenticator);
  await subjects.userOf({ settings: provider(), subject: '1', loginName: 'ada' });
  const elsewhere = provider({ issuer: 'https://evil.example' });
  await assert.rejects(subjects.userOf({ settings: elsewhere, subject: '1', loginName: 'ada' }), { reason: 'name-taken' });
  assert.equal((await subjects.userOf({ settings: elsewhere, subject: '1', loginName: 'mallory' })).loginName, 'mallory');
});

test('spellings of one name are one name', async (t) => {
  const auth = await opened(t);
  const subjects = sqliteOidcSubjects(auth.database, auth.authenticator);
  await subjects.userOf({ settings: provider(), subject: '1', loginName: 'zo\u00eb' });
  for (const loginName of ['ZOE\u0308', 'Zo\u00eb']) {
    await assert.rejects(subjects.userOf({ settings: provider(), subject: '2', loginName: loginName.normalize('NFC') }), { reason: 'name-taken' });
  }
});

test('a user with a password here is not taken over, unless that is wanted', async (t) => {
  const auth = await opened(t);
  const { user } = await auth.users.add('ada', 'a password of her own');
  await failure(signIn(await page(t, options(real), auth), 'ada'), 'name-taken', []);
  const linking = await page(t, options(real, { linkExistingUsers: true }), auth);
  const linked = await signIn(linking, 'ada');
  assert.equal(linked.user.id, user.id);
  assert.equal(linked.user.provider, undefined, 'whoever else knows the user goes on deciding about keys');
  await failure(signIn(linking, 'eve'), 'name-taken', []);
});

test('nor is one whom a file of users knows, before that user ever signed in', async (t) => {
  const auth = await opened(t);
  const others: Authenticator = { authenticate: async () => null, decides: ({ username }) => username === 'ada' };
  const subjects = sqliteOidcSubjects(auth.database, others);
  await assert.rejects(subjects.userOf({ settings: provider(), subject: '1', loginName: 'ada' }), { reason: 'name-taken' });
  assert.equal((await subjects.userOf({ settings: provider(), subject: '2', loginName: 'bob' })).loginName, 'bob');
});

test('nor is one whom a directory knows; one that does not answer keeps nobody out', async (t) => {
  const auth = await opened(t);
  let answers: boolean | Error = true;
  const asked: string[] = [];
  const directory: Authenticator = {
    authenticate: async () => null,
    recheckMinutes: 60,
    stillAllowed: async (loginName) => {
      asked.push(loginName);
      if (answers instanceof Error) throw answers;
      return answers;
    },
  };
  const subjects = sqliteOidcSubjects(auth.database, directory);
  await assert.rejects(subjects.userOf({ settings: provider(), subject: '1', loginName: 'ada' }), { reason: 'name-taken' });
  answers = false;
  await subjects.userOf({ settings: provider(), subject: '1', loginName: 'ada' });
  answers = new Error('down');
  await subjects.userOf({ settings: provider(), subject: '1', loginName: 'ada' });
  await subjects.userOf({ settings: provider(), subject: '2', loginName: 'bob' });
  assert.deepEqual(asked, ['ada', 'ada', 'bob'], 'and nobody is asked about users who are known');
});

test('nor a folder of that name whose user this data folder does not know (any more)', async (t) => {
  const base = dataFolder();
  mkdirSync(join(base, 'Ada'));
  const auth = await opened(t, base);
  const error = await failure(signIn(await page(t, options(real), auth), 'ada'), 'name-taken', []);
  assert.match(error.detail, /there is a folder of this name/);
  assert.deepEqual(await auth.directory.list(), []);
  assert.equal((await signIn(await page(t, options(real, { linkExistingUsers: true }), auth), 'ada')).user.folder, 'Ada');
});

test('a user who was removed stays out while the cards are there, and a disabled one stays disabled', async (t) => {
  const auth = await opened(t);
  const at = await page(t, options(real), auth);
  await signIn(at, 'ada');
  await auth.users.disable('ada');
  assert.match((await failure(signIn(at, 'ada'), 'refused', [])).message, /disabled/);
  await auth.users.enable('ada');
  const { user } = await signIn(at, 'ada');
  mkdirSync(join(auth.database.base, user.folder));
  await auth.users.remove('ada');
  await failure(signIn(at, 'ada'), 'name-taken', []);
});

test('user link: the next who comes by this name is the user, and then it is over', async (t) => {
  const auth = await opened(t);
  const at = await page(t, options(real), auth);
  const { user } = await signIn(at, 'ada');
  // the account at the provider was made anew, with another subject
  await auth.users.awaitSubject('ADA', Math.floor(Date.now() / 1000) + 600);
  assert.equal((await signIn(at, 'eve')).user.id, user.id);
  await failure(signIn(at, 'ada'), 'name-taken', []);
  assert.equal((await signIn(at, 'eve')).user.id, user.id);
});

test('two who come at once by a new name: one is the user, the other is refused', async (t) => {
  const auth = await opened(t);
  const subjects = sqliteOidcSubjects(auth.database, auth.authenticator);
  const coming = await Promise.allSettled(Array.from({ length: 8 }, (_, index) => subjects.userOf({ settings: provider(), subject: `${index}`, loginName: 'ada' })));
  assert.equal(coming.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const each of coming) if (each.status === 'rejected') assert.equal((each.reason as OidcError).reason, 'name-taken');
});

test('people in none of the groups, outside the domains, and without a name are refused before they are users', async (t) => {
  const auth = await opened(t);
  const cases: [Partial<OidcOptions>, string, RegExp][] = [
    [{ allowedGroups: ['learners'] }, 'bob', /none of the groups/],
    [{ allowedGroups: ['learners'] }, 'nobody', /may not sign in here/],
    [{ allowedDomains: ['example.org'] }, 'eve', /domain/],
    [{ allowedDomains: ['example.org'] }, 'bob', /no confirmed e-mail/],
    [{ requiredClaims: { department: 'languages' } }, 'ada', /may not sign in/],
    [{}, 'nobody', /no user name/],
  ];
  for (const [more, who, words] of cases) {
    const error = await failure(signIn(await page(t, options(real, more), auth), who), 'refused', real.secrets);
    assert.match(error.message, words);
  }
  assert.deepEqual(await auth.directory.list(), []);
  assert.equal((await signIn(await page(t, options(real, { groupsClaim: 'realm_access.roles', allowedGroups: ['learners'] }), auth), 'mail')).user.loginName, 'mail@example.org');
});
