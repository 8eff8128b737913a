/** What happens to the devices of somebody who left, of which a provider tells nobody. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import Database from 'better-sqlite3';
import { openBuiltInAuth, type BuiltInAuth } from '../../../lib/auth/built-in.ts';
import { restingHostKeys } from '../../../lib/auth/oidc/resting-host-keys.ts';
import { checkOidcOptions, type OidcOptions } from '../../../lib/auth/oidc/settings.ts';
import { sqliteOidcSubjects } from '../../../lib/auth/oidc/subjects.ts';
import { createSyncServer, type HostKeys, type User } from '../../../lib/index.ts';
import { dataFolder } from '../folder.ts';

const DAY_MILLIS = 86_400_000;
const OPTIONS: OidcOptions = { id: 'example', issuer: 'https://login.example.org', clientId: 'x' };

async function at(t: TestContext, reloginDays?: number): Promise<{ auth: BuiltInAuth; keys: HostKeys; clock: { millis: number }; signIn(): Promise<User> }> {
  const auth = await openBuiltInAuth(dataFolder());
  t.after(() => auth.close());
  const clock = { millis: Date.now() };
  const options = { ...OPTIONS, ...(reloginDays === undefined ? {} : { reloginDays }) };
  const subjects = sqliteOidcSubjects(auth.database, auth.authenticator, () => clock.millis);
  return {
    auth,
    clock,
    keys: restingHostKeys({ hostKeys: auth.hostKeys, providers: [options], database: auth.database, now: () => clock.millis }),
    signIn: () => subjects.userOf({ settings: checkOidcOptions([options])[0]!, subject: '1', loginName: 'ada' }),
  };
}

test('devices go on for as long as nobody ends them, unless reloginDays is set', async (t) => {
  const { auth, keys, clock, signIn } = await at(t);
  assert.equal(keys, auth.hostKeys);
  const key = await keys.issue(await signIn(), { client: 'anki' });
  clock.millis += 1000 * DAY_MILLIS;
  assert.equal((await keys.resolve(key))?.loginName, 'ada');
});

test('with it they rest that many days after the last sign-in, and wake with the next one', async (t) => {
  const { auth, keys, clock, signIn } = await at(t, 30);
  const key = await keys.issue(await signIn(), { client: 'anki' });
  clock.millis += 29 * DAY_MILLIS;
  assert.equal((await keys.resolve(key))?.loginName, 'ada');
  const user = await signIn();
  clock.millis += 29 * DAY_MILLIS;
  assert.equal((await keys.resolve(key))?.loginName, 'ada', 'counted from the last one');
  clock.millis += 2 * DAY_MILLIS;
  assert.equal(await keys.resolve(key), null);
  await assert.rejects(keys.issue(user, { client: 'anki' }), { code: 'PASSWORD_WRONG', detail: /reloginDays/ });
  await signIn();
  assert.equal((await keys.resolve(key))?.loginName, 'ada');
  assert.equal((await keys.list(user.id)).length, 1);
  assert.equal(await keys.revoke(user.id), 1);
  assert.equal((await auth.hostKeys.list(user.id)).length, 0);
});

test('users with a password here have no part in it', async (t) => {
  const { auth, keys, clock } = await at(t, 30);
  const { user } = await auth.users.add('bob', 'a password of his own');
  const key = await keys.issue(user, { client: 'anki' });
  clock.millis += 1000 * DAY_MILLIS;
  assert.equal((await keys.resolve(key))?.loginName, 'bob');
});

test('a server with reloginDays lets the app passwords of such a person rest, and nobody else\'s', async (t) => {
  const base = dataFolder();
  const server = createSyncServer({ base, account: true, threads: 1, oidc: [{ ...OPTIONS, reloginDays: 30 }] });
  t.after(() => server.close());
  await server.ready;
  // beside the running server, as the command line and a page do it
  const auth = await openBuiltInAuth(base);
  t.after(() => auth.close());
  const [settings] = checkOidcOptions([OPTIONS]);
  const subjects = sqliteOidcSubjects(auth.database, auth.authenticator);
  const ada = await subjects.userOf({ settings: settings!, subject: '1', loginName: 'ada' });
  const bob = await subjects.userOf({ settings: settings!, subject: '2', loginName: 'bob' });
  const passwords = { ada: (await auth.appPasswords.create(ada.id, { name: 'phone' })).password, bob: (await auth.appPasswords.create(bob.id, { name: 'phone' })).password };
  const login = async (u: 'ada' | 'bob'): Promise<{ status: number; key: string }> => {
    const header = JSON.stringify({ v: 11, k: '', c: '26.09.3,raw,test', s: '' });
    const body = zstdCompressSync(JSON.stringify({ u, p: passwords[u] }));
    const response = await server.handle({ method: 'POST', url: '/sync/hostKey', headers: { 'anki-sync': header }, body: Readable.from([body]) });
    const bytes = await buffer(response.body instanceof Uint8Array ? Readable.from([response.body]) : response.body);
    return { status: response.status, key: response.status === 200 ? (JSON.parse(String(zstdDecompressSync(bytes))) as { key: string }).key : '' };
  };
  const meta = async (key: string): Promise<number> => {
    const header = JSON.stringify({ v: 11, k: key, c: '26.09.3,raw,test', s: '' });
    const body = zstdCompressSync(JSON.stringify({ v: 11, cv: '26.09.3,raw,test' }));
    return (await server.handle({ method: 'POST', url: '/sync/meta', headers: { 'anki-sync': header }, body: Readable.from([body]) })).status;
  };
  const keys = [(await login('ada')).key, (await login('bob')).key];
  assert.deepEqual(await Promise.all(keys.map(meta)), [200, 200]);

  const db = new Database(join(base, '.anki-sync/users.db'));
  db.prepare('UPDATE oidc_subjects SET signed_in_secs = signed_in_secs - 31 * 86400 WHERE user_id = ?').run(ada.id);
  db.close();
  assert.deepEqual(await Promise.all(keys.map(meta)), [403, 200]);
  assert.deepEqual([(await login('ada')).status, (await login('bob')).status], [403, 200]);
  await subjects.userOf({ settings: settings!, subject: '1', loginName: 'ada' });
  assert.deepEqual(await Promise.all(keys.map(meta)), [200, 200]);
  assert.equal((await login('ada')).status, 200);
});
