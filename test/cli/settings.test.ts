import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import test from 'node:test';
import { parseFlags } from '../../lib/cli/flags.ts';
import { baseFolder, serveFlags, serveSettings } from '../../lib/cli/settings.ts';
import { UsageError } from '../../lib/cli/usage-error.ts';

const settings = (args: string[], env: Record<string, string> = {}) => serveSettings(parseFlags(args, serveFlags).flags, env, '/home/kim');
const wrong = (words: RegExp) => (error: unknown) => error instanceof UsageError && words.test(error.message);

test('with nothing said, the server is for this computer alone, with its data beside it', () => {
  const { base, host, port, limits, clientAddressSource, officialVariables } = settings([], { HOME: '/home/kim', PATH: '/bin' });
  assert.deepEqual([base, host, port, limits, clientAddressSource], [resolve('data'), '127.0.0.1', 27701, undefined, 'ConnectInfo']);
  assert.deepEqual(officialVariables, []);
});

for (const [name, value] of [['SYNC_USER1', 'kim:secret'], ['SYNC_USER2_FILE', '/run/secrets/kim'], ['SYNC_IP_HEADER', 'XRealIp'], ['MAX_SYNC_PAYLOAD_MEGS', '200']] as const) {
  test(`${name} of the official server brings the official server's defaults for the rest`, () => {
    const { base, host, port } = settings([], { [name]: value });
    assert.deepEqual([base, host, port], ['/home/kim/.syncserver', '0.0.0.0', 8080]);
  });
}

test('the official variables hold, and flags are stronger', () => {
  const env = { SYNC_BASE: '/srv/anki', SYNC_HOST: '::', SYNC_PORT: '9000' };
  assert.deepEqual([settings([], env).base, settings([], env).host, settings([], env).port], ['/srv/anki', '::', 9000]);
  const { base, host, port } = settings(['--base', '/tmp/x', '--host=127.0.0.1', '--port', '0'], env);
  assert.deepEqual([base, host, port], ['/tmp/x', '127.0.0.1', 0]);
});

test('flags alone keep our own defaults for the rest', () => {
  const { base, host, port } = settings(['--port', '8080']);
  assert.deepEqual([base, host, port], [resolve('data'), '127.0.0.1', 8080]);
});

test('variables that are empty, or only look official, count as not set', () => {
  const { base, host, port } = settings([], { SYNC_BASE: '', SYNC_PORT: '', SYNC_ENDPOINT: 'x', SYNC_USERS: 'y', SYNC_USER0: 'z' });
  assert.deepEqual([base, host, port], [resolve('data'), '127.0.0.1', 27701]);
});

test('MAX_SYNC_PAYLOAD_MEGS limits the packed body, and three times as much unpacked', () => {
  assert.deepEqual(settings([], { MAX_SYNC_PAYLOAD_MEGS: '200' }).limits, { maxPackedBytes: 200 * 1024 ** 2, maxUnpackedBytes: 600 * 1024 ** 2 });
  assert.equal(settings([], { MAX_SYNC_PAYLOAD_MEGS: '9999' }).limits?.maxUnpackedBytes, 4 * 1024 ** 3 - 64 * 1024 ** 2);
  for (const value of ['0', '-1', '1.5', 'many', '1e3']) assert.throws(() => settings([], { MAX_SYNC_PAYLOAD_MEGS: value }), wrong(/MAX_SYNC_PAYLOAD_MEGS/));
});

test('the data folder is the same for serve and for user', () => {
  for (const env of [{}, { SYNC_USER1: 'kim:secret' }, { SYNC_BASE: '/srv/anki' }] as Record<string, string>[]) {
    assert.equal(baseFolder(new Map(), env, '/home/kim'), settings([], env).base);
  }
});

test('wrong values are refused with the name of what is wrong', () => {
  assert.throws(() => settings(['--port', '65536']), wrong(/--port/));
  assert.throws(() => settings(['--port', 'http']), wrong(/--port/));
  assert.throws(() => settings([], { SYNC_PORT: '-1' }), wrong(/SYNC_PORT/));
  assert.throws(() => settings(['--tls-cert', 'c.pem']), wrong(/--tls-key/));
  assert.throws(() => settings([], { SYNC_IP_HEADER: 'XReal' }), wrong(/must be one of .*Did you mean XRealIp\?/));
});

test('a mistyped flag is refused with the likely one', () => {
  assert.throws(() => settings(['--prot', '80']), wrong(/unknown flag --prot\. Did you mean --port\?/));
  assert.throws(() => settings(['--first-users', 'kim']), wrong(/--first-user\?/));
  assert.throws(() => settings(['--tls-certificate', 'x']), wrong(/--tls-cert\?/));
  // and not the nearest by letters, which would switch them off
  assert.throws(() => settings(['--login-limit', '3']), wrong(/Did you mean --login-limit-user\?/));
  assert.throws(() => settings(['--threads', '3']), wrong(/unknown flag --threads\. It has none: set the variable THREADS\b/));
  assert.throws(() => settings(['--ldap-bind-password', 'x']), wrong(/set the variable LDAP_BIND_PASSWORD\b/));
  assert.throws(() => settings(['--zzzzzz']), wrong(/unknown flag --zzzzzz\.$/));
  assert.throws(() => settings(['-p', '80']), wrong(/unknown flag -p/));
  assert.throws(() => settings(['--constructor', 'x']), wrong(/unknown flag/));
});

test('a flag without its value does not swallow the next flag', () => {
  assert.throws(() => settings(['--base', '--port', '80']), wrong(/--base needs a value/));
  assert.throws(() => settings(['--port']), wrong(/--port needs a value/));
  assert.throws(() => settings(['--port=']), wrong(/--port needs a value/));
  assert.equal(settings(['--base=--odd']).base, resolve('--odd'));
});
