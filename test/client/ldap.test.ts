import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Slapd, slapdMissing } from '../auth/ldap/slapd.ts';
import { ankiSync, startServer } from '../cli/command.ts';
import { AnkiDevices } from './devices.ts';
import { ldapVariables, STEPS } from './ldap-story.ts';

const skip = await slapdMissing();

test('the users of a directory, with real clients', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-ldap-client-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const slapd = await Slapd.start();
  t.after(() => slapd.close());
  const devices = await AnkiDevices.start();
  t.after(() => devices.end());
  const server = await startServer(t, ['--port', '0', '--base', join(folder, 'data')], { env: ldapVariables(slapd, join(folder, 'secrets')) });
  const story = { slapd, server, devices, folder, signedIn: new Map() };
  for (const [sentence, run] of STEPS) await t.test(sentence, () => run(story));
  assert.equal(await server.stop(), 0);
});

test('a server whose directory is not there yet starts, and says so', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-ldap-client-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const env = { LDAP_URL: 'ldap://127.0.0.1:1', LDAP_BIND_TEMPLATE: 'uid={name},dc=example,dc=org' };
  const server = await startServer(t, ['--port', '0', '--base', join(folder, 'data')], { env });
  assert.match(await server.line(/^users sign in/), /but not now: .*ECONNREFUSED/);
  assert.equal(await server.stop(), 0);
});

for (const [what, env, words] of [
  ['a missing place', { LDAP_URL: 'ldaps://localhost', LDAP_BIND_DN: 'cn=a', LDAP_BIND_PASSWORD: 'canary-cli' }, /LDAP_SEARCH_BASE/],
  ['a missing address', { LDAP_BIND_PASSWORD: 'canary-cli' }, /LDAP_BIND_PASSWORD is set, but LDAP_URL is not/],
  ['two passwords', { LDAP_URL: 'ldaps://localhost', LDAP_BIND_PASSWORD: 'canary-cli', LDAP_BIND_PASSWORD_FILE: '/nowhere' }, /both set/],
  ['a file that is not there', { LDAP_URL: 'ldaps://localhost', LDAP_BIND_PASSWORD_FILE: '/nowhere' }, /LDAP_BIND_PASSWORD_FILE.*ENOENT/],
  ['half a truth', { LDAP_URL: 'ldaps://localhost', LDAP_START_TLS: 'perhaps' }, /LDAP_START_TLS must be true or false/],
  ['users of two kinds', { LDAP_URL: 'ldaps://localhost', LDAP_BIND_TEMPLATE: 'uid={name},dc=x', SYNC_USER1: 'a:canary-cli' }, /SYNC_USER1/],
] as const) {
  test(`${what} in the environment: the command ends, and names the variable`, async () => {
    const { code, stderr } = await ankiSync(['serve', '--port', '0', '--base', join(tmpdir(), 'anki-sync-never-made')], { env });
    assert.equal(code, 2);
    assert.match(stderr, words);
    assert.doesNotMatch(stderr, /canary/);
  });
}
