import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, mock, test } from 'node:test';
import type { JsonStep } from '../../lib/engine/calls.ts';
import { Engine, type EngineOptions } from '../../lib/engine/pool.ts';
import { SyncError } from '../../lib/errors.ts';
import { journals } from './collections.ts';
import { until } from './until.ts';
import { FAILURES_LEFT, MADE, METAS, openGate, RELEASES, ROLLBACKS, WAITING, watch } from './watched-store.ts';

const module = (path: string): string => new URL(path, import.meta.url).href;

let base: string;
let shared: Int32Array;
let engine: Engine;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'anki-sync-engine-'));
  shared = watch();
});
afterEach(async () => {
  openGate(shared);
  await engine.close();
  mock.timers.reset();
  mock.restoreAll();
  rmSync(base, { recursive: true, force: true });
});

function open(options: Partial<EngineOptions> = {}): void {
  engine = new Engine({
    threads: 1,
    stores: {
      collections: { module: module('./watched-store.ts'), options: { base, shared } },
      media: { module: module('../../lib/storage/sqlite/media.ts'), options: { base } },
      mediaFiles: { module: module('../../lib/storage/files/folder.ts'), options: { base } },
    },
    ...options,
  });
}

const BODIES: Partial<Record<JsonStep, object>> = {
  meta: { v: 11, cv: 'test' },
  start: { minUsn: 0, lnewer: false, graves: null },
  begin: { v: 'test' },
};

async function run(user: string, step: JsonStep, request: object = BODIES[step] ?? {}): Promise<string> {
  const body = Buffer.from(JSON.stringify(request));
  const answer = await engine.run({ step, user: { userId: user, folder: user }, sessionKey: `session of ${user}`, body });
  assert.equal(answer.kind, 'bytes');
  return Buffer.from((answer as { data: Uint8Array }).data).toString();
}

const failsWith = (code: string) => (error: unknown): boolean => error instanceof SyncError && error.code === code;
const count = (counter: number): number => Atomics.load(shared, counter);

test('a thread that dies is replaced: its syncs are gone, those of other threads go on, and the next request works', async () => {
  open({ threads: 2 });
  await run('ada', 'start');
  await run('bob', 'start');
  // goes to the thread that holds fewest users, the first of two equal ones: ada's
  const lost = assert.rejects(run('fatal', 'meta'), (error) => failsWith('THREAD_LOST')(error) && (error as SyncError).status === 500);
  await run('bob', 'chunk');
  await lost;
  await assert.rejects(run('ada', 'chunk'), failsWith('SYNC_NOT_ACTIVE'));
  await run('bob', 'chunk');
  await run('ada', 'start');
  await run('ada', 'finish');
  assert.equal(count(MADE), 3);
});

test('a sync whose next step is still arriving is not taken for abandoned', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  open({ syncIdleMillis: 1000 });
  await run('ada', 'start');
  const leave = engine.admit({ userId: 'ada', folder: 'ada' });
  mock.timers.tick(5000);
  assert.equal(await run('ada', 'chunk'), '{"done":true}');
  mock.timers.tick(5000);
  leave();
  mock.timers.tick(1000);
  await until(() => count(ROLLBACKS) > 0);
  await assert.rejects(run('ada', 'chunk'), failsWith('SYNC_NOT_ACTIVE'));
});

test('a user has few requests on the way at once; others have theirs, and a place that is left is free again', () => {
  open({ maxWaitingPerUser: 2 });
  const admit = (userId: string): (() => void) => engine.admit({ userId, folder: userId });
  const [first, second] = [admit('ada'), admit('ada')];
  assert.throws(() => admit('ada'), failsWith('BUSY'));
  admit('bob');
  first();
  first();
  admit('ada');
  assert.throws(() => admit('ada'), failsWith('BUSY'));
  second();
});

test('a sync whose client stays away is rolled back after the idle time', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  open({ syncIdleMillis: 60_000 });
  await run('ada', 'start');
  mock.timers.tick(59_999);
  await run('ada', 'chunk');
  mock.timers.tick(59_999);
  assert.equal(count(ROLLBACKS), 0);
  mock.timers.tick(1);
  mock.timers.reset();
  await until(() => count(ROLLBACKS) === 1);
  await assert.rejects(run('ada', 'chunk'), failsWith('SYNC_NOT_ACTIVE'));
});

