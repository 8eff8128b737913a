import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import Database from 'better-sqlite3';
import { prepareUpload } from '../../../lib/storage/sqlite/anki2.ts';
import { createCollectionFile } from '../../../lib/storage/sqlite/collection-file.ts';
import { SqliteCollectionStore } from '../../../lib/storage/sqlite/collection.ts';
import { ankiEnvironment, ankiPython, run } from '../../oracle/anki-python.ts';

const user = { userId: 'u', folder: 'ada' };
let base: string;
let store: SqliteCollectionStore;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'collection-files-'));
  store = new SqliteCollectionStore({ base, snapshots: { maxCount: 2 } });
});

afterEach(async () => {
  await store.close();
  await rm(base, { recursive: true, force: true });
});

/** Commits one review, so that states can be told apart. */
async function review(id: number, of = store): Promise<void> {
  const session = await of.begin(user, 's');
  await session.mergeRows('revlog', [[id, 1, 0, 3, 1, 1, 2500, 1000, 1]], 0);
  await session.commit(Date.now());
}

async function reviews(): Promise<string> {
  const session = await store.begin(user, 'look');
  try {
    return String(await session.pendingIds('revlog', 0));
  } finally {
    await session.rollback();
  }
}

async function upload(id: number): Promise<void> {
  const path = join(await store.stagingFolder(user), `upload-${id}.anki2`);
  createCollectionFile(path);
  const db = new Database(path);
  db.prepare('INSERT INTO revlog VALUES (?, 1, 0, 3, 1, 1, 2500, 1000, 1)').run(id);
  db.close();
  await store.importFile(user, path);
}

function reviewsOf(path: string): unknown {
  const db = new Database(path, { readonly: true });
  try {
    assert.equal(db.pragma('integrity_check', { simple: true }), 'ok');
    return db.prepare('SELECT id FROM revlog ORDER BY id').pluck().all();
  } finally {
    db.close();
  }
}

const snapshots = async (): Promise<string[]> => (await readdir(join(base, 'ada', '.snapshots'))).sort();

test('a collection lies where the official server looks for it, in schema 11, and alone once it is let go', async () => {
  await review(1);
  await store.release(user);
  assert.deepEqual(await readdir(join(base, 'ada')), ['collection.anki2']);
  const db = new Database(join(base, 'ada', 'collection.anki2'), { readonly: true });
  assert.equal(db.prepare('SELECT ver FROM col').pluck().get(), 11);
  db.close();
});

test('what a full upload replaces stays as a snapshot; no log is left beside the new file', async () => {
  await review(1);
  await upload(2);
  assert.deepEqual(await readdir(join(base, 'ada')).then((names) => names.sort()), ['.snapshots', 'collection.anki2']);
  const [kept, ...others] = await snapshots();
  assert.deepEqual(others, []);
  assert.deepEqual(reviewsOf(join(base, 'ada', '.snapshots', kept!)), [1]);
  assert.equal(await reviews(), '2');
});

test('snapshots are bounded by count, the oldest go first', async () => {
  for (const id of [1, 2, 3, 4]) await upload(id);
  const kept = await snapshots();
  assert.deepEqual(kept.map((name) => reviewsOf(join(base, 'ada', '.snapshots', name))), [[2], [3]]);
});

test('snapshots are bounded by bytes, but the newest always stays', async () => {
  await store.close();
  store = new SqliteCollectionStore({ base, snapshots: { maxBytes: 1 } });
  for (const id of [1, 2, 3]) await upload(id);
  assert.deepEqual((await snapshots()).map((name) => reviewsOf(join(base, 'ada', '.snapshots', name))), [[2]]);
});

test('two uploads within one millisecond keep two snapshots', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  for (const id of [1, 2, 3]) await upload(id);
  assert.equal((await snapshots()).length, 2);
});

