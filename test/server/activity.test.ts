/** What a finished sync moved, what happens now, and whether a sync would go well. */
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import type { LogEntry } from '../../lib/options.ts';
import { diskTrouble } from '../../lib/storage/files/readiness.ts';
import { RawClient } from '../client/raw.ts';
import { card, note, review } from '../collection/objects.ts';
import { Player } from '../collection/player.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { someCollection } from './collection-bytes.ts';
import { runningServer, type RunningServer } from './running-server.ts';
import { until } from './until.ts';

const finished = ({ log }: RunningServer): LogEntry[] => log.filter(({ event }) => event === 'sync.done');

test('a finished sync is one line more, behind its last request: what moved, by whom, how long', async () => {
  await using server = await runningServer();
  const first = new Player(await server.user('ann'));
  await first.begin();
  const done = finished(server).length;
  await first.start({ minUsn: 5, graves: { cards: [1], notes: [2, 3], decks: [] } });
  await first.changes({ tags: ['a', 'b'] });
  await first.rows({ cards: [card({})], notes: [note({})], revlog: [review({})] });
  await first.finish();
  assert.equal(server.log.at(-2)!.request, 'finish');
  const line = finished(server)[done]!;
  assert.deepEqual([line.request, line.user, line.status, line.sync!.kind], ['sync', 'ann', 200, 'normal']);
  assert.equal(line.sync!.up.objects, 3 + 2 + 3);
  assert.ok(line.sync!.up.bytes > 100 && line.ms > 0);
  assert.equal(line.sync!.down.objects, 0);
});

test('what goes to a client is counted as it goes', async () => {
  await using server = await runningServer();
  const first = new Player(await server.user('ann'));
  await first.begin();
  const second = first.other('second');
  await second.start();
  const { models, decks, tags } = await second.changes() as { models: unknown[]; decks: unknown[][]; tags: unknown[] };
  const { cards, notes, revlog } = await second.chunks();
  await second.finish();
  const expected = models.length + decks.flat().length + tags.length + cards.length + notes.length + revlog.length;
  assert.ok(expected >= 3);
  assert.equal(finished(server).at(-1)!.sync!.down.objects, expected);
});

test('one-way syncs and media have a line each, with bytes and files', async () => {
  await using server = await runningServer();
  const user = await server.user('ann');
  const bytes = await someCollection(user);
  await until(() => finished(server).some(({ sync }) => sync!.kind === 'download'));
  assert.equal((await user.post('upload', bytes)).text(), 'OK');
  await user.msync('begin', { v: 'test' });
  await user.msync('uploadChanges', uploadZip([['a.png', 'aaa'], ['b.png', 'bb']]));
  await user.msync('downloadFiles', { files: ['a.png'] });
  await user.msync('mediaSanity', { local: 2 });
  const [download, upload, media] = ['download', 'upload', 'media'].map((kind) => finished(server).find(({ sync }) => sync!.kind === kind)!);
  assert.equal(download!.sync!.down.bytes, bytes.length);
  assert.equal(upload!.sync!.up.bytes, bytes.length);
  assert.deepEqual([media!.sync!.up.objects, media!.sync!.down.objects], [2, 1]);
});

test('no line for an upload that is refused, a sanity check that fails, or a sync that another one took over', async () => {
  await using server = await runningServer();
  const user = new Player(await server.user('ann'));
  await user.begin();
  const done = finished(server).length;
  await user.client.post('upload', Buffer.from('garbage'));
  await user.start();
  await user.ask('sanityCheck2', { client: [[9, 9, 9], 9, 9, 9, 9, 9, 9, 9] });
  assert.deepEqual(server.log.filter(({ event }) => event === 'sanity.bad').map(({ level }) => level), ['warn']);
  assert.equal(await user.status('finish'), 409);
  await user.start();
  const other = user.other('other');
  await other.start();
  assert.equal(await user.status('finish'), 409);
  assert.deepEqual([finished(server).length - done, server.server.activity().syncs.length], [0, 1]);
});

test('what happens now: requests, syncs that have begun, open collections', async () => {
  await using server = await runningServer();
  const user = new Player(await server.user('ann'));
  assert.deepEqual(server.server.activity(), { requests: [], syncs: [], openCollections: 0, threads: 0, queues: { users: 0, logins: 0, uploads: 0 } });
  await user.begin();
  await user.start();
  await user.rows({ cards: [card({})] });
  const waiting = user.client.open('sync/chunk');
  waiting.request.on('error', () => {});
  await waiting.write(Buffer.from([0x28, 0xb5]));
  await until(() => server.server.activity().requests.length === 1);
  const { requests, syncs, openCollections, threads } = server.server.activity();
  assert.deepEqual([requests[0]!.request, requests[0]!.user, openCollections, threads], ['chunk', 'ann', 1, 1]);
  assert.deepEqual([syncs.length, syncs[0]!.user, syncs[0]!.kind, syncs[0]!.up.bytes > 20], [1, 'ann', 'normal', true]);
  waiting.destroy();
  await until(() => server.server.activity().requests.length === 0);
  await user.meta();
  assert.deepEqual(server.server.activity().syncs, []);
});

test('ready says yes while the data folder can be written, and not ready, without a reason, when it cannot', async () => {
  await using server = await runningServer();
  const user = await server.user('ann');
  const ready = await user.get('ready');
  assert.deepEqual([ready.status, ready.text()], [200, 'ready\n']);

  await using broken = await runningServer();
  const staging = join(broken.base, '.anki-sync', 'staging');
  await rm(staging, { recursive: true, force: true });
  await writeFile(staging, 'in the way');
  const client = new RawClient(broken.url);
  const answer = await client.get('ready');
  assert.deepEqual([answer.status, answer.text()], [503, 'not ready\n']);
  const line = broken.log.find(({ request }) => request === 'GET /ready')!;
  assert.deepEqual([line.level, /^the data folder cannot be written \(E/.test(line.detail!)], ['error', true]);
  assert.equal((await client.get('health')).status, 200);
});

test('a disk with too little room, and a folder that is gone, are told in words without a path', async () => {
  await using server = await runningServer();
  assert.equal(await diskTrouble(server.base), undefined);
  assert.match((await diskTrouble(server.base, Number.MAX_SAFE_INTEGER))!, /^the disk is almost full: \d+ MiB are free$/);
  assert.equal(await diskTrouble(join(server.base, 'nowhere')), 'the data folder cannot be written (ENOENT)');
});
