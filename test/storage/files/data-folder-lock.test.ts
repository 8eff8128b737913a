import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockDataFolder } from '../../../lib/storage/files/data-folder-lock.ts';
import { UsersDatabase } from '../../../lib/auth/users-database.ts';
import { dataFolder, inOtherProcess, otherProcess } from '../../auth/folder.ts';

test('a second server process is refused, and told which one is running', async () => {
  const base = dataFolder();
  const { child, printed, ended } = otherProcess(base, 'lock');
  try {
    assert.equal(await printed, 'locked');
    await assert.rejects(lockDataFolder(base), (error: Error & { code: string }) => {
      assert.equal(error.code, 'DATA_FOLDER_IN_USE');
      assert.match(error.message, new RegExp(`process ${child.pid} on `));
      return true;
    });
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
});

test('a server that was killed leaves no lock behind', async () => {
  const base = dataFolder();
  const { child, printed, ended } = otherProcess(base, 'lock');
  await printed;
  child.kill('SIGKILL');
  await ended;
  await (await lockDataFolder(base)).release();
});

test('a second server in the same process is refused too, and does not break the lock of the first', async () => {
  const base = dataFolder();
  const lock = await lockDataFolder(base);
  await assert.rejects(lockDataFolder(base), { code: 'DATA_FOLDER_IN_USE' });
  assert.equal(await inOtherProcess(base, 'lock'), 'refused');
  await lock.release();
  await (await lockDataFolder(base)).release();
});

test('after its release the folder is free, and releasing again is nothing', async () => {
  const base = dataFolder();
  const first = await lockDataFolder(base);
  await first.release();
  const second = await lockDataFolder(base);
  await first.release();
  await assert.rejects(lockDataFolder(base), { code: 'DATA_FOLDER_IN_USE' });
  await second.release();
});

test('two data folders are two locks, and users are managed beside the server', async () => {
  const [base, another] = [dataFolder(), dataFolder()];
  const locks = [await lockDataFolder(base), await lockDataFolder(another)];
  assert.equal(await inOtherProcess(base, 'add', 'ann', 'secret'), 'done');
  const database = await UsersDatabase.open(base);
  assert.equal(database.users().length, 1);
  await database.close();
  for (const lock of locks) await lock.release();
});

test('what a crash wrote half about the holder does not matter', async () => {
  const base = dataFolder();
  const lock = await lockDataFolder(base);
  writeFileSync(join(base, '.anki-sync', 'server.json'), '{"pid":');
  await assert.rejects(lockDataFolder(base), { code: 'DATA_FOLDER_IN_USE' });
  await lock.release();
});

test('a folder that cannot be written to is an error of its own, not "in use"', async () => {
  const file = join(dataFolder(), 'a file');
  writeFileSync(file, '');
  await assert.rejects(lockDataFolder(file), (error: Error & { code?: string }) => error.code !== 'DATA_FOLDER_IN_USE');
});

test('a data folder that is not there yet is made', async () => {
  const lock = await lockDataFolder(join(dataFolder(), 'not', 'there'));
  await lock.release();
});
