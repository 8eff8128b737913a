import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import Database from 'better-sqlite3';
import { makeBackup } from '../../lib/backup/backup.ts';
import { openControl } from '../../lib/backup/control.ts';
import type { Manifest } from '../../lib/backup/manifest.ts';
import { restoreBackup, restoreSnapshot, type RestoredUser } from '../../lib/backup/restore.ts';
import { SqliteUsers } from '../../lib/auth/sqlite-users.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import { checkDataFolder } from '../../lib/check/data-folder.ts';
import { lockDataFolder } from '../../lib/storage/files/data-folder-lock.ts';
import { writeMediaIndex } from '../../lib/storage/sqlite/media-index-file.ts';
import { listSnapshots } from '../../lib/storage/sqlite/snapshots.ts';
import { CHEAP } from '../auth/cheap.ts';
import { addUsers, alter, MEDIA, temporary } from '../check/data-folders.ts';
import { contentsOf } from '../import/old-data.ts';

async function backUp(base: string, to: string, only: string[] = []): Promise<{ manifest: Manifest; problems: string[] }> {
  const problems: string[] = [];
  const manifest = await makeBackup({ base, to, only, began() {}, copied() {}, found: ({ about, text }) => problems.push(`${about}: ${text}`) });
  return { manifest, problems };
}

async function restore(base: string, from: string, only: string[] = []): Promise<RestoredUser[]> {
  const users: RestoredUser[] = [];
  await restoreBackup({ base, from, only, copied() {}, restored: (user) => users.push(user) });
  return users;
}

async function problemsIn(base: string): Promise<string[]> {
  const lines: string[] = [];
  await checkDataFolder({ base, deep: true, only: [], began() {}, found: ({ level, about, text }) => level === 'problem' && lines.push(`${about}: ${text}`) });
  return lines;
}

/** Everything that a client could see of a user, stamps aside. */
function stateOf(base: string, user: string): unknown {
  const db = new Database(join(base, user, 'collection.anki2'), { readonly: true });
  const index = new Database(join(base, user, 'media.db'), { readonly: true });
  try {
    const tables = ['notes', 'cards', 'revlog', 'graves'].map((table) => db.prepare(`SELECT * FROM ${table}`).raw().all());
    const media = index.prepare('SELECT fname, hex(csum), size FROM media WHERE size > 0 ORDER BY fname').raw().all() as [string, string, number][];
    const files = media.map(([name]) => readFileSync(join(base, user, 'media', name), 'utf8'));
    return { tables, col: db.prepare('SELECT crt, ver, conf, models, decks, dconf, tags FROM col').raw().get(), media, files };
  } finally {
    db.close();
    index.close();
  }
}

function scmOf(base: string, user: string): number {
  const db = new Database(join(base, user, 'collection.anki2'), { readonly: true });
  try {
    return db.prepare('SELECT scm FROM col').pluck().get() as number;
  } finally {
    db.close();
  }
}

async function verdict(base: string, name: string): Promise<string> {
  const database = await UsersDatabase.open(base);
  try {
    return await new SqliteUsers(database, CHEAP).verify(name, 'secret');
  } finally {
    await database.close();
  }
}

