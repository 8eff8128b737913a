import assert from 'node:assert/strict';
import test from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { metaOf, untilSanityCheck } from '../engine/whole-sync.ts';
import { runningServer } from './running-server.ts';
import { until } from './until.ts';

const WORDS = 'The sync server is being restarted. Please sync again in a minute.';

test('a server that is about to end is not ready from that moment on, and healthy, while the sync that has begun goes on', async () => {
  await using server = await runningServer();
  const [ada, bob] = [await server.user('ada'), await server.user('bob')];
  await untilSanityCheck(ada);
  const finish = ada.open('sync/finish');
  const body = zstdCompressSync('{}');
  await finish.write(body.subarray(0, 5));
  await until(() => server.server.activity().requests.some(({ user }) => user === 'ada'));
  let hasEnded = false;
  const ended = server.server.letSyncsEnd(60_000).then(() => (hasEnded = true));
  const ready = await bob.get('ready');
  assert.deepEqual([ready.status, ready.text(), (await bob.get('health')).status], [503, 'not ready\n', 200]);
  const line = server.log.find(({ request }) => request === 'GET /ready')!;
  assert.deepEqual([line.level, line.detail], ['info', 'the server ends']);
  const { cont, msg } = (await metaOf(bob)) as { cont: boolean; msg: string };
  assert.deepEqual([cont, msg, hasEnded], [false, WORDS, false]);
  await finish.write(body.subarray(5));
  finish.end();
  assert.equal((await finish.response).status, 200);
  await ended;
  assert.equal((await bob.get('ready')).status, 503);
});

test('maintenance that is switched off meanwhile lets no sync begin; its words are shown before ours', async () => {
  await using server = await runningServer();
  const ada = await server.user('ada');
  const words = async (): Promise<string> => ((await metaOf(ada)) as { msg: string }).msg;
  server.server.maintenance('Back at nine.');
  await server.server.letSyncsEnd();
  assert.equal(await words(), 'Back at nine.');
  server.server.maintenance(undefined);
  assert.equal(await words(), WORDS);
});
