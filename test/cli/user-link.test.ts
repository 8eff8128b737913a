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
  assert.match(stdout, /^"ada" belongs to whoever signs in next by this name through a provider/);
  assert.equal((await subjects.userOf(coming)).loginName, 'ada');
  assert.equal((await subjects.userOf({ ...coming, loginName: 'somebody else' })).loginName, 'ada');
  await assert.rejects(subjects.userOf({ ...coming, subject: '2' }), { reason: 'name-taken' });
});

test('a user who is not there cannot be linked', async (t) => {
  const base = await temporaryFolder(t);
  await ankiSync(['user', 'add', 'ada', '--base', base], { input: 'a password of her own\n' });
  const { code, stderr } = await ankiSync(['user', 'link', 'bob', '--base', base]);
  assert.notEqual(code, 0);
  assert.match(stderr, /there is no user "bob"/);
});