for (const form of ['folder', 'file.zip']) {
  test(`a backup to a ${form} brings everything back in an empty data folder`, async (t) => {
    const [base, elsewhere] = [temporary(t), temporary(t)];
    await addUsers(base, 'ada', 'bob');
    const before = contentsOf(base);
    const to = join(elsewhere, 'deep', form);
    const { manifest, problems } = await backUp(base, to);
    assert.deepEqual(problems, []);
    assert.deepEqual(manifest.users, [{ loginName: 'ada', folder: 'ada' }, { loginName: 'bob', folder: 'bob' }]);
    assert.equal(Object.keys(manifest.files).length, 1 + 2 * (2 + Object.keys(MEDIA).length));
    for (const [path, contents] of contentsOf(base)) if (!/lock\.db|users\.db/.test(path)) assert.equal(before.get(path), contents, path);
    assert.deepEqual(readdirSync(join(elsewhere, 'deep')), [form], 'nothing is left beside it');
    assert.equal(statSync(to).mode & 0o077, 0, 'for its owner alone');

    const fresh = join(elsewhere, 'fresh');
    const restored = await restore(fresh, to);
    assert.deepEqual(restored.map(({ about, collection, files, remarks }) => [about, collection, files, remarks]), [['ada', true, 3, []], ['bob', true, 3, []]]);
    for (const user of ['ada', 'bob']) assert.deepEqual(stateOf(fresh, user), stateOf(base, user));
    assert.deepEqual(await problemsIn(fresh), []);
    assert.deepEqual([await verdict(fresh, 'ada'), await verdict(fresh, 'bob')], ['right', 'right']);
    assert.ok(scmOf(fresh, 'ada') > scmOf(base, 'ada'), 'devices are asked for a one-way sync');
    assert.equal(existsSync(join(fresh, '.anki-sync', 'restore')), false);
    if (form === 'folder') assert.deepEqual(await problemsIn(to), [], 'a backup is a data folder');
  });
}

test('one user is restored over what is there: cards as they were, media joined, the replaced cards kept, others untouched', async (t) => {
  const [base, elsewhere] = [temporary(t), temporary(t)];
  await addUsers(base, 'ada', 'bob');
  const to = join(elsewhere, 'backup.zip');
  await backUp(base, to);
  const then = stateOf(base, 'ada') as { tables: unknown };
  const home = join(base, 'ada');
  alter(join(home, 'collection.anki2'), 'DELETE FROM notes; DELETE FROM cards');
  const bob = contentsOf(join(base, 'bob'));
  // one file deleted, one replaced, one lost, one new
  rmSync(join(home, 'media', 'a.png'));
  alter(join(home, 'media.db'), `UPDATE media SET size = 0, usn = 5 WHERE fname = 'a.png'`);
  writeFileSync(join(home, 'media', 'b.png'), 'newer');
  alter(join(home, 'media.db'), `UPDATE media SET size = 5, usn = 6, csum = x'${hash('sha1', 'newer')}' WHERE fname = 'b.png'`);
  rmSync(join(home, 'media', '漢字.png'));
  writeFileSync(join(home, 'media', 'new.png'), 'new');
  alter(join(home, 'media.db'), `INSERT INTO media VALUES ('new.png', x'${hash('sha1', 'new')}', 3, 7, 0);
    UPDATE meta SET (last_usn, total_bytes, total_nonempty_files) = (SELECT 7, sum(size), 3 FROM media)`);
  const changed = scmOf(base, 'ada');

  const [user] = await restore(base, to, ['ADA']);
  assert.deepEqual([user!.collection, user!.files, user!.added, user!.remarks], [true, 3, false, []]);
  const now = stateOf(base, 'ada') as { tables: unknown; media: [string][]; files: string[] };
  assert.deepEqual(now.tables, then.tables);
  assert.deepEqual(Object.fromEntries(now.media.map(([name], index) => [name, now.files[index]])), { ...MEDIA, 'new.png': 'new' });
  assert.ok(scmOf(base, 'ada') > changed);
  assert.deepEqual(contentsOf(join(base, 'bob')), bob);
  assert.deepEqual(await problemsIn(base), []);

  // and what was replaced comes back
  assert.equal(listSnapshots(home).length, 1);
  await restoreSnapshot(base, 'ada', 'latest');
  assert.deepEqual((stateOf(base, 'ada') as { tables: unknown[][] }).tables.map((rows) => rows.length), [0, 0, 0, 0]);
  assert.equal(listSnapshots(home).length, 2);
  await assert.rejects(restoreSnapshot(base, 'ada', '20000101T000000000Z'), /"ada" has no snapshot 20000101T000000000Z/);
});

