import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { diskError } from '../../lib/auth/disk-error.ts';
import { SqliteUserDirectory } from '../../lib/auth/user-directory.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import type { UsersError } from '../../lib/auth/users-error.ts';
import { usersDatabasePath } from '../../lib/auth/users-schema.ts';
import { run } from '../oracle/anki-python.ts';
import { dataFolder, inOtherProcess } from './folder.ts';

async function withDatabase<T>(base: string, body: (database: UsersDatabase) => Promise<T>, options = {}): Promise<T> {
  const database = await UsersDatabase.open(base, options);
  try {
    return await body(database);
  } finally {
    await database.close();
  }
}

test('the data folder is made, and only its owner can read the users', { skip: process.platform === 'win32' }, async () => {
  const base = join(dataFolder(), 'deep', 'data');
  await withDatabase(base, async () => {
    assert.equal(statSync(join(base, '.anki-sync')).mode & 0o777, 0o700);
    assert.equal(statSync(usersDatabasePath(base)).mode & 0o777, 0o600);
  });
});

test('a login name leads to the same user for ever, and each name to another one', async () => {
  const base = dataFolder();
  const first = await withDatabase(base, (database) => new SqliteUserDirectory(database).userFor('ann@example.org'));
  await withDatabase(base, async (database) => {
    const directory = new SqliteUserDirectory(database);
    assert.deepEqual(await directory.userFor('ann@example.org'), first);
    assert.deepEqual(await directory.userById(first.id), first);
    const bob = await directory.userFor('bob');
    assert.notEqual(bob.id, first.id);
    assert.deepEqual(await directory.list(), [first, bob]);
    assert.equal(await directory.userById('nobody'), null);
  });
  assert.equal(first.loginName, 'ann@example.org');
  assert.equal(first.folder, 'ann@example.org');
  assert.ok(!first.id.includes('ann'));
});

test('a first login on many connections and processes at once makes one user', async () => {
  const base = dataFolder();
  await withDatabase(base, async (database) => {
    const directory = new SqliteUserDirectory(database);
    const others = Promise.all([inOtherProcess(base, 'user', 'ann'), inOtherProcess(base, 'user', 'ann')]);
    const users = await Promise.all(Array.from({ length: 10 }, () => directory.userFor('ann')));
    await others;
    assert.equal(new Set(users.map((user) => user.id)).size, 1);
    assert.equal((await directory.list()).length, 1);
  });
});

test('processes that start at once on a new data folder share it', async () => {
  const base = dataFolder();
  await Promise.all(['ann', 'bob', 'cleo'].map((name) => inOtherProcess(base, 'user', name)));
  await withDatabase(base, async (database) => {
    assert.deepEqual(database.users().map((user) => user.login_name), ['ann', 'bob', 'cleo']);
  });
});

test('a name that is no path gets a folder inside the data folder', async () => {
  await withDatabase(dataFolder(), async (database) => {
    const directory = new SqliteUserDirectory(database);
    const folders = await Promise.all(['../x', '..', 'a/b', '.anki-sync'].map(async (name) => (await directory.userFor(name)).folder));
    for (const folder of folders) assert.match(folder, /^user=[0-9a-f]{32}$/);
    assert.equal(new Set(folders).size, 4);
  });
});

test('a name that cannot be a login name is refused like a wrong password', async () => {
  await withDatabase(dataFolder(), async (database) => {
    const directory = new SqliteUserDirectory(database);
    for (const name of ['', 'a\nb', 'x'.repeat(256)]) await assert.rejects(directory.userFor(name), { code: 'PASSWORD_WRONG', status: 403 });
    assert.deepEqual(await directory.list(), []);
  });
});

test('case does not count in user names, so that one person has one collection', async () => {
  await withDatabase(dataFolder(), async (database) => {
    const directory = new SqliteUserDirectory(database);
    assert.equal(database.caseSensitive, false);
    const user = await directory.userFor('Ann@Example.org');
    assert.deepEqual(await directory.userFor(' ann@example.ORG '), user);
    assert.equal(user.loginName, 'Ann@Example.org');
  });
});

