/** App passwords through the whole server: with whatever authenticator, limits, and host keys kept elsewhere. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';
import { openBuiltInAuth, type BuiltInAuth } from '../../lib/auth/built-in.ts';
import { readSyncUsers } from '../../lib/auth/env-users.ts';
import type { HostKeys } from '../../lib/auth/host-keys.ts';
import { jsonUsersAuthenticator } from '../../lib/auth/json-users.ts';
import type { SyncServerOptions } from '../../lib/options.ts';
import { RawClient } from '../client/raw.ts';
import { PASSWORD, runningServer, type RunningServer } from './running-server.ts';
import { until } from './until.ts';

/** The data folder's own side, as the account page and the command line have it. */
async function beside<T>({ base }: RunningServer, body: (auth: BuiltInAuth) => Promise<T>): Promise<T> {
  const auth = await openBuiltInAuth(base);
  try {
    return await body(auth);
  } finally {
    await auth.close();
  }
}

async function newAppPassword(server: RunningServer, name: string): Promise<{ id: string; userId: string; password: string }> {
  return beside(server, async (auth) => {
    const user = await auth.directory.userFor(name);
    return { userId: user.id, ...(await auth.appPasswords.create(user.id, { name: 'phone' })) };
  });
}

const login = async (server: RunningServer, u: string, p: string): Promise<number> => (await new RawClient(server.url).post('hostKey', { u, p })).status;
const meta = async (client: RawClient): Promise<number> => (await client.post('meta', { v: 11, cv: 'test' })).status;

async function signedIn(server: RunningServer, name: string, password: string): Promise<RawClient> {
  const client = new RawClient(server.url, { sessionKey: 's' });
  await client.hostKey(name, password);
  return client;
}

