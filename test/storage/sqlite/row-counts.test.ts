import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import Database from 'better-sqlite3';
import { sanityCheck } from '../../../lib/collection/sanity-check.ts';
import { SqliteCollectionStore } from '../../../lib/storage/sqlite/collection.ts';
import { createCollectionFile } from '../../../lib/storage/sqlite/collection-file.ts';

const user = { userId: 'u', folder: 'ada' };
let base: string;
let store: SqliteCollectionStore;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'row-counts-'));
  store = new SqliteCollectionStore({ base });
});
afterEach(async () => {
  await store.close();
  await rm(base, { recursive: true, force: true });
});

const collection = (): string => join(base, 'ada', 'collection.anki2');
const kept = (): string => `${collection()}.counts`;

async function review(...ids: number[]): Promise<void> {
  const session = await store.begin(user, 's');
  await session.mergeRows('revlog', ids.map((id) => [id, 1, 0, 3, 1, 1, 2500, 1000, 1]), 0);
  await session.counts();
  await session.commit(Date.now());
}

async function reviews(anew = false): Promise<number> {
  const session = await store.begin(user, 'look');
  try {
    return (await session.counts(anew)).revlog;
  } finally {
    await session.rollback();
  }
}

/** Without changing the file, so that only what is kept beside it can give the wrong count. */
async function lie(revlog: number): Promise<void> {
  const { of } = JSON.parse(await readFile(kept(), 'utf8')) as { of: unknown };
  await writeFile(kept(), JSON.stringify({ of, counts: { revlog, cards: 0, notes: 0 } }));
}

test('counts are kept while a collection is closed, and are not counted again when it is opened', async () => {
  await review(1, 2);
  await store.release(user);
  await lie(77);
  assert.equal(await reviews(), 77);
  assert.equal(await reviews(true), 2);
  await store.release(user);
  assert.equal(await reviews(), 77);
  await review(3);
  assert.equal(await reviews(), 78);
});

test('no client is told that it has other counts before the rows are counted again', async () => {
  await review(1, 2);
  await store.release(user);
  await lie(77);
  const session = await store.begin(user, 's');
  const sync = { sessionKey: 's', store: session, serverUsn: session.usn, clientUsn: 0, clientIsNewer: false, moved: { up: 0, down: 0 } };
  assert.equal((await sanityCheck(sync, [[0, 0, 0], 0, 0, 2, 0, 6, 1, 1])).status, 'ok');
  const { status, s } = await sanityCheck(sync, [[0, 0, 0], 0, 0, 77, 0, 6, 1, 1]);
  assert.deepEqual({ status, revlog: s?.[3] }, { status: 'bad', revlog: 2 });
  await session.rollback();
});

test('rows are counted again when something else wrote to the collection', async () => {
  await review(1, 2);
  await store.release(user);
  await lie(77);
  const db = new Database(collection());
  db.exec('DELETE FROM revlog WHERE id = 1');
  db.close();
  assert.equal(await reviews(), 1);
});

test('rows are counted again when the file is another one, or only says that it is', async () => {
  await review(1, 2);
  await store.release(user);
  await lie(77);
  await utimes(collection(), 1_700_000_000, 1_700_000_000);
  assert.equal(await reviews(), 2);
});

test('an upload takes its own counts with it', async () => {
  await review(1, 2);
  const path = join(await store.stagingFolder(user), 'upload.anki2');
  createCollectionFile(path);
  await store.importFile(user, path);
  assert.equal(await reviews(), 0);
});

test('counts outlive a download', async () => {
  await review(1, 2);
  await rm((await store.exportFile(user)).path);
  await lie(77);
  assert.equal(await reviews(), 77);
});

for (const [what, text] of Object.entries({ nothing: '', 'a part': '{"of":[1', 'something else': '[]', null: 'null' })) {
  test(`where ${what} is kept, rows are counted`, async () => {
    await review(1, 2);
    await store.release(user);
    await writeFile(kept(), text);
    assert.equal(await reviews(), 2);
  });
}
