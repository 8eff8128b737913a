import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBuiltInAuth } from '../../lib/auth/built-in.ts';
import { checkOidcOptions } from '../../lib/auth/oidc/settings.ts';
import { sqliteOidcSubjects } from '../../lib/auth/oidc/subjects.ts';
import { ankiSync, temporaryFolder } from './command.ts';

test('user link gives a user to whoever comes next by this name, also while a server has the data folder open', async (t) => {
  const base = await temporaryFolder(t);
  await ankiSync(['user', 'add', 'ada', '--base', base], { input: 'a password of her own\n' });
  const auth = await openBuiltInAuth(base);
  t.after(() => auth.close());
  const subjects = sqliteOidcSubjects(auth.database, auth.authenticator);
  const [settings] = checkOidcOptions([{ issuer: 'https://login.example.org', clientId: 'x' }]);
  const coming = { settings: settings!, subject: '1', loginName: 'ada' };
  await assert.rejects(subjects.userOf(coming), { reason: 'name-taken' });
  const { code, stdout } = await ankiSync(['user', 'link', 'ADA', '--base', base]);
  assert.equal(code, 0);
  assert.match(stdout, /^"ada" belongs to whoever signs in next by this name through a provider, until \d{4}-\d\d-\d\d \d\d:\d\dZ;/);
  assert.equal((await subjects.userOf(coming)).loginName, 'ada');
  assert.equal((await subjects.userOf({ ...coming, loginName: 'somebody else' })).loginName, 'ada');
  await assert.rejects(subjects.userOf({ ...coming, subject: '2' }), { reason: 'name-taken' });
});

test('a user whom nobody came for in time is given to nobody, and waiting ends earlier by --off', async (t) => {
  const base = await temporaryFolder(t);
  await ankiSync(['user', 'add', 'ada', '--base', base], { input: 'a password of her own\n' });
  const auth = await openBuiltInAuth(base);
  t.after(() => auth.close());
  const clock = { millis: Date.now() };
  const subjects = sqliteOidcSubjects(auth.database, auth.authenticator, () => clock.millis);
  const [settings] = checkOidcOptions([{ issuer: 'https://login.example.org', clientId: 'x' }]);
  const coming = { settings: settings!, subject: '1', loginName: 'ada' };
  const link = async (...flags: string[]): Promise<[number | null, string]> => {
    const { code, stdout } = await ankiSync(['user', 'link', 'ada', ...flags, '--base', base]);
    return [code, stdout.split('\n', 1)[0]!];
  };

  assert.equal((await link())[0], 0);
  clock.millis += 7 * 86_400_000 + 60_000;
  await assert.rejects(subjects.userOf(coming), { reason: 'name-taken' });
  assert.equal((await link('--expires', '30d'))[0], 0);
  assert.deepEqual(await link('--off'), [0, '"ada" waits for nobody any more']);
  await assert.rejects(subjects.userOf(coming), { reason: 'name-taken' });
  assert.deepEqual(await link('--off'), [1, '"ada" was waiting for nobody']);
  assert.equal((await link('--off', '--expires', '1d'))[0], 2);
  assert.equal((await link('--expires', 'soon'))[0], 2);
  await link('--expires', '30d');
  assert.equal((await subjects.userOf(coming)).loginName, 'ada');
});

test('a user who is not there cannot be linked', async (t) => {
  const base = await temporaryFolder(t);
  await ankiSync(['user', 'add', 'ada', '--base', base], { input: 'a password of her own\n' });
  const { code, stderr } = await ankiSync(['user', 'link', 'bob', '--base', base]);
  assert.notEqual(code, 0);
  assert.match(stderr, /there is no user "bob"/);
});