test('where two folders differ only in case, case counts, and each is adopted', async (t) => {
  const base = dataFolder();
  mkdirSync(join(base, 'Bob'));
  try {
    mkdirSync(join(base, 'bob'));
  } catch {
    return t.skip('this file system takes them for one');
  }
  await withDatabase(base, async (database) => {
    const directory = new SqliteUserDirectory(database);
    assert.equal(database.caseSensitive, true);
    assert.equal((await directory.userFor('Bob')).folder, 'Bob');
    assert.equal((await directory.userFor('bob')).folder, 'bob');
  });
});

test('where two given names differ only in case, case counts', async () => {
  const base = dataFolder();
  await withDatabase(base, async (database) => {
    assert.equal(database.caseSensitive, true);
    const directory = new SqliteUserDirectory(database);
    const [first, second] = [await directory.userFor('Bob'), await directory.userFor('bob')];
    assert.notEqual(first.id, second.id);
    assert.notEqual(first.folder.toLowerCase(), second.folder.toLowerCase());
  }, { names: ['Bob', 'bob'] });
});

test('the case rule is fixed at the first start', async () => {
  for (const rule of [true, false]) {
    const base = dataFolder();
    await withDatabase(base, async (database) => assert.equal(database.caseSensitive, rule), { caseSensitive: rule });
    await withDatabase(base, async (database) => assert.equal(database.caseSensitive, rule));
    await withDatabase(base, async (database) => assert.equal(database.caseSensitive, rule), { caseSensitive: rule });
    await assert.rejects(UsersDatabase.open(base, { caseSensitive: !rule }), { code: 'CASE_RULE_FIXED' });
  }
});

test('two given names that the fixed rule takes for one user are refused at start', async () => {
  const base = dataFolder();
  await withDatabase(base, async () => {});
  await assert.rejects(UsersDatabase.open(base, { names: ['Bob', 'bob'] }), { code: 'NAMES_CLASH', message: /Bob.*bob/ });
  await assert.rejects(UsersDatabase.open(dataFolder(), { names: ['Bob', 'bob'], caseSensitive: false }), { code: 'NAMES_CLASH' });
});

test('a database of a newer version is refused, and stays as it is', async () => {
  const base = dataFolder();
  await withDatabase(base, async () => {});
  const db = new Database(usersDatabasePath(base));
  db.pragma('user_version = 1000');
  db.close();
  await assert.rejects(UsersDatabase.open(base), { code: 'DATABASE_TOO_NEW', message: /version 1000/ });
  const again = new Database(usersDatabasePath(base));
  assert.equal(again.pragma('user_version', { simple: true }), 1000);
  again.close();
});

test('a damaged or empty database is not taken for a new one: it stays, and the words for the operator have the way back', async () => {
  for (const content of ['this is no database, but it is long enough to look at '.repeat(40), '']) {
    const base = dataFolder();
    mkdirSync(join(base, '.anki-sync'));
    writeFileSync(usersDatabasePath(base), content);
    await assert.rejects(UsersDatabase.open(base), (error: UsersError) =>
      error.code === 'DATABASE_DAMAGED' && error.message.includes(usersDatabasePath(base)) && error.message.endsWith(`anki-sync restore --all --from BACKUP --base ${base}`));
    assert.equal(readFileSync(usersDatabasePath(base), 'utf8'), content);
  }
});

test('a new database appears as a whole, with rights for its owner alone, and nothing beside it', async () => {
  const base = dataFolder();
  await withDatabase(base, async () => {
    const names = readdirSync(join(base, '.anki-sync'));
    assert.deepEqual(names.filter((name) => name.includes('.new')), []);
    assert.equal(statSync(usersDatabasePath(base)).mode & 0o777, 0o600);
  });
});

