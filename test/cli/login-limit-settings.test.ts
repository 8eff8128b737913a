import assert from 'node:assert/strict';
import test from 'node:test';
import { clientAddress } from '../../lib/cli/client-address.ts';
import { parseFlags } from '../../lib/cli/flags.ts';
import { serveFlags, serveSettings } from '../../lib/cli/settings.ts';
import { UsageError } from '../../lib/cli/usage-error.ts';

const settings = (args: string[], env: Record<string, string> = {}) => serveSettings(parseFlags(args, serveFlags).flags, env, '/home/kim');
const wrong = (words: RegExp) => (error: unknown) => error instanceof UsageError && words.test(error.message);

test('login limits come from flags and variables, flags are stronger, and neither brings the official server\'s defaults', () => {
  assert.equal(settings([]).loginLimits, undefined);
  const env = { LOGIN_LIMIT_USER: '7', LOGIN_LIMIT_MINUTES: '2', LOGIN_LIMIT_ADDRESS: '' };
  assert.deepEqual(settings([], env).loginLimits, { perUser: 7, windowSecs: 120 });
  const both = settings(['--login-limit-user', '9', '--login-limit-address', '20', '--login-limit-user-and-address=3'], env);
  assert.deepEqual(both.loginLimits, { perUserAndAddress: 3, perAddress: 20, perUser: 9, windowSecs: 120 });
  assert.equal(both.host, '127.0.0.1');
});

test('they can be switched off, and not set at the same time', () => {
  assert.equal(settings(['--no-login-limits']).loginLimits, false);
  assert.equal(settings([], { NO_LOGIN_LIMITS: 'true' }).loginLimits, false);
  assert.equal(settings([], { NO_LOGIN_LIMITS: 'false' }).loginLimits, undefined);
  assert.throws(() => settings(['--no-login-limits'], { LOGIN_LIMIT_USER: '5' }), wrong(/both set and switched off/));
});

test('what is no number is refused by the name that was used', () => {
  for (const value of ['0', '-1', '1.5', 'ten', '9999999999']) {
    assert.throws(() => settings([`--login-limit-user=${value}`]), wrong(/^--login-limit-user must be a whole number from 1/), value);
    assert.throws(() => settings([], { LOGIN_LIMIT_MINUTES: value }), wrong(/^LOGIN_LIMIT_MINUTES must be/), value);
  }
  assert.throws(() => settings([], { NO_LOGIN_LIMITS: 'perhaps' }), wrong(/NO_LOGIN_LIMITS must be true or false/));
});

test('headers are believed from declared proxies alone', () => {
  const from = (peer: string, args: string[], env: Record<string, string> = {}): string | undefined => {
    const { clientAddressSource, trustedProxies } = settings(args, env);
    const headers = { 'x-forwarded-for': '6.6.6.6, 203.0.113.7', 'x-real-ip': '203.0.113.8' };
    return clientAddress({ headers, socket: { remoteAddress: peer } } as never, clientAddressSource, trustedProxies);
  };
  const flags = ['--trusted-proxies', 'loopback, 10.0.0.0/8'];
  assert.equal(from('10.0.0.1', flags), '203.0.113.7');
  assert.equal(from('192.0.2.1', flags), '192.0.2.1');
  assert.equal(from('10.0.0.1', flags, { SYNC_IP_HEADER: 'XRealIp' }), '203.0.113.8');
  assert.equal(from('192.0.2.1', flags, { SYNC_IP_HEADER: 'XRealIp' }), '192.0.2.1');
  assert.equal(from('192.0.2.1', [], { SYNC_IP_HEADER: 'XRealIp' }), '203.0.113.8');
  assert.equal(from('10.0.0.1', [], { TRUSTED_PROXIES: 'uniquelocal' }), '203.0.113.7');
  assert.throws(() => settings(['--trusted-proxies', 'proxy']), wrong(/"proxy" is no address/));
});
