import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { Lane } from '../../lib/engine/lane-pool.ts';
import { prepareUpload } from '../../lib/storage/sqlite/anki2.ts';
import { createCollectionFile } from '../../lib/storage/sqlite/collection-file.ts';

let folder: string;
let sound: string;
let files = 0;
const lane = new Lane();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anki-lane-'));
  sound = join(folder, 'sound.anki2');
  createCollectionFile(sound);
  change(sound, (db) => {
    const ids = 'WITH RECURSIVE ids(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < 200)';
    db.exec(`INSERT INTO notes ${ids} SELECT id, 'g' || id, 1, 0, 0, '', 'front' || char(31) || hex(zeroblob(400)), 'front', 7, 0, '' FROM ids`);
    db.exec(`INSERT INTO cards ${ids} SELECT id, id, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, '' FROM ids`);
    db.exec(`INSERT INTO revlog ${ids} SELECT id, id, 0, 1, 1, 1, 0, 1, 0 FROM ids`);
  });
});

after(async () => {
  await lane.close();
  await rm(folder, { recursive: true });
});

function change(path: string, work: (db: Database.Database) => void): void {
  const db = new Database(path);
  work(db);
  db.close();
}

async function copyOf(path: string): Promise<string> {
  const copy = join(folder, `copy-${files++}.anki2`);
  await copyFile(path, copy);
  return copy;
}

/** A collection with an index that has the old value of a row. The number of entries is right, so a quick check does not see it. */
async function withStaleIndex(table: string, column: string): Promise<string> {
  const path = await copyOf(sound);
  const index = `ix_${table}_${column}`;
  change(path, (db) => {
    db.unsafeMode(true);
    db.pragma('writable_schema = ON');
    const entry = db.prepare('SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master WHERE name = ?').raw().get(index) as unknown[];
    db.prepare('DELETE FROM sqlite_master WHERE name = ?').run(index);
    db.pragma('writable_schema = RESET');
    db.exec(`UPDATE ${table} SET ${column} = 77 WHERE id = 5`);
    db.pragma('writable_schema = ON');
    db.prepare('INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)').run(...entry);
  });
  return path;
}

describe('the lane', () => {
  test('takes a sound collection', async () => {
    const path = await copyOf(sound);
    const verdict = await lane.prepareUpload(path);
    assert.deepEqual({ ...verdict, bytes: 0 }, { verdict: 'ok', schemaVersion: 11, losses: [], bytes: 0 });
    change(path, (db) => assert.equal(db.pragma('integrity_check', { simple: true }), 'ok'));
  });

  for (const [table, column] of [['revlog', 'cid'], ['cards', 'nid'], ['notes', 'csum']] as const) {
    test(`finds an entry of an index of ${table} that is not that of its row`, async () => {
      const damaged = await withStaleIndex(table, column);
      const alone = prepareUpload(await copyOf(damaged));
      assert.equal(alone.verdict, 'corrupt');
      assert.deepEqual(await lane.prepareUpload(await copyOf(damaged)), alone);
    });
  }

  test('gives each of many uploads its own verdict, and goes on after one that failed', async () => {
    const damaged = await withStaleIndex('revlog', 'usn');
    const paths = [sound, damaged, sound, damaged, sound];
    const verdicts = await Promise.all(paths.map(async (path) => (await lane.prepareUpload(await copyOf(path))).verdict));
    assert.deepEqual(verdicts, ['ok', 'corrupt', 'ok', 'corrupt', 'ok']);
    await assert.rejects(lane.prepareUpload(join(folder, 'missing')));
    assert.equal((await lane.prepareUpload(await copyOf(sound))).verdict, 'ok');
  });
});
