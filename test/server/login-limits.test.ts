/** Guessing passwords at a running server: what clients are told, and what the log keeps for an audit. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSyncUsers } from '../../lib/auth/env-users.ts';
import type { Credentials } from '../../lib/auth/authenticator.ts';
import { AnkiDevices, ClientError } from '../client/devices.ts';
import { RawClient, type RawResponse } from '../client/raw.ts';
import { PASSWORD, runningServer, type RunningServer } from './running-server.ts';

const login = (server: RunningServer, u: string, p: string): Promise<RawResponse> => new RawClient(server.url).post('hostKey', { u, p });

async function statuses(count: number, server: RunningServer, user: string, password: string): Promise<number[]> {
  const found = [];
  for (let i = 0; i < count; i++) found.push((await login(server, user, password)).status);
  return found;
}

test('after ten wrong passwords, none is looked at for a while, and the answer says for how long', async () => {
  let looks = 0;
  await using server = await runningServer({ authenticator: ({ password }: Credentials) => (looks++, password === PASSWORD) });
  assert.deepEqual(await statuses(10, server, 'ann', 'wrong'), Array<number>(10).fill(403));
  for (const password of ['wrong', PASSWORD]) {
    const refused = await login(server, 'ann', password);
    assert.equal(refused.status, 429);
    assert.match(refused.text(), /^LOGIN_LIMITED: too many wrong passwords: try again in 15 minutes$/);
    const secs = Number(refused.headers['retry-after']);
    assert.ok(secs > 800 && secs <= 900, String(secs));
  }
  assert.equal(looks, 10);
  assert.equal((await login(server, 'bob', PASSWORD)).status, 200);
});

test('whoever is signed in goes on syncing meanwhile', async () => {
  await using server = await runningServer();
  const user = await server.user('ann');
  await statuses(11, server, 'ann', 'wrong');
  assert.equal((await login(server, 'ann', PASSWORD)).status, 429);
  assert.equal((await user.post('meta', { v: 11, cv: 'test' })).status, 200);
});

test('plain passwords of the environment cannot be guessed any faster', async () => {
  const { users } = readSyncUsers({ SYNC_USER1: 'ann:secret' });
  await using server = await runningServer({ environmentUsers: users, authenticator: undefined as never });
  const found = await Promise.all(Array.from({ length: 100 }, () => login(server, 'ann', 'wrong')));
  const count = (status: number): number => found.filter((each) => each.status === status).length;
  assert.deepEqual([count(403), count(429)], [10, 90]);
});

test('the limits are options, and can be switched off', async () => {
  await using strict = await runningServer({ loginLimits: { perUserAndAddress: 1, windowSecs: 120 } });
  assert.deepEqual(await statuses(2, strict, 'ann', 'wrong'), [403, 429]);
  await using none = await runningServer({ loginLimits: false });
  assert.deepEqual(await statuses(20, none, 'ann', 'wrong'), Array<number>(20).fill(403));
});

test('an application that checks passwords elsewhere is not asked for more than a few at a time by one address', async () => {
  let running = 0;
  let most = 0;
  await using server = await runningServer({
    authenticator: async () => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      running--;
      return true;
    },
    loginLimits: { parallel: 3 },
  });
  const found = await Promise.all(Array.from({ length: 40 }, (_, i) => login(server, `user${i}`, 'x')));
  assert.ok(found.every(({ status }) => status === 200));
  assert.ok(most >= 1 && most <= 3, String(most));
});

test('the log keeps each login with its event, and names nobody who is not there', async () => {
  await using server = await runningServer({
    loginLimits: { perUserAndAddress: 1 },
    authenticator: ({ password }: Credentials) => {
      if (password === 'down') throw new Error('the portal is down');
      return password === PASSWORD;
    },
  });
  await login(server, 'Ann', PASSWORD);
  await login(server, 'ann', 'wrong');
  await login(server, ' ANN', 'wrong');
  await login(server, 'my password by mistake', 'wrong');
  await login(server, 'bob', 'down');
  const events = server.log.filter(({ request }) => request === 'hostKey').map(({ event, user, code, level, address }) => [event, user, code, level, address !== undefined]);
  assert.deepEqual(events, [
    ['login.ok', 'Ann', undefined, 'info', true],
    ['login.refused', 'Ann', 'PASSWORD_WRONG', 'warn', true],
    ['login.limited', 'Ann', 'LOGIN_LIMITED', 'warn', true],
    ['login.refused', undefined, 'PASSWORD_WRONG', 'warn', true],
    ['login.unavailable', undefined, 'AUTH_UNAVAILABLE', 'error', true],
  ]);
});

test('Anki says that there were too many requests, and not that the password is wrong', async () => {
  await using server = await runningServer({ loginLimits: { perUserAndAddress: 1 } });
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-limits-'));
  const devices = await AnkiDevices.start();
  try {
    const device = await devices.device('a', folder);
    const refused = async (password: string): Promise<ClientError> => {
      const error: unknown = await device.login('ann', password, server.url).catch((each: unknown) => each);
      assert.ok(error instanceof ClientError);
      return error;
    };
    assert.equal((await refused('wrong')).kind, 'AUTH');
    const limited = await refused(PASSWORD);
    assert.match(limited.message, /429 Too Many Requests/);
    assert.notEqual(limited.kind, 'AUTH');
  } finally {
    await devices.end();
    rmSync(folder, { recursive: true, force: true });
  }
});
