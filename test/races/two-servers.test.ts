/** One data folder, and two who want it: only one gets it, the other is told who has it and what to do. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { lockDataFolder, type DataFolderHolder } from '../../lib/storage/files/data-folder-lock.ts';
import { ankiSync, BIN, startServer, temporaryFolder } from '../cli/command.ts';
import { RawClient } from '../client/raw.ts';
import { notesOn, wholeSync } from '../engine/whole-sync.ts';

const refusals: [DataFolderHolder, RegExp][] = [
  ['server', /^anki-sync: another server is running on the data folder .* \(process \d+ on .*, since .*\): stop it first, or use another folder\n$/],
  ['anki-sync restore', /^anki-sync: anki-sync restore is at work on the data folder .* \(process \d+ on .*\): wait until it is done, or use another folder\n$/],
];
for (const [holder, words] of refusals) {
  test(`a server does not start beside ${holder === 'server' ? 'another one' : `"${holder}"`}, and says what to do`, async (t) => {
    const base = await temporaryFolder(t);
    const lock = await lockDataFolder(base, holder);
    const { code, stderr } = await ankiSync(['serve', '--base', base, '--port', '0']);
    await lock.release();
    assert.equal(code, 1);
    assert.match(stderr, words);
  });
}

test('while a server runs, check and restore say that it must be stopped', async (t) => {
  const base = await temporaryFolder(t);
  const server = await startServer(t, ['--base', base, '--port', '0', '--first-user', 'ada']);
  for (const command of [['check'], ['restore', '--all', '--from', base]]) {
    const { code, stderr } = await ankiSync([...command, '--base', base]);
    assert.equal(code, 1, command[0]);
    assert.match(stderr, /another server is running on the data folder/, command[0]);
  }
  assert.equal((await new RawClient(server.url).get('health')).status, 200);
});

const separate = process.platform === 'linux' && spawnSync('unshare', ['--uts', '--pid', '--fork', 'true']).status === 0;

test('a server in another container, with a name and process numbers of its own, is found too', { skip: !separate && 'needs the right to make namespaces' }, async (t) => {
  const base = await temporaryFolder(t);
  const args = ['--uts', '--pid', '--fork', '--kill-child', 'sh', '-c', 'hostname elsewhere; exec "$@"', 'sh', process.execPath, BIN, 'serve', '--base', base, '--port', '0'];
  const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  for await (const text of child.stdout.setEncoding('utf8')) if ((text as string).includes('listening on')) break;
  const { code, stderr } = await ankiSync(['serve', '--base', base, '--port', '0']);
  assert.equal(code, 1);
  assert.match(stderr, /another server is running on the data folder .* on elsewhere, since/);
  // its end, however it comes, ends the lock
  child.kill('SIGKILL');
  await once(child, 'exit');
  const next = await startServer(t, ['--base', base, '--port', '0']);
  assert.equal(await next.stop(), 0);
});

test('a copy of a data folder whose server runs is a folder of its own: it can be served, and its backup is of the copy', async (t) => {
  const folder = await temporaryFolder(t);
  const [base, copy] = [join(folder, 'base'), join(folder, 'copy')];
  await ankiSync(['user', 'add', 'ada', '--base', base], { input: 'secret' });
  const original = await startServer(t, ['--base', base, '--port', '0']);
  const ada = new RawClient(original.url, { sessionKey: 's' });
  await ada.hostKey('ada', 'secret');
  await wholeSync(ada);
  // as a file copy takes it, with the lock and all that says where the server is; not the socket, which cannot be copied
  await cp(base, copy, { recursive: true, filter: (path) => !path.endsWith('.sock') });
  await wholeSync(ada);

  const backup = await ankiSync(['backup', '--base', copy, '--to', join(folder, 'backup')]);
  assert.equal(backup.code, 0, backup.stdout + backup.stderr);
  const db = new Database(join(folder, 'backup', 'ada', 'collection.anki2'), { readonly: true });
  assert.equal(db.prepare('SELECT count(*) FROM notes').pluck().get(), 1);
  db.close();

  const other = await startServer(t, ['--base', copy, '--port', '0']);
  const there = new RawClient(other.url, { sessionKey: 's', key: ada.key });
  assert.deepEqual([await notesOn(there), await notesOn(ada)], [1, 2]);
});