test('between two syncs meta is answered without asking the collection again, and after each step that may change it, it is asked', async () => {
  open({ stillHolds: (user, { inode }) => inode !== undefined && user.folder === 'ada' });
  const first = JSON.parse(await run('ada', 'meta')) as { usn: number };
  assert.deepEqual({ ...(JSON.parse(await run('ada', 'meta')) as object), ts: 0 }, { ...first, ts: 0 });
  await run('ada', 'begin');
  await run('ada', 'meta');
  assert.equal(count(METAS), 1);
  await run('ada', 'start');
  const during = [run('ada', 'meta'), run('ada', 'start'), run('ada', 'finish'), run('ada', 'meta')];
  const usns = (await Promise.all(during)).map((text) => (JSON.parse(text) as { usn?: number }).usn);
  assert.deepEqual([usns[0], usns[3]], [first.usn, first.usn + 1]);
  assert.equal(count(METAS), 3);
  assert.equal((JSON.parse(await run('ada', 'meta')) as { usn: number }).usn, first.usn + 1);
  assert.equal(count(METAS), 3);
  await assert.rejects(run('ada', 'meta', { v: 'x', cv: '' }), failsWith('BODY_INVALID'));
  await assert.rejects(run('ada', 'meta', { v: 7, cv: '' }), failsWith('CLIENT_TOO_OLD'));
});

test('that a collection is over its quota is told from memory too, by the quota of that request', async () => {
  open({ stillHolds: () => true });
  const told = async (maxCollectionBytes?: number): Promise<unknown[]> => {
    const answer = await engine.run({
      step: 'meta', user: { userId: 'ada', folder: 'ada' }, sessionKey: '', body: JSON.stringify(BODIES.meta), ...(maxCollectionBytes === undefined ? {} : { maxCollectionBytes }),
    });
    assert.ok(answer.kind === 'bytes');
    const { msg, cont } = JSON.parse(Buffer.from(answer.data as string).toString()) as { msg: string; cont: boolean };
    return [msg.slice(0, 19), cont, (answer.overQuotaBytes ?? 0) > 10_000];
  };
  const over = ['Your collection has', true, true];
  const within = ['', true, false];
  assert.deepEqual([await told(1000), await told(1000), await told(), await told(1024 ** 3), await told(1000)], [over, over, within, within, over]);
  assert.equal(count(METAS), 1);
});

test('what meta answered is not remembered beyond the thread that had the collection open', async () => {
  open({ stillHolds: () => true });
  await run('ada', 'meta');
  await assert.rejects(run('fatal', 'meta'), failsWith('THREAD_LOST'));
  const before = count(METAS);
  await run('ada', 'meta');
  assert.equal(count(METAS), before + 1);
});

test('where others may have a hand in a collection, it is asked at each meta', async () => {
  open({ stillHolds: () => false });
  for (const asked of [1, 2]) {
    await run('ada', 'meta');
    assert.equal(count(METAS), asked);
  }
});

test('a collection that nobody uses is closed, unless a sync is running on it', async () => {
  mock.timers.enable({ apis: ['setInterval', 'Date'] });
  mock.method(performance, 'now', () => Date.now());
  open({ closeIdleMillis: 60_000 });
  await run('ada', 'meta');
  await run('bob', 'start');
  const isOpen = (user: string): boolean => journals(base, user).length > 0;
  assert.deepEqual([isOpen('ada'), isOpen('bob')], [true, true]);
  mock.timers.tick(50_000);
  await run('bob', 'chunk');
  assert.equal(count(RELEASES), 0);
  mock.timers.tick(30_000);
  await until(() => count(RELEASES) === 1);
  assert.deepEqual([isOpen('ada'), isOpen('bob')], [false, true]);
  await run('bob', 'chunk');
  await run('ada', 'meta');
});