test('what a process left that was killed while it made the database goes once it is old, and never what may be in use', async () => {
  const base = dataFolder();
  await (await UsersDatabase.open(base)).close();
  const folder = join(base, '.anki-sync');
  const longAgo = new Date(Date.now() - 2 * 60 * 60_000);
  for (const name of ['users.db.new-000000000000', 'users.db.new-000000000000-journal', 'users.db.new-111111111111', 'users.db.kept']) {
    writeFileSync(join(folder, name), 'half of it');
    if (!name.includes('-1')) utimesSync(join(folder, name), longAgo, longAgo);
  }
  await (await UsersDatabase.open(base)).close();
  assert.deepEqual(readdirSync(folder).filter((name) => /new|kept/.test(name)).sort(), ['users.db.kept', 'users.db.new-111111111111']);
});

test('what the disk refuses is 503 by its kind, and never a wrong password', () => {
  const codes = ['SQLITE_FULL', 'ENOSPC', 'SQLITE_BUSY', 'SQLITE_BUSY_SNAPSHOT', 'SQLITE_IOERR_FSYNC', 'SQLITE_CORRUPT', 'SQLITE_READONLY', 'EACCES', undefined];
  const errors = codes.map((code) => diskError({ code, message: 'told by the disk' }));
  assert.deepEqual(errors.map((error) => error.code),
    ['DISK_FULL', 'DISK_FULL', 'BUSY', 'BUSY', ...Array(5).fill('AUTH_UNAVAILABLE')]);
  for (const error of errors) assert.equal(error.status, 503);
});

test('a write that fails leaves no trace, and the next one works', async () => {
  const base = dataFolder();
  await withDatabase(base, async (database) => {
    const ann = await database.write('ensureUser', 'ann', 'hash', true);
    const meddler = new Database(usersDatabasePath(base));
    meddler.exec(`CREATE TRIGGER meddle BEFORE DELETE ON users BEGIN SELECT RAISE(ABORT, 'no'); END`);
    await database.write('addKey', {
      keyHash: 'h', keyId: 'k', userId: ann.id, client: '', address: null, appPasswordId: null, expiresSecs: null, passwordMark: null,
      nowSecs: 0, softLimit: 9, unusedDays: 9, hardLimit: 9,
    });
    await assert.rejects(database.write('removeUser', ann.id), { code: 'AUTH_UNAVAILABLE', status: 503 });
    assert.equal(database.keysOf(ann.id).length, 1); // ended in the same transaction, so not ended
    meddler.exec('DROP TRIGGER meddle');
    meddler.close();
    assert.equal(await database.write('removeUser', ann.id), 1);
    assert.deepEqual(database.users(), []);
  });
});

test('a writing thread that dies fails its write, and is replaced by the next', async () => {
  const started = once(process, 'worker') as Promise<[Worker]>;
  await withDatabase(dataFolder(), async (database) => {
    const [thread] = await started;
    await database.write('ensureUser', 'ann', null, true);
    const ended = thread.terminate();
    await assert.rejects(database.write('ensureUser', 'bob', null, true), { code: 'AUTH_UNAVAILABLE', status: 503 });
    await ended;
    assert.equal((await database.write('ensureUser', 'cleo', null, true)).login_name, 'cleo');
    assert.deepEqual(database.users().map((user) => user.login_name).filter((name) => name !== 'bob'), ['ann', 'cleo']);
  });
});

test('it opens in a process that runs a script from its command line', async () => {
  const module = new URL('../../lib/auth/users-database.ts', import.meta.url).href;
  const script = `const { UsersDatabase } = await import(${JSON.stringify(module)});
    const database = await UsersDatabase.open(${JSON.stringify(dataFolder())});
    await database.write('ensureUser', 'ann', null, true);
    console.log(database.users().length); // and ends by itself, though nothing was closed`;
  assert.equal(await run(process.execPath, ['--input-type=module', '--eval', script]), '1\n');
});

test('after closing, writes are refused as closing and reads as unavailable, and closing again is nothing', async () => {
  const database = await UsersDatabase.open(dataFolder());
  const writing = database.write('ensureUser', 'ann', null, false);
  await database.close();
  assert.equal((await writing).login_name, 'ann'); // closing waited for it
  await assert.rejects(database.write('ensureUser', 'bob', null, false), { code: 'CLOSING' });
  assert.throws(() => database.users(), { code: 'AUTH_UNAVAILABLE' });
  await database.close();
});
