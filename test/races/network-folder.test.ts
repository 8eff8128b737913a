/**
 * Two machines with one data folder on a network file system. A machine is played by another kernel id, or by another mount of a FUSE
 * file system, which locks for all mounts like a good network file system, or for each alone like one that only pretends to.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test, type TestContext } from 'node:test';
import { lockDataFolder } from '../../lib/storage/files/data-folder-lock.ts';
import { inOtherProcess, otherProcess } from '../auth/folder.ts';
import { temporaryFolder } from '../cli/command.ts';
import { serverProcess } from '../engine/server-process.ts';

const SIGN = { shared: true, signMillis: 100 };

/** As a file system that only pretends to lock: the lock's file is another one for each machine. */
function unlock(base: string): void {
  renameSync(join(base, '.anki-sync', 'lock.db'), join(base, '.anki-sync', `lock-${Math.random()}.db`));
}

const holderOf = (base: string): string => readFileSync(join(base, '.anki-sync', 'server.json'), 'utf8');

test('where the file system does not lock, a server of another machine is known by its signs of life', async (t) => {
  const base = await temporaryFolder(t);
  const first = await lockDataFolder(base, 'server', { ...SIGN, kernel: 'one' });
  unlock(base);
  await assert.rejects(lockDataFolder(base, 'server', { ...SIGN, kernel: 'other' }), (error: Error & { code: string }) => {
    assert.equal(error.code, 'DATA_FOLDER_IN_USE');
    assert.match(error.message, /another server is running on the data folder .*: stop it first, or use another folder\. .* does not lock between machines/);
    return true;
  });
  assert.match(holderOf(base), /"kernel":"one"/);
  await first.release();
  await (await lockDataFolder(base, 'server', { ...SIGN, kernel: 'other' })).release();
});

test('what a machine left that crashed, or a backup brought, gives no signs: the folder is free after a while', async (t) => {
  const base = await temporaryFolder(t);
  const lock = await lockDataFolder(base, 'server', { ...SIGN, kernel: 'one' });
  const left = holderOf(base);
  await lock.release();
  writeFileSync(join(base, '.anki-sync', 'server.json'), left);
  await (await lockDataFolder(base, 'server', { ...SIGN, kernel: 'other' })).release();
  assert.equal(existsSync(join(base, '.anki-sync', 'server.json')), false);
});

test('a server that finds another one on its folder is told, and does not take its file away', async (t) => {
  const base = await temporaryFolder(t);
  const told = Promise.withResolvers<string>();
  const first = await lockDataFolder(base, 'server', { ...SIGN, kernel: 'one', lost: told.resolve });
  // both began at the same moment, or the network was away for as long as the locks live
  const other = holderOf(base).replace(/"id":"[^"]*"/, '"id":"another"');
  writeFileSync(join(base, '.anki-sync', 'server.json'), other);
  assert.match(await told.promise, /another server is running on the data folder .*started although this one runs/);
  await first.release();
  assert.equal(holderOf(base), other);
});

before(() => {
  const isMissing = (): boolean => spawnSync('bindfs', ['--version']).error !== undefined;
  if (isMissing() && process.getuid?.() === 0) spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'bindfs'], { timeout: 60_000 });
});

/** The same folder below several mounts. Undefined, with the reason, where that cannot be had. */
function mounts(t: TestContext, ...options: string[]): [string, string] | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-mounts-'));
  const places: [string, string] = [join(folder, 'one'), join(folder, 'other')];
  t.after(() => {
    for (const place of places) spawnSync('umount', ['-l', place]);
    rmSync(folder, { recursive: true });
  });
  mkdirSync(join(folder, 'real'));
  for (const place of places) {
    mkdirSync(place);
    const { status, error } = spawnSync('bindfs', [...options, join(folder, 'real'), place]);
    if (error !== undefined || status !== 0) {
      t.skip('bindfs is not installed, or FUSE may not be mounted');
      return undefined;
    }
  }
  return places;
}

test('on a file system that locks for all machines, the second is refused by the lock', async (t) => {
  const places = mounts(t, '--enable-lock-forwarding', '--multithreaded');
  if (places === undefined) return;
  const { child, printed, ended } = otherProcess(places[0], 'lock');
  assert.equal(await printed, 'locked');
  assert.equal(await inOtherProcess(places[1], 'lock'), 'refused');
  child.kill('SIGKILL');
  await ended;
  await (await lockDataFolder(places[1])).release();
});

test('on one that locks for each machine alone, the second is refused by the signs of the first', async (t) => {
  const places = mounts(t);
  if (places === undefined) return;
  const { child, printed, ended } = otherProcess(places[0], 'lock');
  assert.equal(await printed, 'locked');
  await assert.rejects(lockDataFolder(places[1], 'server', { kernel: 'other' }), { code: 'DATA_FOLDER_IN_USE' });
  child.kill('SIGKILL');
  await ended;
});

test('a server process ends at once when another machine has taken its folder', async (t) => {
  const places = mounts(t);
  if (places === undefined) return;
  await using server = await serverProcess(places[0]);
  writeFileSync(join(places[1], '.anki-sync', 'server.json'), holderOf(places[1]).replace(/"id":"[^"]*"/, '"id":"another"'));
  await server.line(/ error data folder 503 .*another server is running on the data folder/);
  assert.equal(await server.ended, null);
});

test('on a disk of this machine no signs are given: the lock is enough', async (t) => {
  const base = await temporaryFolder(t);
  const lock = await lockDataFolder(base, 'server', { signMillis: 20 });
  const held = holderOf(base);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(holderOf(base), held);
  await lock.release();
});
