/** What the official server makes of requests that come through a gateway, where real clients of today do not show it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { expressSync } from '../../adapters/express/index.ts';
import { createGateway, readSyncUsers, type SyncServer } from '../../lib/index.ts';
import { RawClient } from '../client/raw.ts';
import { startOfficialServer, type OfficialServer } from '../oracle/official-server.ts';
import { contentType, pythonForm, PYTHON_BOUNDARY, REQWEST_BOUNDARY, rustForm } from '../protocol/forms.ts';

let official: OfficialServer;
let gateway: SyncServer;
let base: string;
let url: string;
const listener = createServer((req, res) => void expressSync(gateway)(req, res));

before(async () => {
  official = await startOfficialServer({ users: { kim: 'right' } });
  base = await mkdtemp(join(tmpdir(), 'anki-sync-gateway-'));
  const { users: environmentUsers } = readSyncUsers({ SYNC_USER1: 'kim:right' });
  gateway = createGateway({ base, environmentUsers, upstream: { url: official.url, users: { kim: 'right' } } });
  await gateway.ready;
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/`;
});

after(async () => {
  listener.closeAllConnections();
  listener.close();
  await gateway?.close();
  await official?.stop();
  await rm(base, { recursive: true, force: true });
});

test('a key that a client has from the official server holds at a gateway with the same users in its environment', async () => {
  const key = await new RawClient(official.url).hostKey('kim', 'right');
  const client = new RawClient(url, { key });
  assert.equal((await client.post('meta', { v: 11, cv: 'x' })).status, 200);
  assert.equal((await client.post('meta', { v: 11, cv: 'x' }, { key: `${key.slice(0, -1)}x` })).status, 403);
});

test('old clients sign in, ask and begin media syncs by forms, and by a query', async () => {
  const post = async (path: string, boundary: string, body: Buffer): Promise<any> => {
    const response = await fetch(`${url}${path}`, { method: 'POST', headers: { 'content-type': contentType(boundary) }, body: new Uint8Array(body) });
    assert.equal(response.status, 200, path);
    return response.json();
  };
  const packed = (value: object): Buffer => gzipSync(JSON.stringify(value));
  const { key } = (await post('sync/hostKey', REQWEST_BOUNDARY, rustForm(packed({ u: 'kim', p: 'right' }), { c: '1' }))) as { key: string };
  const asked = { v: 10, cv: 'ankidesktop,2.1.50,lin' };
  assert.equal((await post('sync/meta', REQWEST_BOUNDARY, rustForm(packed(asked), { c: '1', k: key, s: 'abcdefgh' }))).cont, true);
  assert.equal((await post('sync/meta', PYTHON_BOUNDARY, pythonForm({ c: '1', k: key, s: 'abcdefgh' }, packed(asked)))).cont, true);
  const query = await (await fetch(`${url}msync/begin?k=${key}&v=ankidesktop,2.1.50,lin`)).json();
  assert.deepEqual(query, { data: { usn: 0, sk: key }, err: '' });
  assert.deepEqual(await post('msync/begin', PYTHON_BOUNDARY, pythonForm({ c: '1', k: key, v: 'ankidroid,2.15,x' })), { data: { usn: 0, sk: key }, err: '' });
  const changes = await post('msync/mediaChanges', PYTHON_BOUNDARY, pythonForm({ c: '1', sk: key }, packed({ lastUsn: 0 })));
  assert.deepEqual(changes, { data: [], err: '' });
});

test('it answers many requests in a row and at once, with none lost', async () => {
  const client = new RawClient(url);
  await client.hostKey('kim', 'right');
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all([client.post('meta', { v: 11, cv: 'x' }), client.msync('begin', { v: 'x' }), client.msync('mediaChanges', { lastUsn: 0 })]);
    assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200]);
  }
});
