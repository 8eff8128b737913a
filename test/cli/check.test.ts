import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { addUsers } from '../check/data-folders.ts';
import { ankiSync, startServer, temporaryFolder } from './command.ts';
import { atTerminal } from './terminal.ts';

test('check ends with 0 when nothing is wrong, and with 1 when something is, in words', async (t) => {
  const base = await temporaryFolder(t);
  await addUsers(base, 'ada', 'bob');
  assert.deepEqual(await ankiSync(['check', '--base', base, '--deep']), { code: 0, stdout: 'checked 2 users: no problem\n', stderr: '' });
  writeFileSync(join(base, 'ada', 'media', 'extra.png'), 'x');
  assert.equal((await ankiSync(['check', '--base', base])).code, 0);
  rmSync(join(base, 'bob', 'media', 'a.png'));
  const { code, stdout } = await ankiSync(['check', '--base', base]);
  assert.equal(code, 1);
  assert.match(stdout, /^note: "ada": 1 files in media\/ .*\nproblem: "bob": 1 media files are missing: "a\.png".*\nchecked 2 users: 1 problem\n$/);
  assert.equal((await ankiSync(['check', 'ada', '--base', base])).code, 0);
});

test('at a terminal, check shows whom it looks at, and with --deep how far it has read', async (t) => {
  const base = await temporaryFolder(t);
  await addUsers(base, 'ada', 'bob');
  const shown = await atTerminal('check', '--base', base, '--deep');
  assert.match(shown, /\r\x1b\[K1 of 2: "ada" \[#{30}\] 100% [^]*\r\x1b\[K2 of 2: "bob"[^]*\r\x1b\[Kchecked 2 users: no problem/);
});

test('check says what it cannot look at', async (t) => {
  const base = await temporaryFolder(t);
  await addUsers(base, 'ada');
  assert.match((await ankiSync(['check', 'nobody', '--base', base])).stderr, /nobody of that name is in/);
  const nowhere = await ankiSync(['check', '--base', join(base, 'nowhere')]);
  assert.deepEqual([nowhere.code, nowhere.stdout], [2, '']);
  assert.match(nowhere.stderr, /there is no data folder/);
  const server = await startServer(t, ['--base', base, '--port', '0']);
  const busy = await ankiSync(['check', '--base', base]);
  assert.equal(busy.code, 1);
  assert.match(busy.stderr, /another server is running on the data folder .*: stop it first/);
  assert.equal(await server.stop(), 0);
});
