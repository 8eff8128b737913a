import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { createCollectionFile, openCollectionFile } from '../../../lib/storage/sqlite/collection-file.ts';
import { readOverview } from '../../../lib/storage/sqlite/collection-overview.ts';
import { SqliteCollectionStore } from '../../../lib/storage/sqlite/collection.ts';

function collection(t: TestContext): { base: string; path: string; user: { userId: string; folder: string } } {
  const base = mkdtempSync(join(tmpdir(), 'anki-sync-overview-'));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  mkdirSync(join(base, 'kim'));
  const path = join(base, 'kim', 'collection.anki2');
  createCollectionFile(path);
  return { base, path, user: { userId: 'k', folder: 'kim' } };
}

test('an overview walks no table of a collection that a sync has counted: a range of reviews, and the one row of the collection', (t) => {
  const db = openCollectionFile(collection(t).path, 1024);
  t.after(() => db.close());
  const asked: string[] = [];
  const prepare = (sql: string) => (asked.push(sql), db.prepare(sql));
  readOverview(prepare, { cards: 5_000_000, notes: 4_000_000, revlog: 9_000_000 }, { nowMillis: Date.now(), days: 42 });
  const plans = asked.map((sql) => (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(/@/.test(sql) ? { today: 0, shiftMillis: 0, sinceMillis: 0, untilMillis: 0 } : {}) as { detail: string }[])
    .map(({ detail }) => detail));
  assert.deepEqual(plans.map(([first]) => first), ['SCAN col', 'SEARCH revlog USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)']);
});

test('what no sync has counted is counted up to a bound, and left open beyond it', (t) => {
  const { path } = collection(t);
  const db = openCollectionFile(path, 1024);
  t.after(() => db.close());
  const overview = (): unknown[] => {
    const { cards, notes } = readOverview((sql) => db.prepare(sql), undefined, { nowMillis: Date.now(), days: 0 });
    return [cards, notes];
  };
  db.prepare(`INSERT INTO cards WITH RECURSIVE ids (id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM ids WHERE id < 100000)
    SELECT id, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '' FROM ids`).run();
  assert.deepEqual(overview(), [100_000, 0]);
  db.prepare("INSERT INTO cards VALUES (0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '')").run();
  assert.deepEqual(overview(), [undefined, 0]);
});

test('a collection that the official server left is not converted for a page', async (t) => {
  const { base, path, user } = collection(t);
  const db = new Database(path);
  db.exec('UPDATE col SET ver = 18');
  db.close();
  const before = readFileSync(path);
  const store = new SqliteCollectionStore({ base });
  const overview = await store.overview(user, { nowMillis: Date.now(), days: 42 });
  await store.close();
  assert.deepEqual([overview?.cards, overview?.bytes, overview?.reviewDays], [undefined, before.length, []]);
  assert.deepEqual(readFileSync(path), before);
});

test('looking at a user without a collection makes none, and a damaged one is told', async (t) => {
  const { base, path, user } = collection(t);
  const store = new SqliteCollectionStore({ base });
  t.after(() => store.close());
  rmSync(path);
  assert.equal(await store.overview(user, { nowMillis: 0, days: 0 }), null);
  assert.equal(await store.overview({ userId: 'n', folder: 'nobody' }, { nowMillis: 0, days: 0 }), null);
  const { existsSync, writeFileSync } = await import('node:fs');
  assert.deepEqual([existsSync(path), existsSync(join(base, 'nobody'))], [false, false]);
  writeFileSync(path, 'no collection at all'.repeat(500));
  await assert.rejects(store.overview(user, { nowMillis: 0, days: 0 }), { code: 'SQLITE_NOTADB' });
});
