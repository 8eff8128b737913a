/** The bridge with the real core behind it, and with the real client in front. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import connect from 'connect';
import express from 'express';
// no types come under this name, and the two versions share what is used here
// @ts-expect-error
import express4Untyped from 'express4';
import { expressSync } from '../../adapters/express/index.ts';
import { createSyncServer, type LogEntry, type SyncServer, type SyncServerOptions } from '../../lib/index.ts';
import { AnkiDevices } from '../client/devices.ts';
import { RawClient } from '../client/raw.ts';

interface Mounted {
  sync: SyncServer;
  log: LogEntry[];
  origin: string;
}

async function mounted(t: TestContext, mount: (sync: SyncServer) => RequestListener, options: SyncServerOptions = {}): Promise<Mounted> {
  const base = await mkdtemp(join(tmpdir(), 'anki-sync-mounted-'));
  const log: LogEntry[] = [];
  const authenticator = async ({ password }: { password: string }) => password === 'right';
  const sync = createSyncServer({ base, authenticator, threads: 1, log: (entry) => log.push(entry), ...options });
  const listener = createServer(mount(sync)).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(async () => {
    listener.close();
    listener.closeAllConnections();
    await sync.close();
    await rm(base, { recursive: true, force: true });
  });
  return { sync, log, origin: `http://127.0.0.1:${(listener.address() as AddressInfo).port}` };
}

const mounts: [string, string, (sync: SyncServer) => RequestListener][] = [
  ['Express at a subpath', '/anki/', (sync) => express().use('/anki', expressSync(sync))],
  ['Express 4 at a subpath', '/anki/', (sync) => (express4Untyped as typeof express)().use('/anki', expressSync(sync))],
  ['Express at the root', '/', (sync) => express().use(expressSync(sync))],
  ['a Router', '/a/anki/', (sync) => express().use('/a', express.Router().use('/anki', expressSync(sync)))],
  ['connect', '/anki/', (sync) => connect().use('/anki', expressSync(sync)) as RequestListener],
  ['node:http', '/', (sync) => expressSync(sync)],
];
for (const [name, path, mount] of mounts) {
  test(`${name}: login and meta work, and the page shows the address to enter`, async (t) => {
    const { origin } = await mounted(t, mount);
    const client = new RawClient(`${origin}${path}`);
    await client.hostKey('kim', 'right');
    assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 200);
    assert.equal((await client.get('health')).status, 200);
    for (const typed of [path, path.slice(0, -1)]) {
      assert.ok((await client.get(typed || '/')).text().includes(`<code class="url">${origin}${path}</code>`));
    }
    // slashes that people mistype
    for (const typed of [`${path}/sync/meta`, `${path}sync/meta/`]) assert.equal((await client.send('POST', typed, { v: 11, cv: 'test' })).status, 200);
  });
}

test('beside other routes at the root, only what is ours is answered by us', async (t) => {
  const mount = (sync: SyncServer): RequestListener =>
    express().use(expressSync(sync)).get('/', (_req, res) => void res.send('home')).get('/elsewhere', (_req, res) => void res.send('elsewhere'));
  const { origin } = await mounted(t, mount, { landingPage: false });
  const client = new RawClient(origin);
  assert.equal((await client.get('')).text(), 'home');
  assert.equal((await client.get('elsewhere')).text(), 'elsewhere');
  assert.equal((await client.get('sync/meta')).status, 405);
  assert.equal((await client.post('noSuchMethod')).status, 400);
});

test('a body parser in front fails the request at once, and the log names it', async (t) => {
  const { origin, log } = await mounted(t, (sync) => express().use(express.raw({ type: () => true })).use('/anki', expressSync(sync)));
  const response = await new RawClient(`${origin}/anki/`).post('hostKey', { u: 'kim', p: 'right' });
  assert.deepEqual([response.status, response.text()], [500, 'BODY_ALREADY_READ']);
  assert.deepEqual([log.at(-1)?.level, log.at(-1)?.code], ['error', 'BODY_ALREADY_READ']);
  assert.match(log.at(-1)?.detail ?? '', /a body parser .*mount the sync server first/);
});

test('an upload of 20 MB with a key that no longer holds tells the real client so', async (t) => {
  const { origin, log } = await mounted(t, (sync) => express().use('/anki', expressSync(sync)));
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-device-'));
  const devices = await AnkiDevices.start();
  t.after(async () => {
    await devices.end();
    await rm(folder, { recursive: true, force: true });
  });
  const device = await devices.device('a', join(folder, 'a'));
  await device.login('kim', 'right', `${origin}/anki/`);
  // 20 MB that hardly pack
  const fields = Array.from({ length: 10 }, () => Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString('base64')).join('');
  for (let notes = 0; notes < 25; notes++) await device.do('add_notes', { count: 1, fields: [`${notes}`, fields] });
  await device.do('set_key', { key: 'one that no longer holds', endpoint: `${origin}/anki/` });
  for (let again = 0; again < 3; again++) await assert.rejects(device.upload(), { kind: 'AUTH' });
  assert.deepEqual(log.filter((entry) => entry.request === 'upload').map((entry) => entry.code), ['HOST_KEY_UNKNOWN', 'HOST_KEY_UNKNOWN', 'HOST_KEY_UNKNOWN']);
});