test('as many collections are open as the option says, and the one unused for longest is closed for the next', async () => {
  open({ maxOpen: 2 });
  const users = ['ada', 'bob', 'cecil', 'dora'];
  const openNow = (): string[] => users.filter((user) => journals(base, user).length > 0);
  await run('ada', 'meta');
  await run('bob', 'meta');
  await run('ada', 'meta');
  await run('cecil', 'meta');
  assert.deepEqual(openNow(), ['ada', 'cecil']);
  await Promise.all(users.map((user) => run(user, 'meta').catch((error: unknown) => assert.ok(failsWith('BUSY')(error)))));
  assert.ok(openNow().length <= 2, openNow().join());
  await run('dora', 'meta');
  assert.equal(openNow().length, 2);
  // neither of the two is closed over and over
  const releases = count(RELEASES);
  await run('dora', 'meta');
  assert.equal(count(RELEASES), releases);
});

test('a collection with a running sync is not closed for another one, which is told to come again', async () => {
  open({ maxOpen: 2 });
  await run('ada', 'start');
  await run('bob', 'start');
  await assert.rejects(run('cecil', 'meta'), (error) => failsWith('BUSY')(error) && (error as SyncError).status === 503);
  await run('bob', 'finish');
  await run('cecil', 'meta');
  await run('ada', 'chunk');
  await run('ada', 'finish');
});

test('calls of one user run in their order, and one more than may wait is told to come again', async () => {
  open({ maxWaitingPerUser: 3 });
  const order: number[] = [];
  const calls = [0, 1, 2].map((i) => run('slow', 'meta').then(() => order.push(i)));
  await until(() => count(WAITING) === 1);
  await assert.rejects(run('slow', 'meta'), (error) => failsWith('BUSY')(error) && (error as SyncError).retryAfterSecs > 0);
  assert.equal(count(WAITING), 1);
  openGate(shared);
  await Promise.all(calls);
  assert.deepEqual(order, [0, 1, 2]);
  await run('slow', 'meta');
});

test('a thread that is held up by one user does not hold up users of another', async () => {
  open({ threads: 2 });
  const slow = run('slow', 'meta');
  await until(() => count(WAITING) === 1);
  await run('ada', 'start');
  await run('ada', 'finish');
  openGate(shared);
  await slow;
});

test('close lets running calls end, rolls back unfinished syncs, and leaves no log beside a collection', async () => {
  open({ threads: 2 });
  await run('ada', 'start');
  const slow = run('slow', 'meta');
  await until(() => count(WAITING) === 1);
  const closing = engine.close();
  await assert.rejects(run('ada', 'chunk'), failsWith('CLOSING'));
  await assert.rejects(engine.prepareUpload(join(base, 'upload')), failsWith('CLOSING'));
  openGate(shared);
  await slow;
  await closing;
  assert.equal(count(ROLLBACKS), 1);
  assert.deepEqual([...journals(base, 'ada'), ...journals(base, 'slow')], []);
});

test('a store that could not be made is tried again for the next call', async () => {
  open();
  Atomics.store(shared, FAILURES_LEFT, 1);
  await assert.rejects(run('ada', 'meta'), (error) => failsWith('INTERNAL')(error) && /cannot be made yet/.test((error as SyncError).detail!));
  await run('ada', 'meta');
  assert.equal(count(MADE), 1);
});

for (const [what, source, says] of [
  ['has no default export', 'export const store = {};', /no default export that makes a store/],
  ['throws when it is loaded', 'throw new Error("broken module");', /broken module/],
  ['throws when it makes a store', 'export default () => { throw new Error("broken store"); };', /broken store/],
  ['makes nothing', 'export default () => undefined;', /made no store/],
  ['cannot be found', undefined, /not-there/],
] as const) {
  test(`a module that ${what} is told in clear words to every caller`, async () => {
    const url = source === undefined ? 'file:///not-there.js' : `data:text/javascript,${encodeURIComponent(source)}`;
    open({
      stores: {
        collections: { module: url, options: {} },
        media: { module: module('../../lib/storage/sqlite/media.ts'), options: { base } },
        mediaFiles: { module: module('../../lib/storage/files/folder.ts'), options: { base } },
      },
    });
    for (const user of ['ada', 'bob']) {
      await assert.rejects(run(user, 'meta'), (error) => failsWith('INTERNAL')(error) && says.test((error as SyncError).detail!));
    }
  });
}
