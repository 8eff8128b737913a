/** Busy, closing, or without what it needs: 503 with Retry-After, never a word that makes people change their data. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { SyncError } from '../../lib/errors.ts';
import type { SyncServerOptions } from '../../lib/options.ts';
import { createSyncServer } from '../../lib/server.ts';
import { MemoryCollectionStore } from '../../lib/storage/memory/collection.ts';
import { MemoryMediaFiles, MemoryMediaStore } from '../../lib/storage/memory/media.ts';
import type { CollectionMeta, UserPlace } from '../../lib/storage/storage.ts';
import { RawClient } from '../client/raw.ts';
import { Player } from '../collection/player.ts';
import { changedBy, someCollection } from './collection-bytes.ts';
import { runningServer } from './running-server.ts';
import { until } from './until.ts';

/** A store in which `meta` of the user whose folder is `slow` waits until it is let go. */
class GatedStore extends MemoryCollectionStore {
  readonly #entered = Promise.withResolvers<void>();
  readonly #released = Promise.withResolvers<void>();
  readonly entered = this.#entered.promise;

  override async meta(user: UserPlace): Promise<CollectionMeta> {
    if (user.folder === 'slow') {
      this.#entered.resolve();
      await this.#released.promise;
    }
    return super.meta(user);
  }

  letGo(): void {
    this.#released.resolve();
  }
}

const META = { v: 11, cv: 'test' };

function gated(): { store: GatedStore; options: SyncServerOptions } {
  const store = new GatedStore();
  return { store, options: { collections: store, media: new MemoryMediaStore(), mediaFiles: new MemoryMediaFiles() } };
}

/** A request that waits where it should be refused fails the test instead of holding it up. */
const soon = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(15_000) });

test('when too many requests of a user wait, one more is told to come again, and other users are served', async () => {
  const { store, options } = gated();
  await using server = await runningServer({ ...options, maxWaitingPerUser: 2 });
  try {
    const [slow, other] = [await server.user('slow'), await server.user('other')];
    const first = slow.post('meta', META);
    await store.entered;
    // two wait then, whichever of these comes first
    const others = [slow.post('abort', {}, soon()), slow.post('abort', {}, soon())];
    const refused = await Promise.race(others);
    assert.deepEqual([refused.status, refused.text()], [503, 'BUSY']);
    assert.ok(Number(refused.headers['retry-after']) > 0);
    assert.equal((await other.post('meta', META, soon())).status, 200);
    store.letGo();
    assert.equal((await first).status, 200);
    assert.deepEqual((await Promise.all(others)).map(({ status }) => status).sort(), [200, 503]);
  } finally {
    store.letGo();
  }
});

test('while it closes, what runs is answered, and what comes is told to come again', async () => {
  const { store, options } = gated();
  await using server = await runningServer(options);
  try {
    const slow = await server.user('slow');
    const running = slow.post('meta', META);
    await store.entered;
    const closing = server.server.close();
    for (const path of ['sync/meta', 'sync/hostKey', 'sync/nothing']) {
      const refused = await slow.send('POST', path, META, soon());
      assert.deepEqual([refused.status, refused.text()], [503, 'CLOSING'], path);
      assert.ok(Number(refused.headers['retry-after']) > 0);
    }
    store.letGo();
    assert.equal((await running).status, 200);
    await closing;
    assert.equal(server.log.find(({ code }) => code === 'CLOSING')?.level, 'warn');
  } finally {
    store.letGo();
  }
});

test('an upload that is half-way when the server closes is taken whole', async () => {
  await using server = await runningServer();
  const user = await server.user('ann');
  const packed = zstdCompressSync(await changedBy(await someCollection(user), 'UPDATE col SET mod = 123'));
  const upload = user.open('sync/upload', soon());
  await upload.write(packed.subarray(0, packed.length >> 1));
  await until(() => server.stagedFiles().length > 0);
  const closing = server.server.close();
  const refused = await user.post('meta', META, soon());
  assert.equal(refused.status, 503);
  await upload.write(packed.subarray(packed.length >> 1));
  upload.end();
  assert.equal((await upload.response).text(), 'OK');
  await closing;
});