/** The files of a server that was killed: the collection as it was, and the last commits only in the log beside it. */
async function crashed(): Promise<void> {
  const other = await mkdtemp(join(tmpdir(), 'collection-crashed-'));
  const running = new SqliteCollectionStore({ base: other });
  try {
    await review(7, running);
    assert.ok((await stat(join(other, 'ada', 'collection.anki2-wal'))).size > 0);
    await mkdir(join(base, 'ada'), { recursive: true });
    for (const name of ['collection.anki2', 'collection.anki2-wal']) await copyFile(join(other, 'ada', name), join(base, 'ada', name));
  } finally {
    await running.close();
    await rm(other, { recursive: true, force: true });
  }
}

test('commits that a crash left in the log are there again', async () => {
  await crashed();
  assert.equal(await reviews(), '7');
});

test('commits that a crash left in the log are in the snapshot when the first thing that comes is an upload', async () => {
  await crashed();
  await upload(8);
  assert.deepEqual(reviewsOf(join(base, 'ada', '.snapshots', (await snapshots())[0]!)), [7]);
  assert.equal(await reviews(), '8');
});

test('a collection that cannot be opened any more is still kept when an upload replaces it', async () => {
  await mkdir(join(base, 'ada'));
  await writeFile(join(base, 'ada', 'collection.anki2'), 'not a database');
  await writeFile(join(base, 'ada', 'collection.anki2-wal'), 'not a log');
  await assert.rejects(store.meta(user));
  await upload(9);
  assert.equal(await reviews(), '9');
  assert.equal((await snapshots()).length, 1);
});

test('a log without its collection is not replayed into a new one', async () => {
  await crashed();
  await rm(join(base, 'ada', 'collection.anki2'));
  assert.equal(await reviews(), '');
});

test('an upload does not inherit the log of a collection that is gone', async () => {
  await crashed();
  await rm(join(base, 'ada', 'collection.anki2'));
  await upload(3);
  assert.equal(await reviews(), '3');
});

test('a log that cannot be written back for want of space stays where it is, and the upload fails', async (t) => {
  await crashed();
  const path = join(await store.stagingFolder(user), 'upload.anki2');
  createCollectionFile(path);
  t.mock.method(Database.prototype, 'pragma', () => {
    throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
  });
  await assert.rejects(store.importFile(user, path), { code: 'SQLITE_FULL' });
  t.mock.restoreAll();
  assert.equal(await reviews(), '7');
});

test('the newest snapshot is the one just taken, whatever the clock said before', async (t) => {
  await upload(1);
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 86_400_000 });
  for (const id of [2, 3]) await upload(id);
  t.mock.timers.reset();
  await upload(4);
  assert.deepEqual((await snapshots()).map((name) => reviewsOf(join(base, 'ada', '.snapshots', name))), [[2], [3]]);
});

test('an upload that fails leaves no snapshot: it would be a second name of the collection in use', async () => {
  await review(1);
  await assert.rejects(store.importFile(user, join(base, 'missing.anki2')));
  assert.deepEqual(await snapshots(), []);
  assert.equal(await reviews(), '1');
});

test('a collection that was replaced or removed by hand is noticed at the next sync', async () => {
  await review(1);
  const other = join(base, 'other.anki2');
  createCollectionFile(other);
  await rename(other, join(base, 'ada', 'collection.anki2'));
  await review(2);
  assert.equal(await reviews(), '2');
  await rm(join(base, 'ada', 'collection.anki2'));
  await review(3);
  await store.release(user);
  assert.deepEqual(reviewsOf(join(base, 'ada', 'collection.anki2')), [3]);
});

test('a stored collection that cannot be converted is told again and again, and leaves nothing in the staging folder', async () => {
  await review(1);
  await store.release(user);
  const db = new Database(join(base, 'ada', 'collection.anki2'));
  db.exec('UPDATE col SET ver = 17');
  db.close();
  for (let attempt = 0; attempt < 2; attempt += 1) await assert.rejects(store.meta(user), { code: 'COLLECTION_DAMAGED' });
  assert.deepEqual(await readdir(await store.stagingFolder(user)), []);
});

test('a folder name that is no single segment is refused', async () => {
  for (const folder of ['', '.', '..', 'a/b', 'a\\b', 'a\0']) {
    await assert.rejects(store.meta({ userId: 'x', folder }));
  }
  assert.deepEqual(await readdir(base), []);
});