test('they sign in the users of any authenticator', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-app-passwords-'));
  const file = join(folder, 'users.json');
  writeFileSync(file, JSON.stringify({ ann: 'own' }));
  const kinds: [string, SyncServerOptions][] = [
    ['a function', { authenticator: ({ password }) => password === 'own' }],
    ['users of the data folder', { authenticator: 'local' }],
    ['users of the environment', { authenticator: 'local', environmentUsers: readSyncUsers({ SYNC_USER1: 'ann:own' }).users }],
    ['a JSON file', { authenticator: jsonUsersAuthenticator({ file, dangerouslyAllowPlainPasswords: true }) }],
    ['a chain', { authenticator: ['local', () => false] }],
  ];
  try {
    for (const [kind, options] of kinds) {
      await using server = await runningServer(options);
      const { password, userId, id } = await newAppPassword(server, 'ann');
      const phone = await signedIn(server, 'Ann', password);
      assert.equal(await meta(phone), 200, kind);
      assert.equal(await login(server, 'bob', password), 403, kind);
      await beside(server, (auth) => auth.appPasswords.revoke(userId, id));
      assert.deepEqual([await meta(phone), await login(server, 'ann', password)], [403, 403], kind);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('they are taken away by an option', async () => {
  await using server = await runningServer({ appPasswords: false });
  const { password } = await newAppPassword(server, 'ann');
  assert.equal(await login(server, 'ann', password), 403);
  assert.equal(await login(server, 'ann', PASSWORD), 200);
});

test('whoever is gone from the file of users is out, app passwords and all, and stays out when the name comes back with another password', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-app-passwords-'));
  const file = join(folder, 'users.json');
  const write = (users: object): void => writeFileSync(file, JSON.stringify(users));
  write({ ann: 'own', bob: 'own' });
  const server = await runningServer({ authenticator: jsonUsersAuthenticator({ file, dangerouslyAllowPlainPasswords: true }) });
  try {
    const { password } = await newAppPassword(server, 'ann');
    const phone = await signedIn(server, 'ann', password);
    write({ bob: 'own' });
    // each login looks at the file
    await login(server, 'bob', 'wrong');
    assert.deepEqual([await meta(phone), await login(server, 'ann', password)], [403, 403]);
    write({ ann: 'another', bob: 'own' });
    assert.deepEqual([await login(server, 'ann', 'another'), await login(server, 'ann', password), await meta(phone)], [200, 403, 403]);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

for (const [passwordChangeEnds, devices] of [['all', [403, 403]], ['own', [403, 200]]] as const) {
  test(`with passwordChangeEnds ${passwordChangeEnds}, another password in the environment or a file ends ${passwordChangeEnds === 'all' ? 'app passwords too' : 'its own keys alone'}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'anki-sync-app-passwords-'));
    const file = join(folder, 'users.json');
    const kinds: ((password: string) => SyncServerOptions)[] = [
      (password) => ({ authenticator: 'local', environmentUsers: readSyncUsers({ SYNC_USER1: `ann:${password}` }).users }),
      (password) => {
        writeFileSync(file, JSON.stringify({ ann: password }));
        return { authenticator: jsonUsersAuthenticator({ file, dangerouslyAllowPlainPasswords: true }) };
      },
    ];
    try {
      for (const [index, kind] of kinds.entries()) {
        const base = join(folder, `data${index}`);
        const first = await runningServer({ base, passwordChangeEnds, ...kind('one') });
        const { password } = await newAppPassword(first, 'ann');
        const [own, phone] = [await signedIn(first, 'ann', 'one'), await signedIn(first, 'ann', password)];
        await first.stop();
        const second = await runningServer({ base, passwordChangeEnds, ...kind('two') });
        const again = [own, phone].map(({ key }) => new RawClient(second.url, { key, sessionKey: 's' }));
        assert.deepEqual([await meta(again[0]!), await meta(again[1]!)], devices);
        assert.equal(await login(second, 'ann', password), devices[1]);
        await second.stop();
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** Keys in memory, as a plug that knows nothing of what happens to users. */
function keysInMemory(): HostKeys {
  const kept = new Map<string, Awaited<ReturnType<HostKeys['list']>>[number] & { userId: string; loginName: string; folder: string }>();
  const hostKeys: HostKeys = {
    async issue({ id: userId, loginName, folder }, device) {
      const key = `elsewhere-${kept.size}-0000000000000000000000000000`;
      kept.set(key, { userId, loginName, folder, keyId: key.slice(0, 12), issuedSecs: 0, ...device });
      return key;
    },
    resolve(key) {
      const found = kept.get(key);
      return found === undefined ? null : { id: found.userId, loginName: found.loginName, folder: found.folder };
    },
    async revoke(userId, keyId) {
      const ended = [...kept].filter(([, each]) => each.userId === userId && (keyId === undefined || each.keyId === keyId));
      for (const [key] of ended) kept.delete(key);
      return ended.length;
    },
    list: async (userId) => [...kept.values()].filter((each) => each.userId === userId),
  };
  return hostKeys;
}

test('a user who is disabled or removed is refused with host keys that are kept elsewhere too, and a new password ends them', async () => {
  const hostKeys = keysInMemory();
  await using server = await runningServer({ hostKeys });
  const desktop = await signedIn(server, 'ann', PASSWORD);
  const auth = await openBuiltInAuth(server.base, { keysElsewhere: hostKeys });
  try {
    const seen = [await meta(desktop)];
    await auth.users.disable('ann');
    seen.push(await meta(desktop));
    await auth.users.enable('ann');
    seen.push(await meta(desktop));
    await auth.users.setPassword('ann', PASSWORD);
    seen.push(await meta(desktop));
    const again = await signedIn(server, 'ann', PASSWORD);
    seen.push(await meta(again));
    await auth.users.remove('ann');
    seen.push(await meta(again));
    assert.deepEqual(seen, [200, 403, 200, 403, 200, 403]);
  } finally {
    await auth.close();
  }
});

test('host keys that are kept elsewhere end with their app password too', async () => {
  const hostKeys = keysInMemory();
  await using server = await runningServer({ hostKeys });
  const { password, id, userId } = await newAppPassword(server, 'ann');
  const [phone, desktop] = [await signedIn(server, 'ann', password), await signedIn(server, 'ann', PASSWORD)];
  const auth = await openBuiltInAuth(server.base, { keysElsewhere: hostKeys });
  assert.equal(await auth.appPasswords.revoke(userId, id), true);
  await auth.close();
  assert.deepEqual([await meta(phone), await meta(desktop)], [403, 200]);
});

for (const [passwordChangeEnds, phoneGoesOn] of [['all', 403], ['own', 200]] as const) {
  test(`host keys that are kept elsewhere end when the environment has another password, with passwordChangeEnds "${passwordChangeEnds}"`, async () => {
    const hostKeys = keysInMemory();
    const base = mkdtempSync(join(tmpdir(), 'anki-sync-elsewhere-'));
    const start = (password: string, ...others: string[]): Promise<RunningServer> => runningServer({
      base, hostKeys, passwordChangeEnds, authenticator: 'local',
      environmentUsers: readSyncUsers(Object.fromEntries([`ann:${password}`, ...others].map((value, index) => [`SYNC_USER${index + 1}`, value]))).users,
    });
    try {
      const first = await start('one', 'bob:one');
      const { password } = await newAppPassword(first, 'ann');
      const [desktop, phone] = [await signedIn(first, 'ann', 'one'), await signedIn(first, 'ann', password)];
      const bob = await signedIn(first, 'bob', 'one');
      await first.stop();
      const statuses = async (server: RunningServer): Promise<number[]> => Promise.all(
        [desktop, phone, bob].map(({ key }) => meta(new RawClient(server.url, { key, sessionKey: 's' }))));
      const same = await start('one', 'bob:one');
      assert.deepEqual(await statuses(same), [200, 200, 200]);
      await same.stop();
      const changed = await start('two', 'bob:one');
      assert.deepEqual(await statuses(changed), [403, phoneGoesOn, 200]);
      assert.ok(changed.log.some(({ event, user }) => event === 'keys.revoked' && user === 'ann'));
      await changed.stop();
      const back = await start('one');
      assert.deepEqual((await statuses(back)).filter((_, index) => index !== 1), [403, 403], 'nothing wakes again, and who is taken out is out');
      await back.stop();
    } finally {
      rmSync(base, { recursive: true, force: true });
    }
  });
}

test('signing out all devices ends the official server\'s key too, where ours are kept elsewhere', async () => {
  const hostKeys = keysInMemory();
  await using server = await runningServer({ hostKeys, authenticator: 'local', environmentUsers: readSyncUsers({ SYNC_USER1: 'ann:one' }).users });
  const official = new RawClient(server.url, { key: hash('sha1', 'ann:one'), sessionKey: 's' });
  assert.equal(await meta(official), 200);
  const auth = await openBuiltInAuth(server.base, { keysElsewhere: hostKeys, environment: readSyncUsers({ SYNC_USER1: 'ann:one' }).users });
  await auth.hostKeys.revoke((await auth.directory.userFor('ann')).id);
  await auth.close();
  assert.equal(await meta(official), 403);
});

test('a device that is signed out while it holds back the body of a request changes nothing any more', async () => {
  await using server = await runningServer();
  const phone = await signedIn(server, 'ann', PASSWORD);
  const packed = zstdCompressSync(JSON.stringify({ minUsn: 0, lnewer: true }));
  let reached = (): void => {};
  const begun = new Promise<void>((resolve) => (reached = resolve));
  let letGo = (): void => {};
  const held = new Promise<void>((resolve) => (letGo = resolve));
  async function* heldBack(): AsyncGenerator<Uint8Array> {
    yield packed.subarray(0, 4);
    reached();
    await held;
    yield packed.subarray(4);
  }
  const headers = { 'anki-sync': JSON.stringify({ v: 11, k: phone.key, c: 'test', s: 'session1' }), 'content-length': String(packed.length) };
  const start = server.server.handle({ method: 'POST', url: '/sync/start', headers, body: heldBack() });
  await begun;
  await beside(server, async (auth) => void await auth.hostKeys.revoke((await auth.directory.userFor('ann')).id));
  // what comes within a second is taken for what was on its way
  await sleep(1100);
  letGo();
  assert.equal((await start).status, 403);
});

test('guessing app passwords is limited like guessing any, and a directory that is down is no guess', async () => {
  await using server = await runningServer({
    loginLimits: { perUserAndAddress: 2 },
    authenticator: ({ password }) => {
      if (password === 'down') throw new Error('the directory is down');
      return password === PASSWORD;
    },
  });
  const { password, userId, id } = await newAppPassword(server, 'ann');
  await beside(server, (auth) => auth.appPasswords.revoke(userId, id));
  for (let i = 0; i < 5; i++) assert.equal(await login(server, 'ann', 'down'), 503);
  assert.equal(await login(server, 'ann', PASSWORD), 200);
  assert.deepEqual([await login(server, 'ann', password), await login(server, 'ann', password), await login(server, 'ann', PASSWORD)], [403, 403, 429]);
});

test('the log has each event of app passwords and devices', async () => {
  await using server = await runningServer();
  const { password, userId, id } = await newAppPassword(server, 'ann');
  await signedIn(server, 'ann', password);
  await beside(server, (auth) => auth.appPasswords.revoke(userId, id));
  const has = (event: string, detail: RegExp): boolean =>
    server.log.some((entry) => entry.event === event && entry.user === 'ann' && detail.test(entry.detail ?? ''));
  await until(() => has('keys.revoked', /^1 host key ended: their app password was revoked$/));
  assert.ok(has('app-password.created', /"phone"/));
  assert.ok(has('login.ok', new RegExp(`^with the app password ${id}$`)));
  assert.ok(has('app-password.revoked', /"phone"/));
});
