import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { ankiSync, temporaryFolder } from './command.ts';
import { conversation } from './terminal.ts';

test('a user is added, verified, given another password, listed and removed', async (t) => {
  const base = await temporaryFolder(t);
  const user = (action: string, name?: string, input?: string) =>
    ankiSync(['user', action, ...(name === undefined ? [] : [name]), '--base', base], input === undefined ? {} : { input });

  assert.deepEqual(await user('add', 'kim@example.org', 'one\n'), { code: 0, stdout: 'added "kim@example.org"\n', stderr: '' });
  assert.deepEqual(await user('verify', 'kim@example.org', 'one'), { code: 0, stdout: 'right\n', stderr: '' });
  assert.deepEqual(await user('verify', 'kim@example.org', 'two'), { code: 1, stdout: 'wrong\n', stderr: '' });
  assert.equal((await user('passwd', 'kim@example.org', 'two\r\nignored\n')).code, 0);
  assert.equal((await user('verify', 'kim@example.org', 'one')).code, 1);
  assert.equal((await user('verify', 'kim@example.org', 'two')).code, 0);
  assert.equal((await user('list')).stdout, 'kim@example.org\t0 keys\tnever signed in\n');
  assert.equal((await user('disable', 'kim@example.org')).code, 0);
  assert.match((await user('list')).stdout, /\tdisabled$/m);
  assert.equal((await user('enable', 'kim@example.org')).code, 0);
  assert.match((await user('remove', 'kim@example.org')).stdout, /^removed "kim@example\.org"/);
  assert.equal((await user('list')).stdout, '');
  assert.deepEqual(await user('verify', 'kim@example.org', 'two'), { code: 1, stdout: 'unknown user\n', stderr: '' });
});

test('what cannot be done is told in one line, and changes nothing', async (t) => {
  const base = await temporaryFolder(t);
  await ankiSync(['user', 'add', 'kim', '--base', base], { input: 'one' });
  const cases: [string[], string, number, RegExp][] = [
    [['add', 'kim'], 'two', 1, /there is a user "kim" already/],
    [['add', 'KIM'], 'two', 1, /there is a user "kim" already/],
    [['add', 'a\nb'], 'two', 1, /control characters/],
    [['add', 'lee'], '', 2, /no password/],
    [['add', 'lee'], '\n', 2, /the password is empty/],
    [['add', 'lee', 'secret'], '', 2, /a password is asked for, or read from standard input/],
    [['add'], 'two', 2, /user add needs a name/],
    [['passwd', 'lee'], 'two', 1, /there is no user "lee"/],
    [['remove', 'lee'], '', 1, /there is no user "lee"/],
    [['passwrd', 'kim'], 'two', 2, /Did you mean passwd\?/],
    [[], '', 2, /user needs one of: add, passwd, list, remove, disable, enable, /],
  ];
  for (const [args, input, code, words] of cases) {
    const outcome = await ankiSync(['user', ...args, '--base', base], { input });
    assert.deepEqual([outcome.code, outcome.stdout], [code, ''], args.join(' '));
    assert.match(outcome.stderr, words);
    assert.match(outcome.stderr, /^anki-sync: .*\n$/);
  }
  assert.equal((await ankiSync(['user', 'list', '--base', base])).stdout, 'kim\t0 keys\tnever signed in\n');
  assert.equal((await ankiSync(['user', 'verify', 'kim', '--base', base], { input: 'one' })).code, 0);
});

test('a mistyped data folder is told, and not made', async (t) => {
  const base = join(await temporaryFolder(t), 'dta');
  for (const action of ['list', 'passwd', 'remove', 'verify']) {
    const outcome = await ankiSync(['user', action, ...(action === 'list' ? [] : ['kim']), '--base', base], { input: 'one' });
    assert.equal(outcome.code, 2);
    assert.match(outcome.stderr, /there are no users in .*dta; is --base right\?/);
  }
  assert.equal(existsSync(base), false);
});

test('the password is nowhere on disk in clear', async (t) => {
  const base = await temporaryFolder(t);
  await ankiSync(['user', 'add', 'kim', '--base', base], { input: 'correct horse battery' });
  const files = (await readdir(base, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  assert.notEqual(files.length, 0);
  for (const file of files) assert.equal((await readFile(join(file.parentPath, file.name))).includes('correct horse'), false, file.name);
});

test('at a terminal the password is asked for twice, and not shown', async (t) => {
  const base = await temporaryFolder(t);
  const add = (name: string, answers: string[]): ReturnType<typeof conversation> => conversation(['user', 'add', name, '--base', base], answers);

  const added = await add('kim', ['secret one', 'secret one']);
  assert.deepEqual(added, { shown: 'Password of kim: \r\nPassword of kim, once more: \r\nadded "kim"\r\n', code: 0 });
  assert.equal((await ankiSync(['user', 'verify', 'kim', '--base', base], { input: 'secret one' })).code, 0);

  const slip = await add('lee', ['secret one', 'secret two']);
  assert.match(slip.shown, /the two passwords differ\r\n$/);
  assert.equal(slip.code, 2);
  assert.doesNotMatch(slip.shown, /secret/);
});