describe('when sign-in is not possible', () => {
  const failures: [string, SyncServerOptions['authenticator']][] = [
    ['because the function throws', () => { throw new Error('secret-dsn://ldap'); }],
    ['because the function forgot to answer', (() => undefined) as unknown as SyncServerOptions['authenticator']],
    ['because the object rejects', { authenticate: () => Promise.reject(new Error('secret-dsn://ldap')) }],
  ];
  for (const [why, authenticator] of failures) {
    test(`${why}, it is 503, so that clients keep their keys`, async () => {
      await using server = await runningServer({ ...(authenticator === undefined ? {} : { authenticator }) });
      const response = await new RawClient(server.url).post('hostKey', { u: 'ann', p: 'password' });
      assert.deepEqual([response.status, response.text()], [503, 'AUTH_UNAVAILABLE']);
      assert.ok(Number(response.headers['retry-after']) > 0);
    });
  }
});

describe('a store that fails', () => {
  const failing = (error: unknown): SyncServerOptions => {
    const store = new MemoryCollectionStore();
    store.meta = () => Promise.reject(error);
    return { collections: store, media: new MemoryMediaStore(), mediaFiles: new MemoryMediaFiles() };
  };
  const failures: [unknown, number, string][] = [
    [new Error('secret of the store'), 500, 'INTERNAL'],
    [Object.assign(new Error('secret of the store'), { code: 'SQLITE_FULL' }), 200, 'DISK_FULL'],
    [Object.assign(new Error('secret of the store'), { code: 'ENOSPC' }), 200, 'DISK_FULL'],
    [Object.assign(new Error('secret of the store'), { code: 'SQLITE_BUSY' }), 503, 'BUSY'],
    [Object.assign(new Error('secret of the store'), { code: 'SQLITE_CORRUPT' }), 200, 'COLLECTION_DAMAGED'],
    [Object.assign(new Error('secret of the store'), { code: 'EROFS' }), 200, 'STORAGE_FAILED'],
    [new SyncError('BUSY', 'secret of the store', { retryAfterSecs: 77 }), 503, 'BUSY'],
  ];
  for (const [error, status, code] of failures) {
    test(`with ${(error as { code?: string }).code ?? 'anything'} is ${code} to the client, and the rest to the log`, async () => {
      await using server = await runningServer(failing(error));
      const user = await server.newUser();
      const response = await user.post('meta', META);
      assert.equal(response.status, status);
      if (status === 200) {
        // words of a person's own language would be better still, but these reach the person at all
        const { cont, msg } = response.json() as { cont: boolean; msg: string };
        assert.deepEqual([cont, /tell whoever runs the server/.test(msg), /secret/.test(msg)], [false, true, false]);
      } else assert.equal(response.text(), code);
      const line = server.log.at(-1)!;
      assert.deepEqual([line.level, line.code, line.status], ['error', code, status]);
      assert.match(line.detail!, /secret of the store/);
      assert.equal(response.headers['retry-after'], status !== 503 ? undefined : error instanceof SyncError ? '77' : '5');
    });
  }

  test('in a step rolls the sync back', async () => {
    const store = new MemoryCollectionStore();
    await using server = await runningServer({ collections: store, media: new MemoryMediaStore(), mediaFiles: new MemoryMediaFiles() });
    const user = new Player(await server.newUser());
    await user.begin();
    const begin = store.begin.bind(store);
    store.begin = async (...args) => {
      const session = await begin(...args);
      session.pendingTags = () => Promise.reject(new Error('lost'));
      return session;
    };
    await user.start();
    assert.equal(await user.status('applyChanges', { changes: { models: [], decks: [[], []], tags: [] } }), 500);
    store.begin = begin;
    assert.equal(await user.status('finish'), 409);
    assert.equal((await user.meta())['usn'], 1);
  });

  test('at start leaves no sync behind', async () => {
    const store = new MemoryCollectionStore();
    await using server = await runningServer({ collections: store, media: new MemoryMediaStore(), mediaFiles: new MemoryMediaFiles() });
    const user = new Player(await server.newUser());
    const begin = store.begin.bind(store);
    let rolledBack = 0;
    store.begin = async (...args) => {
      const session = await begin(...args);
      const rollback = session.rollback.bind(session);
      session.rollback = () => ((rolledBack += 1), rollback());
      session.pendingGraves = () => Promise.reject(new Error('lost'));
      return session;
    };
    assert.equal(await user.status('start', { minUsn: 0, lnewer: false }), 500);
    assert.equal(rolledBack, 1);
    assert.equal(await user.status('chunk'), 409);
  });
});

test('a server whose data folder is taken says so to whoever awaits it, and answers no request but with an error', async () => {
  await using server = await runningServer();
  const second = createSyncServer({ base: server.base });
  await assert.rejects(second.ready, /another server is running on the data folder/);
  const response = await second.handle({ method: 'POST', url: '/sync/meta', headers: {}, body: null });
  assert.equal(response.status, 500);
  await second.close();
});
