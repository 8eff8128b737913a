import assert from 'node:assert/strict';
import test from 'node:test';
import { accountSettings } from '../../lib/cli/account-settings.ts';
import { UsageError } from '../../lib/cli/usage-error.ts';
import { temporaryFolder, ankiSync, startServer } from './command.ts';

const settings = (flags: Record<string, string>, env: Record<string, string> = {}) => accountSettings(new Map(Object.entries(flags)), env);

test('the account page is there unless it is switched off, by flag or variable', () => {
  assert.deepEqual(settings({}), { enabled: true, passwords: true });
  assert.equal(settings({ 'no-account': '' }).enabled, false);
  assert.equal(settings({}, { NO_ACCOUNT: 'true' }).enabled, false);
  assert.equal(settings({}, { NO_ACCOUNT: '0', NO_ACCOUNT_PASSWORDS: '1' }).passwords, false);
  // as compose files hand on a variable that nobody set
  assert.deepEqual(settings({}, { NO_ACCOUNT: '', ACCOUNT_ADMINS: '', ACCOUNT_SESSION_HOURS: '' }), { enabled: true, passwords: true });
});

test('names of administrators come with commas, times as numbers, and a flag is stronger than a variable', () => {
  assert.deepEqual(settings({ 'account-admins': 'ada, bob@example.org,' }, { ACCOUNT_ADMINS: 'eve' }).admins, ['ada', 'bob@example.org']);
  assert.deepEqual(settings({ 'account-session-hours': '2' }, { ACCOUNT_SESSION_HOURS: '5', ACCOUNT_IDLE_MINUTES: '10' }), {
    enabled: true, passwords: true, sessionHours: 2, idleMinutes: 10,
  });
});

const wrong: [Record<string, string>, Record<string, string>, RegExp][] = [
  [{}, { NO_ACCOUNT: 'yes' }, /^NO_ACCOUNT must be true or false, not "yes"/],
  [{}, { ACCOUNT_SESSION_HOURS: '1.5' }, /^ACCOUNT_SESSION_HOURS must be a whole number/],
  [{ 'account-idle-minutes': '0' }, {}, /^--account-idle-minutes must be a whole number/],
  [{}, { ACCOUNT_SESSION_HOURS: '99999' }, /^ACCOUNT_SESSION_HOURS must be a number of hours, at most a year/],
  [{ 'account-admins': 'a\tb' }, {}, /^ACCOUNT_ADMINS must be a list of login names/],
];
for (const [flags, env, message] of wrong) {
  test(`${JSON.stringify({ ...flags, ...env })} is refused in words`, () => {
    assert.throws(() => settings(flags, env), (error) => error instanceof UsageError && message.test(error.message));
  });
}

test('serve has the page from the start, and an administrator of the command line sees users there', async (t) => {
  const base = await temporaryFolder(t);
  assert.equal((await ankiSync(['user', 'add', 'ada', '--base', base], { input: 'canary-ada-1\n' })).code, 0);
  assert.equal((await ankiSync(['user', 'admin', 'ada', '--base', base])).code, 0);
  const { url, lines } = await startServer(t, ['--base', base, '--port', '0']);
  const { Visitor } = await import('../account/visitor.ts');
  const ada = new Visitor(url);
  assert.equal((await ada.signIn('ada', 'canary-ada-1')).status, 303);
  assert.equal((await ada.get('/users')).status, 200);
  assert.ok((await (await fetch(url)).text()).includes(`href="${url}account"`));
  assert.doesNotMatch(lines.join('\n'), /canary/);
  const without = await startServer(t, ['--base', `${base}-other`, '--port', '0', '--no-account']);
  t.after(async () => (await import('node:fs/promises')).rm(`${base}-other`, { recursive: true, force: true }));
  assert.equal((await fetch(`${without.url}account`)).status, 404);
});
