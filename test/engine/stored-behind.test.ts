/** Rows of a chunk go into the store behind its answer: nothing may be lost or kept by that. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { Answer, JsonStep } from '../../lib/engine/calls.ts';
import { Sessions } from '../../lib/engine/session.ts';
import { SyncError } from '../../lib/errors.ts';
import { MemoryMediaFiles, MemoryMediaStore } from '../../lib/storage/memory/media.ts';
import { SqliteCollectionStore } from '../../lib/storage/sqlite/collection.ts';
import type { CollectionSession, UserPlace } from '../../lib/storage/storage.ts';

const USER = { userId: '1', folder: 'ada' };
const REVLOG = { done: true, revlog: [[1_700_000_000_000, 1, 0, 3, 1, 1, 2500, 1000, 0]], cards: [], notes: [] };

class FullStore extends SqliteCollectionStore {
  override async begin(user: UserPlace, sessionKey: string): Promise<CollectionSession> {
    const session = await super.begin(user, sessionKey);
    session.mergeRows = async () => {
      throw new SyncError('DISK_FULL', 'no space left');
    };
    return session;
  }
}

async function stepsOn(t: TestContext, Store: typeof SqliteCollectionStore) {
  const base = await mkdtemp(join(tmpdir(), 'anki-sync-stored-'));
  const sessions = new Sessions({ collections: new Store({ base }), media: new MemoryMediaStore(), mediaFiles: new MemoryMediaFiles() });
  t.after(async () => {
    await sessions.close();
    await rm(base, { recursive: true });
  });
  return async (step: JsonStep, body: object): Promise<Extract<Answer, { kind: 'bytes' }>> => {
    const { answer } = await sessions.run({ step, user: USER, sessionKey: 's', body: JSON.stringify(body) });
    assert.equal(answer.kind, 'bytes');
    return answer as Extract<Answer, { kind: 'bytes' }>;
  };
}

const START = { minUsn: 0, lnewer: false, graves: null };
const counted = (revlog: number): object => ({ client: [[0, 0, 0], 0, 0, revlog, 0, 6, 1, 1] });

test('what a chunk fails with in the store is told by the next step, and ends the sync', async (t) => {
  const step = await stepsOn(t, FullStore);
  await step('start', START);
  const { data, after } = await step('applyChunk', { chunk: REVLOG });
  assert.equal(data, 'null');
  after!();
  await assert.rejects(step('sanityCheck2', counted(1)), { code: 'DISK_FULL' });
  await assert.rejects(step('finish', {}), { code: 'SYNC_NOT_ACTIVE' });
});

test('rows are in the store before the next step, whether or not anybody brought them there behind the answer', async (t) => {
  const step = await stepsOn(t, SqliteCollectionStore);
  await step('start', START);
  const rows = (data: unknown): number => (JSON.parse(String(data)) as { s: number[] }).s[3]!;
  const first = await step('applyChunk', { chunk: REVLOG });
  first.after!();
  first.after!();
  await step('applyChunk', { chunk: { ...REVLOG, revlog: [[1_700_000_000_001, 1, 0, 3, 1, 1, 2500, 1000, 0]] } });
  assert.equal(rows((await step('sanityCheck2', { client: [[0, 0, 0], 9, 9, 9, 9, 9, 9, 9] })).data), 2);
});