test('a user who was removed comes back with the password of the backup', async (t) => {
  const [base, elsewhere] = [temporary(t), temporary(t)];
  await addUsers(base, 'ada', 'bob');
  await backUp(base, join(elsewhere, 'b'));
  const database = await UsersDatabase.open(base);
  await new SqliteUsers(database, CHEAP).remove('ada');
  await database.close();
  rmSync(join(base, 'ada'), { recursive: true });
  const [user] = await restore(base, join(elsewhere, 'b'), ['ada']);
  assert.deepEqual([user!.added, user!.collection, user!.files], [true, true, 3]);
  assert.equal(await verdict(base, 'ada'), 'right');
});

test('a damaged backup changes nothing', async (t) => {
  const [base, elsewhere] = [temporary(t), temporary(t)];
  await addUsers(base, 'ada');
  await backUp(base, join(elsewhere, 'b'));
  await backUp(base, join(elsewhere, 'b.zip'));
  appendFileSync(join(elsewhere, 'b', 'ada', 'collection.anki2'), 'x');
  const zip = readFileSync(join(elsewhere, 'b.zip'));
  zip[zip.length - 5000]! ^= 1;
  writeFileSync(join(elsewhere, 'b.zip'), zip);
  writeFileSync(join(elsewhere, 'text.zip'), 'no zip');
  const before = contentsOf(join(base, 'ada'));
  await assert.rejects(restore(base, join(elsewhere, 'b')), /ada\/collection\.anki2 in the backup is damaged; nothing was changed/);
  await assert.rejects(restore(base, join(elsewhere, 'b.zip')));
  await assert.rejects(restore(base, join(elsewhere, 'text.zip')), /cannot be opened as a zip file/);
  await assert.rejects(restore(base, elsewhere), /is no backup: it has no manifest\.json/);
  await assert.rejects(restore(base, join(elsewhere, 'none')), /none does not exist/);
  await assert.rejects(restore(base, join(elsewhere, 'b'), ['zoe']), /the backup has no user "zoe"/);
  const manifest = JSON.parse(readFileSync(join(elsewhere, 'b', 'manifest.json'), 'utf8')) as Manifest;
  manifest.users[0]!.folder = '../elsewhere';
  writeFileSync(join(elsewhere, 'b', 'manifest.json'), JSON.stringify(manifest));
  await assert.rejects(restore(base, join(elsewhere, 'b')), /names a folder that is none/);
  assert.deepEqual(contentsOf(join(base, 'ada')), before);
});

test('a media file that is damaged in the backup is named, and the others come back', async (t) => {
  const [base, elsewhere] = [temporary(t), temporary(t)];
  await addUsers(base, 'ada');
  await backUp(base, join(elsewhere, 'b'));
  writeFileSync(join(elsewhere, 'b', 'ada', 'media', 'b.png'), 'BB');
  const [user] = await restore(join(elsewhere, 'fresh'), join(elsewhere, 'b'));
  assert.deepEqual([user!.files, user!.remarks], [2, ['the media file "b.png" is damaged in the backup']]);
  assert.deepEqual(await problemsIn(join(elsewhere, 'fresh')), []);
});

test('what is wrong in the data folder is told, and backed up as it is', async (t) => {
  const [base, elsewhere] = [temporary(t), temporary(t)];
  await addUsers(base, 'ada', 'bob');
  rmSync(join(base, 'ada', 'media', 'a.png'));
  const { manifest, problems } = await backUp(base, join(elsewhere, 'b'));
  assert.equal(problems.length, 1);
  assert.match(problems[0]!, /^ada: 1 media files are missing: "a\.png"/);
  assert.equal(manifest.files['ada/media/b.png']?.bytes, 2);
  assert.equal(manifest.files['ada/media/a.png'], undefined);
});

test('a backup never writes over anything, nor into the data folder', async (t) => {
  const [base, elsewhere] = [temporary(t), temporary(t)];
  await addUsers(base, 'ada');
  mkdirSync(join(elsewhere, 'full'));
  writeFileSync(join(elsewhere, 'full', 'x'), 'mine');
  writeFileSync(join(elsewhere, 'x.zip'), 'mine');
  await assert.rejects(backUp(base, join(elsewhere, 'full')), /exists already, and is not overwritten/);
  await assert.rejects(backUp(base, join(elsewhere, 'x.zip')), /exists already, and is not overwritten/);
  await assert.rejects(backUp(base, join(base, 'backup')), /must lie outside of the data folder/);
  await assert.rejects(backUp(base, join(elsewhere, 'b'), ['zoe']), /there is no user "zoe"/);
  assert.deepEqual(readdirSync(elsewhere).sort(), ['full', 'x.zip']);
});

