/** Options that the hall itself heeds, and how it starts and ends. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HostKeys } from '../../lib/auth/host-keys.ts';
import type { Credentials, User } from '../../lib/auth/authenticator.ts';
import { createSyncServer } from '../../lib/server.ts';
import { RawClient } from '../client/raw.ts';
import { Player } from '../collection/player.ts';
import { PASSWORD, runningServer } from './running-server.ts';

test('the page shows the address that the client came by, or the one that is configured, or is not there', async () => {
  await using plain = await runningServer();
  assert.ok((await new RawClient(plain.url).get('')).text().includes(`${plain.url}<`));
  await using configured = await runningServer({ publicUrl: 'https://example.org/anki' });
  assert.ok((await new RawClient(configured.url).get('')).text().includes('https://example.org/anki/<'));
  await using without = await runningServer({ landingPage: false });
  assert.equal((await new RawClient(without.url).get('')).status, 404);
  assert.equal((await new RawClient(without.url).get('health')).status, 200);
});

test('the address of a mounted server has its mount, and its scheme', async () => {
  await using server = await runningServer();
  const { body } = await server.server.handle({ method: 'GET', url: '/', mountPath: '/anki', scheme: 'https', headers: { host: 'example.org' }, body: null });
  assert.ok(Buffer.from(body as Uint8Array).includes('https://example.org/anki/<'));
});

test('host keys may be kept elsewhere, in an object whose answers are promises', async () => {
  const issued = new Map<string, User>();
  let closed = 0;
  const hostKeys: HostKeys = {
    async issue(user, device) {
      issued.set(`key of ${user.loginName} on ${device.client} at ${device.address}`, user);
      return [...issued.keys()].at(-1)!;
    },
    resolve: async (key) => issued.get(key) ?? null,
    revoke: async () => 0,
    list: async () => [],
    close: async () => void (closed += 1),
  };
  const server = await runningServer({ hostKeys });
  try {
    const client = new RawClient(server.url, { client: 'test', sessionKey: 's' });
    assert.match(await client.hostKey('ann', PASSWORD), /^key of ann on test at .*127\.0\.0\.1$/);
    assert.equal((await new Player(client).meta())['usn'], 0);
    assert.equal(await new Player(new RawClient(server.url, { key: 'another' })).status('meta', { v: 11, cv: '' }), 403);
  } finally {
    await server.stop();
  }
  assert.equal(closed, 1);
});

test('an authenticator gets name, password and address, says who it is by another name, and is closed with the server', async () => {
  let closed = 0;
  let got: Credentials | undefined;
  const server = await runningServer({
    authenticator: { authenticate: async (credentials) => ((got = credentials), { loginName: `${credentials.username}@example.org` }), close: async () => void (closed += 1) },
  });
  try {
    await new Player(await server.user('ann')).begin();
    assert.equal(server.log.at(-1)!.user, 'ann@example.org');
    const { clientAddress, ...typed } = got!;
    assert.deepEqual(typed, { username: 'ann', password: PASSWORD });
    assert.match(clientAddress!, /127\.0\.0\.1$/);
  } finally {
    await server.stop();
  }
  assert.equal(closed, 1);
});

test('what a crash left in the staging folder is gone after the next start', async () => {
  const base = await mkdtemp(join(tmpdir(), 'anki-sync-staging-'));
  try {
    const left = join(base, '.anki-sync', 'staging', 'upload-1.anki2');
    await mkdir(join(left, '..'), { recursive: true });
    await writeFile(left, 'half an upload');
    await using _ = await runningServer({ base });
    assert.equal(existsSync(left), false);
  } finally {
    await rm(base, { recursive: true, force: true });
  }
});

test('a start that fails leaves the data folder free for the next', async () => {
  const base = await mkdtemp(join(tmpdir(), 'anki-sync-start-'));
  try {
    await (await runningServer({ base, caseSensitive: true })).stop();
    await assert.rejects(runningServer({ base, caseSensitive: false }), { code: 'CASE_RULE_FIXED' });
    await (await runningServer({ base, caseSensitive: true })).stop();
  } finally {
    await rm(base, { recursive: true, force: true });
  }
});

test('a server may be closed twice, and before it is ready', async () => {
  const base = await mkdtemp(join(tmpdir(), 'anki-sync-close-'));
  try {
    const server = createSyncServer({ base });
    await Promise.all([server.close(), server.close()]);
    await (await runningServer({ base })).stop();
  } finally {
    await rm(base, { recursive: true, force: true });
  }
});
