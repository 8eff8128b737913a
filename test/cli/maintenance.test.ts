import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { AnkiDevices, ClientError } from '../client/devices.ts';
import { RawClient } from '../client/raw.ts';
import { card } from '../collection/objects.ts';
import { Player } from '../collection/player.ts';
import { ankiSync, startServer, temporaryFolder } from './command.ts';

const WORDS = 'We move to a new house. Try again at 10 o\'clock — <b>thank you</b>.';

test('maintenance: no sync begins, people read why, and what has begun ends', async (t) => {
  const base = await temporaryFolder(t);
  await ankiSync(['user', 'add', 'kim', '--base', base], { input: 'password' });
  const server = await startServer(t, ['--port', '0', '--base', base]);
  const client = new RawClient(server.url, { sessionKey: 'one' });
  await client.hostKey('kim', 'password');
  const player = new Player(client);
  await player.begin();
  await player.start();
  assert.equal((await ankiSync(['maintenance', 'status', '--base', base])).code, 1);

  const waiting = ankiSync(['maintenance', 'on', '--message', WORDS, '--wait', '--base', base]);
  await server.line(/^maintenance: no sync begins any more$/);
  const { cont, msg } = await player.other('two').meta();
  assert.deepEqual([cont, msg], [false, WORDS]);
  assert.deepEqual((await client.msync('begin', { v: 'test' })).json(), { data: null, err: WORDS });
  // `meta` of another device has no part in it: nothing of the running sync was rolled back
  await player.rows({ cards: [card({})] });
  await player.finish();
  assert.match((await waiting).stdout, /^on: no sync begins any more\n1 sync that had begun: still running\nnobody is syncing\n$/);
  assert.equal((await client.get('ready')).status, 200);
  assert.equal((await client.post('hostKey', { u: 'kim', p: 'password' }, { key: '' })).status, 200);
  await server.line(/ warn meta 200 .*code=MAINTENANCE/);
  assert.match((await ankiSync(['status', '--base', base])).stdout, /^maintenance: We move to a new house/m);

  assert.equal((await ankiSync(['maintenance', 'off', '--base', base])).stdout, 'off: syncs begin again\n');
  assert.equal((await player.meta()).cont, true);
});

test('it holds over restarts, and a real client shows the words', async (t) => {
  const base = await temporaryFolder(t);
  await ankiSync(['user', 'add', 'kim', '--base', base], { input: 'password' });
  assert.equal((await ankiSync(['maintenance', 'on', '--message', WORDS, '--base', base])).stdout, 'on from the next start; no server runs now\n');
  const server = await startServer(t, ['--port', '0', '--base', base]);
  await server.line(/^maintenance: no sync begins, until .*maintenance off$/);
  const devices = await AnkiDevices.start();
  t.after(() => devices.end());
  const device = await devices.device('a', join(await temporaryFolder(t), 'device'));
  await device.login('kim', 'password', server.url);
  await assert.rejects(device.sync(), (error) => error instanceof ClientError && error.message.includes('We move to a new house. Try again at 10 o\'clock'));
  await ankiSync(['maintenance', 'off', '--base', base]);
  assert.equal((await device.sync()).message, '');
});

test('what makes no sense is told', async (t) => {
  const base = await temporaryFolder(t);
  for (const [args, words] of [
    [[], /type maintenance on/], [['sleep'], /type maintenance on/], [['off', '--wait'], /belong to maintenance on/], [['on', '--message', ' '], /--message must have/],
  ] as [string[], RegExp][]) {
    const { code, stderr } = await ankiSync(['maintenance', ...args, '--base', base]);
    assert.deepEqual([code, words.test(stderr)], [2, true], stderr);
  }
});
