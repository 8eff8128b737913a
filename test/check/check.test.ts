import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import Database from 'better-sqlite3';
import { checkDataFolder } from '../../lib/check/data-folder.ts';
import { lockDataFolder } from '../../lib/storage/files/data-folder-lock.ts';
import { listSnapshots, takeSnapshot } from '../../lib/storage/sqlite/snapshots.ts';
import { contentsOf } from '../import/old-data.ts';
import { addUsers, alter, temporary } from './data-folders.ts';

async function findings(base: string, options: { deep?: boolean; only?: string[] } = {}): Promise<string[]> {
  const lines: string[] = [];
  await checkDataFolder({
    base,
    deep: options.deep ?? false,
    only: options.only ?? [],
    began() {},
    found: ({ level, about, text }) => lines.push(`${level} ${about ?? '-'}: ${text}`),
  });
  return lines;
}

test('a sound data folder has no findings, and is not touched', async (t) => {
  const base = temporary(t);
  await addUsers(base, 'ada', 'bob');
  takeSnapshot(join(base, 'ada'), join(base, 'ada', 'collection.anki2'), 1000);
  const before = contentsOf(base);
  assert.deepEqual(await findings(base, { deep: true }), []);
  const after = contentsOf(base);
  for (const name of ['lock.db', 'lock.db-journal']) for (const map of [before, after]) map.delete(join(base, '.anki-sync', name));
  assert.deepEqual(after, before);
});

const cases: [string, (home: string, base: string) => void, RegExp[], { deep?: boolean }?][] = [
  ['a collection that is cut off', (home) => truncateSync(join(home, 'collection.anki2'), 30_000), [/^problem ada: the collection cannot be used: .*restore it from a backup$/]],
  ['a collection that is no database', (home) => writeFileSync(join(home, 'collection.anki2'), 'x'.repeat(5000)), [/^problem ada: the collection cannot be used: it is damaged \(SQLITE_NOTADB\)/]],
  ['JSON that cannot be read', (home) => alter(join(home, 'collection.anki2'), `UPDATE col SET decks = '{'`), [/^problem ada: the collection cannot be used: /]],
  ['a newer schema', (home) => alter(join(home, 'collection.anki2'), 'UPDATE col SET ver = 99'), [/^problem ada: the collection cannot be used: its schema 99 is of a newer Anki/]],
  ['numbers later than the collection', (home) => alter(join(home, 'collection.anki2'), 'UPDATE notes SET usn = 11 WHERE id = 1001'), [/^problem ada: 1 of the notes have a later update sequence number/]],
  ['numbers of what was never sent', (home) => alter(join(home, 'collection.anki2'), `UPDATE cards SET usn = -1; UPDATE col SET decks = json_set(decks, '$."1".usn', -1)`), [/^problem ada: 2 of the cards have no update sequence number/, /^problem ada: 1 of the decks have no/]],
  ['cards without their note and deck', (home) => alter(join(home, 'collection.anki2'), 'UPDATE cards SET did = 7; DELETE FROM notes WHERE id = 1001'), [/^problem ada: 1 cards have no note: "Check Database"/, /^problem ada: 2 cards are in a deck that is not there/]],
  ['a collection that is gone, with a snapshot of it', (home) => {
    takeSnapshot(home, join(home, 'collection.anki2'), Date.now());
    rmSync(join(home, 'collection.anki2'));
  }, [/^problem ada: the collection is missing, but there are snapshots/]],
  ['a damaged snapshot, only looked at deep down', (home) => {
    takeSnapshot(home, join(home, 'collection.anki2'), Date.now());
    copyFileSync(join(home, 'collection.anki2'), join(home, 'new'));
    renameSync(join(home, 'new'), join(home, 'collection.anki2'));
    truncateSync(join(home, '.snapshots', listSnapshots(home)[0]!.name), 20_000);
  }, [/^problem ada: the snapshot \d{8}T\d{9}Z cannot be used/], { deep: true }],
  ['media that are missing', (home) => rmSync(join(home, 'media', 'b.png')), [/^problem ada: 1 media files are missing: "b\.png"; a device/]],
  ['media of another size', (home) => appendFileSync(join(home, 'media', 'b.png'), 'b'), [/^problem ada: 1 media files are not what was uploaded: "b\.png"/]],
  ['media with other bytes, only looked at deep down', (home) => writeFileSync(join(home, 'media', 'b.png'), 'BB'), [/^problem ada: 1 media files are not what was uploaded: "b\.png"/], { deep: true }],
  ['media that nobody gets', (home) => writeFileSync(join(home, 'media', 'new.png'), 'x'), [/^note ada: 1 files in media\/ are not in the index.*"new\.png"$/]],
  ['a deleted file that is still there', (home) => writeFileSync(join(home, 'media', 'gone.png'), 'x'), [/^note ada: 1 files in media\/ are not in the index.*"gone\.png"$/]],
  ['a media index that is gone', (home) => rmSync(join(home, 'media.db')), [/^problem ada: 3 media files are there, but their index media\.db is missing/]],
  ['a media index that is damaged', (home) => truncateSync(join(home, 'media.db'), 5000), [/^problem ada: the media index media\.db is damaged/]],
  ['a media index that cannot count', (home) => alter(join(home, 'media.db'), 'UPDATE meta SET total_nonempty_files = 7, last_usn = 2'), [/^problem ada: the media index counts 7 files with 4 bytes, but lists 3 with 4/, /^problem ada: the media index lists changes up to 4, but says that 2 is the last/]],
  ['leftovers', (home, base) => {
    writeFileSync(join(home, 'collection.anki2.new'), '');
    mkdirSync(join(base, '.anki-sync', 'import', 'user'), { recursive: true });
    mkdirSync(join(base, '.anki-sync', 'staging'));
    writeFileSync(join(base, '.anki-sync', 'staging', 'x'), '');
  }, [/^note ada: left over from a crash.*"collection\.anki2\.new"$/, /^note -: unfinished uploads/, /^note -: an import was cut off/]],
  ['a folder without a user', (home, base) => renameSync(home, join(base, 'bob')), [/^note bob: a folder without a user/]],
  ['a damaged database of users', (_home, base) => truncateSync(join(base, '.anki-sync', 'users.db'), 5000), [/^problem -: the database of users .* is damaged .*: nobody can sign in/]],
];

