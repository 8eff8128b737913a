/** When a browser is signed in, and when not any more. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Sessions } from '../../lib/account/sessions.ts';
import { jsonUsersAuthenticator, readSyncUsers } from '../../lib/index.ts';
import { PasswordHasher } from '../../lib/auth/password-hash.ts';
import { CHEAP } from '../auth/cheap.ts';
import { accountServer, dataFolder, manage, notice, type Visitor } from './visitor.ts';

const ADA = { Ada: 'canary-ada-1' };

const isSignedIn = async (visitor: Visitor): Promise<boolean> => (await visitor.get('')).status === 200;

test('signing in gives another cookie: one that somebody planted before is worth nothing', async (t) => {
  const { visitor } = await accountServer(t, { users: ADA });
  const [ada, thief] = [visitor(), visitor()];
  await thief.get('/sign-in');
  ada.cookie = thief.cookie;
  assert.equal((await ada.signIn('ada', ADA.Ada)).status, 303);
  assert.notEqual(ada.cookie, thief.cookie);
  assert.deepEqual([await isSignedIn(ada), await isSignedIn(thief)], [true, false]);
});

test('signing in again ends the session before, and signing out ends this one alone', async (t) => {
  const { visitor } = await accountServer(t, { users: ADA });
  const [first, second] = [visitor(), visitor()];
  await first.signIn('ada', ADA.Ada);
  await second.signIn('ada', ADA.Ada);
  const stolen = first.cookie;
  assert.equal((await first.get('/sign-in')).to, '');
  await first.get('');
  assert.equal((await first.post('/sign-in', { user: 'ada', password: ADA.Ada })).status, 303);
  const thief = visitor();
  thief.cookie = stolen;
  assert.equal(await isSignedIn(thief), false);
  await first.get('');
  await first.post('/sign-out', {});
  assert.deepEqual([await isSignedIn(first), await isSignedIn(second)], [false, true]);
});

test('sessions outlive a restart, and are kept as hashes alone', async (t) => {
  const server = await accountServer(t, { users: ADA });
  const ada = server.visitor();
  await ada.signIn('ada', ADA.Ada);
  await server.stop();
  const token = ada.cookie.split('=')[1]!;
  for (const name of readdirSync(join(server.base, '.anki-sync')).filter((each) => each.startsWith('users.db'))) {
    assert.ok(!readFileSync(join(server.base, '.anki-sync', name)).includes(token), name);
  }
  const again = await accountServer(t, { base: server.base });
  const later = again.visitor();
  later.cookie = ada.cookie;
  assert.equal(await isSignedIn(later), true);
});

const ends: [string, (auth: Parameters<Parameters<typeof manage>[1]>[0]) => Promise<unknown>][] = [
  ['a new password', (auth) => auth.users.setPassword('ada', 'another')],
  ['a new password that keeps the devices', (auth) => auth.users.setPassword('ada', 'another', { keepKeys: true })],
  ['disabling the user', (auth) => auth.users.disable('ada')],
  ['disabling and enabling the user', async (auth) => (await auth.users.disable('ada'), auth.users.enable('ada'))],
  ['removing the user', (auth) => auth.users.remove('ada')],
  ['removing the user and adding another one of the name', async (auth) => (await auth.users.remove('ada'), auth.users.add('ada', 'another'))],
];
for (const [what, change] of ends) {
  test(`${what}, from another process, signs browsers out at once`, async (t) => {
    const { visitor, base } = await accountServer(t, { users: { ...ADA, bob: 'canary-bob-1' } });
    const [ada, bob] = [visitor(), visitor()];
    await ada.signIn('ada', ADA.Ada);
    await bob.signIn('bob', 'canary-bob-1');
    await manage(base, change);
    assert.deepEqual([await isSignedIn(ada), await isSignedIn(bob)], [false, true]);
    await ada.get('/sign-in');
  });
}

test('a session ends some time after the sign-in, and earlier without a visit', async (t) => {
  const base = await dataFolder(t);
  await manage(base, async ({ users, directory, database }) => {
    await users.add('ada', ADA.Ada);
    const user = await directory.userFor('ada');
    let nowSecs = 1_800_000_000;
    const sessions = new Sessions({ database, maxSecs: 1000, idleSecs: 300, basisOf: () => undefined, nowSecs: () => nowSecs });
    const idle = (await sessions.start(user, 'password', undefined))!;
    const used = (await sessions.start(user, 'password', undefined))!;
    for (let visits = 0; visits < 4; visits += 1) {
      nowSecs += 240;
      assert.equal((await sessions.find(used))?.user.loginName, 'ada', `visit ${visits}`);
      // that it was used is written down behind the visit
      await database.write('endPageSession', 'none');
    }
    assert.equal(await sessions.find(idle), undefined);
    nowSecs += 40;
    assert.equal(await sessions.find(used), undefined);
  });
});

test('a user has at most fifty sessions, and the oldest ends first', async (t) => {
  const base = await dataFolder(t);
  await manage(base, async ({ users, directory, database }) => {
    await users.add('ada', ADA.Ada);
    const user = await directory.userFor('ada');
    let nowSecs = 1_800_000_000;
    const sessions = new Sessions({ database, maxSecs: 1e6, idleSecs: 1e6, basisOf: () => undefined, nowSecs: () => nowSecs++ });
    const tokens: string[] = [];
    for (let number = 0; number < 51; number += 1) tokens.push((await sessions.start(user, 'password', undefined))!);
    assert.equal(await sessions.find(tokens[0]!), undefined);
    assert.ok(await sessions.find(tokens[1]!));
  });
});

test('the environment: with another password there, or taken out of it, browsers are signed out at the next start', async (t) => {
  const env = (values: Record<string, string>) => ({ environmentUsers: readSyncUsers(values).users });
  const server = await accountServer(t, { options: env({ SYNC_USER1: 'ada:canary-ada-1', SYNC_USER2: 'bob:canary-bob-1', SYNC_USER3: 'eve:canary-eve-1' }) });
  const [ada, bob, eve] = [server.visitor(), server.visitor(), server.visitor()];
  await ada.signIn('ada', 'canary-ada-1');
  await bob.signIn('bob', 'canary-bob-1');
  await eve.signIn('eve', 'canary-eve-1');
  assert.deepEqual([await isSignedIn(ada), await isSignedIn(bob), await isSignedIn(eve)], [true, true, true]);
  await server.stop();
  const again = await accountServer(t, { base: server.base, options: env({ SYNC_USER1: 'ada:canary-ada-2', SYNC_USER2: 'eve:canary-eve-1' }) });
  const later = await Promise.all([ada, bob, eve].map(async ({ cookie }) => {
    const visitor = again.visitor();
    visitor.cookie = cookie;
    return isSignedIn(visitor);
  }));
  assert.deepEqual(later, [false, false, true]);
});

test('a JSON file: another hash there signs browsers out', async (t) => {
  const folder = await dataFolder(t);
  const file = join(folder, 'users.json');
  const hasher = new PasswordHasher(CHEAP);
  writeFileSync(file, JSON.stringify({ ada: await hasher.hash('one'), bob: await hasher.hash('one') }));
  const authenticator = jsonUsersAuthenticator({ file });
  const { visitor } = await accountServer(t, { options: { authenticator } });
  const [ada, bob] = [visitor(), visitor()];
  await ada.signIn('ada', 'one');
  await bob.signIn('bob', 'one');
  assert.deepEqual([await isSignedIn(ada), await isSignedIn(bob)], [true, true]);
  const before = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
  writeFileSync(file, JSON.stringify({ ...before, ada: await hasher.hash('two') }));
  const deadline = performance.now() + 60_000;
  // the file is looked at when it is needed, about once a second
  while (await isSignedIn(ada)) assert.ok(performance.now() < deadline, 'the other hash was never seen');
  assert.equal(await isSignedIn(bob), true);
});

test('a directory that has no such user any more signs the browser and the devices out, and one that is down nobody', async (t) => {
  let answer: boolean | Error = new Error('down');
  let asked = 0;
  const authenticator = {
    authenticate: async ({ username, password }: { username: string; password: string }) => (password === 'right' ? { loginName: username } : null),
    stillAllowed: async () => {
      asked += 1;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    recheckMinutes: 1e-7,
  };
  const { visitor } = await accountServer(t, { options: { authenticator } });
  const ada = visitor();
  await ada.signIn('ada', 'right');
  while (asked < 2) assert.equal(await isSignedIn(ada), true);
  answer = false;
  const deadline = performance.now() + 60_000;
  while (await isSignedIn(ada)) assert.ok(performance.now() < deadline, 'the user was never signed out');
});

test('once nobody signs in by password any more, whoever did is signed out', async (t) => {
  const server = await accountServer(t, { users: ADA });
  const ada = server.visitor();
  await ada.signIn('ada', ADA.Ada);
  await server.stop();
  const isStillSignedIn = async (passwords: boolean): Promise<boolean> => {
    const again = await accountServer(t, { base: server.base, options: { account: { passwords } } });
    const visitor = again.visitor();
    visitor.cookie = ada.cookie;
    try {
      return await isSignedIn(visitor);
    } finally {
      await again.stop();
    }
  };
  assert.deepEqual([await isStillSignedIn(true), await isStillSignedIn(false), await isStillSignedIn(true)], [true, false, false]);
});

test('an app password opens no page, and the page says why', async (t) => {
  const { visitor, base } = await accountServer(t, { users: ADA });
  const { password } = await manage(base, async ({ appPasswords, directory }) => appPasswords.create((await directory.userFor('ada')).id, { name: 'phone' }));
  const answer = await visitor().signIn('ada', password);
  assert.equal(answer.status, 403);
  assert.match(notice(answer), /This is an app password: it signs in to Anki, and not to this page/);
});
