/** What is left of a backup that was killed, and what must not be taken for that. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { makeBackup } from '../../lib/backup/backup.ts';
import { addUsers, temporary } from '../check/data-folders.ts';

const LONG_AGO = new Date(Date.now() - 7 * 60 * 60_000);

/** Says so at its first user, and stays there: `makeBackup` in a process of its own. */
const AT_WORK = `
  const { makeBackup } = await import(process.argv[1]);
  const [base, to] = process.argv.slice(2);
  await makeBackup({ base, to, only: [], copied() {}, found() {}, began() {
    require('node:fs').writeSync(1, 'began');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  } });`;

async function atWork(t: TestContext, base: string, to: string): Promise<ChildProcess> {
  const module = new URL('../../lib/backup/backup.ts', import.meta.url).href;
  const child = spawn(process.execPath, ['--input-type=commonjs', '-e', `(async () => {${AT_WORK}})()`, module, base, to], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout!, 'data');
  return child;
}

async function removedBy(base: string, to: string): Promise<string[]> {
  const removed: string[] = [];
  await makeBackup({ base, to, only: [], began() {}, copied() {}, found() {}, removed: (path) => removed.push(path) });
  return removed;
}

const partials = (folder: string): string[] => readdirSync(folder).filter((name) => name.includes('.partial-'));

for (const name of ['night', 'night.zip']) {
  test(`what a killed backup to ${name} left goes with the next one, once it is old, and not while its process lives`, async (t) => {
    const [base, other, elsewhere] = [temporary(t), temporary(t), temporary(t)];
    await addUsers(base, 'ada');
    await addUsers(other, 'bob');
    const child = await atWork(t, other, join(elsewhere, name));
    const [left] = partials(elsewhere);
    const marker = join(elsewhere, left!, '.being-made');
    // as if nobody could tell by its age
    utimesSync(marker, LONG_AGO, LONG_AGO);
    assert.deepEqual(await removedBy(base, join(elsewhere, 'one')), []);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    utimesSync(marker, new Date(), new Date());
    assert.deepEqual(await removedBy(base, join(elsewhere, 'two')), []);
    utimesSync(marker, LONG_AGO, LONG_AGO);
    if (name.endsWith('.zip')) writeFileSync(join(elsewhere, `${left}.zip`), 'half of it');
    assert.deepEqual(await removedBy(base, join(elsewhere, 'three')), [join(elsewhere, left!)]);
    assert.deepEqual(readdirSync(elsewhere).sort(), ['one', 'three', 'two']);
    for (const each of ['one', 'three', 'two']) assert.ok(!existsSync(join(elsewhere, each, '.being-made')), 'nothing of the making is in a backup');
  });
}

test('what only has such a name stays: folders without a lock, files, and links', async (t) => {
  const [base, elsewhere, precious] = [temporary(t), temporary(t), temporary(t)];
  await addUsers(base, 'ada');
  mkdirSync(join(elsewhere, 'a.partial-00000000'));
  writeFileSync(join(elsewhere, 'a.partial-00000000', 'something'), 'of somebody');
  writeFileSync(join(elsewhere, 'a.partial-11111111'), 'a file');
  writeFileSync(join(precious, '.being-made'), '');
  utimesSync(join(precious, '.being-made'), LONG_AGO, LONG_AGO);
  symlinkSync(precious, join(elsewhere, 'a.partial-22222222'));
  mkdirSync(join(elsewhere, 'a.partial-33333333'));
  symlinkSync(join(precious, '.being-made'), join(elsewhere, 'a.partial-33333333', '.being-made'));
  const before = partials(elsewhere);
  assert.deepEqual(await removedBy(base, join(elsewhere, 'one')), []);
  assert.deepEqual([partials(elsewhere), readdirSync(precious)], [before, ['.being-made']]);
});