for (const [what, damage, expected, options] of cases) {
  test(`found: ${what}`, async (t) => {
    const base = temporary(t);
    await addUsers(base, 'ada');
    damage(join(base, 'ada'), base);
    if (options?.deep === true) assert.deepEqual(await findings(base), []);
    const lines = await findings(base, options);
    assert.equal(lines.length, expected.length, lines.join('\n'));
    expected.forEach((pattern, index) => assert.match(lines[index]!, pattern));
  });
}

test('what waits in a log beside the collection is checked, and stays there', async (t) => {
  const base = temporary(t);
  await addUsers(base, 'ada');
  const path = join(base, 'ada', 'collection.anki2');
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.exec('DELETE FROM notes');
  for (const suffix of ['', '-wal']) copyFileSync(path + suffix, join(base, `copy${suffix}`));
  db.close();
  for (const suffix of ['', '-wal']) renameSync(join(base, `copy${suffix}`), path + suffix);
  const log = readFileSync(`${path}-wal`);
  assert.deepEqual(await findings(base), ['problem ada: 2 cards have no note: "Check Database" in Anki repairs that']);
  assert.deepEqual(readFileSync(`${path}-wal`), log);
});

test('only those who are named are checked', async (t) => {
  const base = temporary(t);
  await addUsers(base, 'ada', 'bob');
  for (const name of ['ada', 'bob']) rmSync(join(base, name, 'media', 'a.png'));
  assert.deepEqual((await findings(base, { only: ['BOB'] })).map((line) => line.slice(0, 12)), ['problem bob:']);
});

test('a data folder that a server holds is not looked at', async (t) => {
  const base = temporary(t);
  await addUsers(base, 'ada');
  const lock = await lockDataFolder(base);
  try {
    await assert.rejects(findings(base), /another server is running on the data folder/);
  } finally {
    await lock.release();
  }
});