test("a collection that Anki's own server left is taken over, and kept as it was in a snapshot", async () => {
  await mkdir(join(base, 'ada'));
  const path = join(base, 'ada', 'collection.anki2');
  const script = `
import sys
from anki.collection import Collection
col = Collection(sys.argv[1])
note = col.new_note(col.models.by_name("Basic"))
note["Front"] = "kept"
col.add_note(note, 1)
col.close()`;
  await run(await ankiPython(), ['-c', script, path], { env: ankiEnvironment() });
  const { empty } = await store.meta(user);
  assert.equal(empty, false);
  const session = await store.begin(user, 's');
  const notes = JSON.parse(await session.rows('notes', await session.pendingIds('notes', -1))) as string[][];
  await session.rollback();
  assert.deepEqual(notes.map((note) => note[6]), ['kept\x1f']);
  const db = new Database(join(base, 'ada', '.snapshots', (await snapshots())[0]!), { readonly: true });
  assert.equal(db.prepare('SELECT ver FROM col').pluck().get(), 18);
  db.close();
});

test('a sync during which the collection was replaced or removed by hand is not said to be done', async () => {
  await review(1);
  for (const replace of [() => createCollectionFile(join(base, 'ada', 'collection.anki2')), () => rm(join(base, 'ada', 'collection.anki2'))]) {
    const session = await store.begin(user, 's');
    await session.mergeRows('revlog', [[2, 1, 0, 3, 1, 1, 2500, 1000, 1]], 0);
    await replace();
    await assert.rejects(session.commit(Date.now()), { code: 'SYNC_NOT_ACTIVE' });
    await session.rollback();
    assert.equal(await reviews(), '');
  }
});

test('integers of a sync rest as integers also in tables that declare no types: a client reads no others', async () => {
  const path = join(await store.stagingFolder(user), 'untyped.anki2');
  createCollectionFile(path);
  const db = new Database(path);
  for (const table of ['cards', 'notes', 'revlog', 'graves', 'col']) {
    const sql = db.prepare('SELECT sql FROM sqlite_master WHERE name = ?').pluck().get(table) as string;
    const indexes = db.prepare("SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?").pluck().all(table) as string[];
    db.exec(`ALTER TABLE ${table} RENAME TO typed`);
    db.exec(sql.replaceAll(/ (integer|text) NOT NULL/gi, ''));
    db.exec(`INSERT INTO ${table} SELECT * FROM typed; DROP TABLE typed; ${indexes.join(';')}`);
  }
  db.close();
  assert.equal(prepareUpload(path).verdict, 'ok');
  await store.importFile(user, path);

  const [id, big] = [1_600_000_000_000, 4_000_000_000];
  const session = await store.begin(user, 's');
  for (const _ of ['added', 'changed']) {
    await session.mergeRows('notes', [[id, 'g', id, big, 0, '', 'front', 'front', big, 0, '']], 5);
    await session.mergeRows('cards', [[id, id, id, 0, big, 0, 0, 0, 1, big, 0, big, big, big, 0, id, 0, '{}']], 5);
  }
  await session.mergeRows('cards', [[id, id + 1, id, 0, big, 0, 0, 0, 1, big, 0, big, big, big, 0, id, 0, '{}']], 5);
  await session.mergeRows('revlog', [[id, id, 0, 3, 1, 1, big, big, 1]], 0);
  await session.applyGraves({ cards: [id + 5], notes: [], decks: [] }, 1);
  await session.setCreationSecs(big);
  await session.commit(Date.now());
  const { path: copy } = await store.exportFile(user);

  const after = new Database(copy, { readonly: true });
  for (const table of ['cards', 'notes', 'revlog', 'graves', 'col']) {
    for (const row of after.prepare(`SELECT * FROM ${table}`).all() as Record<string, unknown>[]) {
      for (const column of Object.keys(row)) {
        const type = after.prepare(`SELECT typeof(${column}) FROM ${table}`).pluck().get();
        assert.equal(type, typeof row[column] === 'string' ? 'text' : 'integer', `${table}.${column}`);
      }
    }
  }
  after.close();
});
