/** What the server promises to a CollectionStore: nothing else is asked of it while a session of the user is open. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryCollectionStore } from '../../lib/storage/memory/collection.ts';
import { MemoryMediaFiles, MemoryMediaStore } from '../../lib/storage/memory/media.ts';
import type { CollectionMeta, CollectionSession, ExportedFile, UserPlace } from '../../lib/storage/storage.ts';
import { card, note } from '../collection/objects.ts';
import { Player } from '../collection/player.ts';
import { someCollection } from './collection-bytes.ts';
import { runningServer } from './running-server.ts';

/** Refuses what must not happen while a session is open. */
class StrictStore extends MemoryCollectionStore {
  open = 0;

  #alone(): void {
    if (this.open > 0) throw new Error('a session is still open');
  }

  override async meta(user: UserPlace): Promise<CollectionMeta> {
    this.#alone();
    return super.meta(user);
  }

  override async begin(user: UserPlace, sessionKey: string): Promise<CollectionSession> {
    this.#alone();
    const session = await super.begin(user, sessionKey);
    this.open += 1;
    const { commit, rollback } = session;
    session.commit = async (...args) => {
      const modifiedMillis = await commit.apply(session, args);
      this.open -= 1;
      return modifiedMillis;
    };
    session.rollback = async () => {
      await rollback.apply(session);
      this.open -= 1;
    };
    return session;
  }

  override async importFile(user: UserPlace, path: string): Promise<void> {
    this.#alone();
    return super.importFile(user, path);
  }

  override async exportFile(user: UserPlace): Promise<ExportedFile> {
    this.#alone();
    return super.exportFile(user);
  }

  override async release(user: UserPlace): Promise<void> {
    this.#alone();
    return super.release(user);
  }

  override async close(): Promise<void> {
    this.#alone();
    return super.close();
  }
}

test('a session is ended before anything else is asked of the store, once, whatever ends it', async () => {
  const store = new StrictStore();
  const server = await runningServer({ collections: store, media: new MemoryMediaStore(), mediaFiles: new MemoryMediaFiles() });
  try {
    const user = new Player(await server.newUser());
    const collection = await someCollection(user.client);
    const endings: [string, () => Promise<unknown>][] = [
      ['finish', () => user.finish()],
      ['abort', () => user.abort()],
      ['meta', () => user.meta()],
      ['download', () => user.query('SELECT 1')],
      ['upload', () => user.client.post('upload', collection)],
      ['a bad sanity check', () => user.status('sanityCheck2', { client: [[0, 0, 0], 0, 0, 0, 0, 0, 0, 0] })],
      ['a step that fails', () => user.status('applyChunk', { chunk: { done: true, notes: [note({ id: 5001, mid: 1 })] } })],
    ];
    for (const [what, end] of endings) {
      await user.start();
      await user.rows({ cards: [card({ id: 6001 })] });
      assert.equal(store.open, 1);
      await end();
      assert.equal(store.open, 0, what);
    }
    await user.start();
    await user.other('another').start();
    assert.equal(store.open, 1, 'another start');
  } finally {
    await server.stop();
  }
  assert.equal(store.open, 0, 'the end of the server');
});
