/** The example of docs/users.md, as it stands there. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { openBuiltInAuth } from '../../lib/auth/built-in.ts';
import { withAppPasswords } from '../../lib/auth/with-app-passwords.ts';
import { dataFolder } from './folder.ts';

test('the program of docs/users.md prints an app password that signs in', async () => {
  const page = readFileSync(new URL('../../docs/users.md', import.meta.url), 'utf8');
  const program = [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, text]) => text!).find((text) => text.includes('appPasswords.create'));
  assert.ok(program !== undefined, 'the page has no such program');
  const folder = dataFolder();
  const file = join(folder, 'example.ts');
  writeFileSync(file, program.replace("'anki-sync-middleware'", JSON.stringify(new URL('../../lib/index.ts', import.meta.url).href)));
  const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: folder });
  const auth = await openBuiltInAuth(join(folder, 'data'));
  try {
    const authenticator = withAppPasswords({ rest: auth.authenticator, database: auth.database });
    assert.equal((await authenticator.authenticate({ username: 'kim', password: stdout.trim() }))?.loginName, 'kim');
  } finally {
    await auth.close();
  }
});
