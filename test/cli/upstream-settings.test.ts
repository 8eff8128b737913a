import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { upstreamSettings } from '../../lib/cli/upstream-settings.ts';
import { UsageError } from '../../lib/cli/usage-error.ts';
import { ankiSync } from './command.ts';

const folder = mkdtempSync(join(tmpdir(), 'anki-sync-upstream-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const URL_THERE = 'http://127.0.0.1:8080/';
const USERS = file('users.json', '{"kim": "canary-1", "ada": {"user": "a", "password": "canary-2"}}');

test('nothing said, nothing there; each variable is the option of its name; flags are stronger', () => {
  assert.equal(upstreamSettings(new Map(), { UPSTREAM_URL: '' }), undefined);
  const env = { UPSTREAM_URL: 'http://other/', UPSTREAM_USERS_FILE: USERS, UPSTREAM_SHARED_PASSWORD_FILE: file('shared', 'canary-3\n'), UPSTREAM_TIMEOUT_SECS: '30' };
  assert.deepEqual(upstreamSettings(new Map([['upstream', URL_THERE]]), env), {
    url: URL_THERE, users: { kim: 'canary-1', ada: { user: 'a', password: 'canary-2' } }, sharedPassword: 'canary-3', timeoutMillis: 30_000,
  });
});

for (const [what, env, words] of [
  ['users without an address', { UPSTREAM_USERS_FILE: USERS }, /UPSTREAM_USERS_FILE is set, but UPSTREAM_URL is not/],
  ['a file that is not there', { UPSTREAM_URL: URL_THERE, UPSTREAM_USERS_FILE: '/nowhere' }, /UPSTREAM_USERS_FILE.*ENOENT/],
  ['a file that is no JSON', { UPSTREAM_URL: URL_THERE, UPSTREAM_USERS_FILE: file('text', 'kim:canary') }, /not JSON/],
  ['a user without a password', { UPSTREAM_URL: URL_THERE, UPSTREAM_USERS_FILE: file('half', '{"kim": {"user": "canary"}}') }, /UPSTREAM_USERS_FILE: "kim" must be a password/],
  ['half a number', { UPSTREAM_URL: URL_THERE, UPSTREAM_TIMEOUT_SECS: '1.5' }, /UPSTREAM_TIMEOUT_SECS/],
] as const) {
  test(`${what}: told by the variable, without a password`, () => {
    assert.throws(() => upstreamSettings(new Map(), env), (error: unknown) => error instanceof UsageError && words.test(error.message) && !error.message.includes('canary'));
  });
}

test('`gateway` needs a server behind and somebody there, and `serve` takes none', async () => {
  const base = join(folder, 'never-made');
  for (const [args, env, words] of [
    [['gateway', '--base', base], {}, /gateway needs --upstream/],
    [['gateway', '--base', base, '--upstream', URL_THERE], {}, /UPSTREAM_USERS_FILE or UPSTREAM_SHARED_PASSWORD/],
    [['gateway', '--base', base, '--upstream', 'localhost:8080'], { UPSTREAM_SHARED_PASSWORD: 'canary' }, /UPSTREAM_URL must be an address/],
    [['serve', '--base', base], { UPSTREAM_URL: URL_THERE, UPSTREAM_SHARED_PASSWORD: 'canary' }, /start ".*gateway"/],
  ] as const) {
    const { code, stderr } = await ankiSync([...args], { env });
    assert.equal(code, 2, stderr);
    assert.match(stderr, words);
    assert.doesNotMatch(stderr, /canary/);
  }
});
