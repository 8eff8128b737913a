import assert from 'node:assert/strict';
import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { addUsers } from '../check/data-folders.ts';
import { ankiSync, startServer, temporaryFolder } from './command.ts';
import { atTerminal } from './terminal.ts';

test('backup and restore say what they did, and end with 1 when something is wrong', async (t) => {
  const [base, elsewhere] = [await temporaryFolder(t), await temporaryFolder(t)];
  await addUsers(base, 'ada', 'bob');
  const made = await ankiSync(['backup', '--base', base, '--to', join(elsewhere, 'a')]);
  assert.deepEqual([made.code, made.stderr], [0, '']);
  assert.match(made.stdout, /^backed up 2 users to .*a: 11 files, [\d.]+ KiB, verified\n$/);
  rmSync(join(base, 'bob', 'media', 'a.png'));
  const wrong = await ankiSync(['backup', 'bob', '--base', base, '--to', join(elsewhere, 'b')]);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stdout, /^problem: "bob": 1 media files are missing.*\nbacked up 1 user to .*, verified; 1 problem\n$/);
  const restored = await ankiSync(['restore', 'bob', '--from', join(elsewhere, 'a'), '--base', base]);
  assert.equal(restored.code, 0, restored.stderr);
  assert.match(restored.stdout, /^"bob": cards, 1 media file that had changed or were missing\neach device will be asked for a one-way sync/);
  assert.equal((await ankiSync(['check', '--base', base])).code, 0);
});

test('what cannot be is told in one line', async (t) => {
  const base = await temporaryFolder(t);
  await addUsers(base, 'ada');
  const cases: [string[], number, RegExp][] = [
    [['backup'], 2, /backup needs --to/],
    [['backup', '--to', '/tmp/x', '--base', join(base, 'none')], 2, /there is no data folder/],
    [['backup', '--to', join(base, 'x'), '--base', base], 1, /outside of the data folder/],
    [['restore', '--base', base], 2, /either --from BACKUP or --snapshot TIME/],
    [['restore', '--from', 'x', '--snapshot', 'y', '--base', base], 2, /either --from BACKUP or --snapshot TIME/],
    [['restore', '--from', 'x', '--base', base], 2, /restore needs the names of users, or --all/],
    [['restore', '--snapshot', 'latest', '--base', base], 2, /a snapshot is of one user/],
    [['restore', 'ada', '--snapshot', 'latest', '--base', base], 1, /"ada" has no snapshot latest/],
    [['restore', 'zoe', '--snapshot', 'latest', '--base', base], 1, /there is no user "zoe"/],
    [['restore', '--all', '--from', join(base, 'none'), '--base', base], 1, /none does not exist/],
    [['snapshots', '--base', base], 2, /snapshots needs one name/],
    [['snapshots', 'zoe', '--base', base], 2, /there is no user "zoe"/],
  ];
  for (const [args, code, words] of cases) {
    const outcome = await ankiSync(args, { cwd: base });
    assert.deepEqual([outcome.code, outcome.stdout], [code, ''], args.join(' '));
    assert.match(outcome.stderr, words);
    assert.match(outcome.stderr, /^anki-sync: .*\n$/);
  }
});

test('the way to a server that runs is for its own account alone, and gone with it', { skip: process.platform === 'win32' }, async (t) => {
  const base = await temporaryFolder(t);
  const server = await startServer(t, ['--base', base, '--port', '0']);
  for (const name of ['control.sock', 'control.json']) assert.equal(statSync(join(base, '.anki-sync', name)).mode & 0o777, 0o600, name);
  assert.equal(await server.stop(), 0);
  for (const name of ['control.sock', 'control.json']) assert.equal(existsSync(join(base, '.anki-sync', name)), false, name);
  // one that was killed leaves both behind: neither a server nor a backup minds
  const killed = await startServer(t, ['--base', base, '--port', '0']);
  await killed.stop('SIGKILL');
  assert.equal((await ankiSync(['backup', '--base', base, '--to', join(base, '..', `${base.split('/').at(-1)}-b`)])).code, 0);
  rmSync(join(base, '..', `${base.split('/').at(-1)}-b`), { recursive: true });
  const next = await startServer(t, ['--base', base, '--port', '0']);
  assert.equal(await next.stop(), 0);
});

test('at a terminal a bar shows how far it is', async (t) => {
  const [base, elsewhere] = [await temporaryFolder(t), await temporaryFolder(t)];
  await addUsers(base, 'ada');
  const shown = await atTerminal('backup', '--base', base, '--to', join(elsewhere, 'a'));
  assert.match(shown, /\r\x1b\[K1 of 1: "ada"\r\x1b\[K1 of 1: "ada" \[#+ *\] \d+% /);
  assert.match(shown, /\r\x1b\[Kbacked up 1 user/);
  const back = await atTerminal('restore', '--all', '--from', join(elsewhere, 'a'), '--base', join(elsewhere, 'b'));
  assert.match(back, /\r\x1b\[Krestoring \[#+ *\] \d+%/);
});