test('a server that runs and cannot be asked is told', async (t) => {
  const [base, elsewhere] = [temporary(t), temporary(t)];
  await addUsers(base, 'ada');
  const lock = await lockDataFolder(base);
  try {
    await assert.rejects(backUp(base, join(elsewhere, 'b')), /another server is running .*cannot be asked for copies/);
    await assert.rejects(restore(base, elsewhere), /another server is running/);
    // a socket file that a killed server left
    writeFileSync(join(base, '.anki-sync', 'control.json'), JSON.stringify({ path: join(base, '.anki-sync', 'control.sock') }));
    await assert.rejects(backUp(base, join(elsewhere, 'b')), /another server is running/);
  } finally {
    await lock.release();
  }
});

test('media that change while they are copied are copied again, as the newer index says', async (t) => {
  const [base, elsewhere] = [temporary(t), temporary(t)];
  await addUsers(base, 'ada');
  const home = join(base, 'ada');
  let calls = 0;
  const control = await openControl(base, {
    async copyUser(_userId, to) {
      copyFileSync(join(home, 'collection.anki2'), join(to, 'collection.anki2'));
      copyFileSync(join(home, 'media.db'), join(to, 'media.db'));
      if (++calls > 1) return true;
      // a device syncs in this moment: one file replaced, one deleted, one new
      writeFileSync(join(home, 'near'), 'newer');
      renameSync(join(home, 'near'), join(home, 'media', 'b.png'));
      rmSync(join(home, 'media', 'a.png'));
      writeFileSync(join(home, 'media', 'new.png'), 'new');
      rmSync(join(home, 'media.db'));
      const now = { '漢字.png': 'c', 'b.png': 'newer', 'new.png': 'new' };
      writeMediaIndex(join(home, 'media.db'), Object.entries(now).map(([name, text], usn) => ({ name, sha1: hash('sha1', text), bytes: text.length, usn })), 9);
      return true;
    },
  });
  t.after(() => control.close());
  const { manifest, problems } = await backUp(base, join(elsewhere, 'b'));
  assert.deepEqual([calls, problems], [2, []]);
  assert.deepEqual(readdirSync(join(elsewhere, 'b', 'ada', 'media')).sort(), ['b.png', 'new.png', '漢字.png']);
  assert.equal(readFileSync(join(elsewhere, 'b', 'ada', 'media', 'b.png'), 'utf8'), 'newer');
  assert.deepEqual(Object.keys(manifest.files).filter((path) => path.includes('/media/')).sort(), ['ada/media/b.png', 'ada/media/new.png', 'ada/media/漢字.png']);
});

test('names that are no file names on some system are kept, also in a zip', async (t) => {
  const [base, elsewhere] = [temporary(t), temporary(t)];
  await addUsers(base, 'ada');
  const home = join(base, 'ada');
  const odd: Record<string, string> = { 'a\\b.png': '1', 'con.png': '2', 'a?.png': '3', [`${'x'.repeat(220)}.png`]: '4' };
  for (const [name, text] of Object.entries(odd)) writeFileSync(join(home, 'media', name), text);
  rmSync(join(home, 'media.db'));
  const all = Object.entries({ ...MEDIA, ...odd });
  writeMediaIndex(join(home, 'media.db'), all.map(([name, text], usn) => ({ name, sha1: hash('sha1', text), bytes: Buffer.byteLength(text), usn })), 9);
  assert.deepEqual((await backUp(base, join(elsewhere, 'b.zip'))).problems, []);
  await restore(join(elsewhere, 'fresh'), join(elsewhere, 'b.zip'));
  assert.deepEqual(stateOf(join(elsewhere, 'fresh'), 'ada'), stateOf(base, 'ada'));
});
