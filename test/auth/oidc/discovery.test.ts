import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Discovery } from '../../../lib/auth/oidc/discovery.ts';
import { requireOidcLibrary } from '../../../lib/auth/oidc/library.ts';
import { checkOidcOptions } from '../../../lib/auth/oidc/settings.ts';
import { createSyncServer } from '../../../lib/index.ts';
import { dataFolder } from '../folder.ts';
import { RealProvider } from './provider.ts';
import { failure, options, page, REDIRECT_URI, signIn } from './sign-in.ts';

const DOCUMENT = '/.well-known/openid-configuration';

let real: RealProvider;
before(async () => {
  real = await RealProvider.start([REDIRECT_URI]);
});
after(() => real.close());
afterEach(() => {
  real.metadata = real.hanging = undefined;
  real.asked.clear();
});

test('a server starts without a word to the provider, and with one that is down', async () => {
  const server = createSyncServer({ base: dataFolder(), account: true, oidc: [options(real, { issuer: 'http://127.0.0.1:9' }), options(real, { id: 'second' })] });
  await server.ready;
  assert.equal((await server.handle({ method: 'GET', url: '/health', headers: {}, body: null })).status, 200);
  await server.close();
  assert.equal(real.asked.size, 0);
});

test('however many want to sign in at once, the provider is asked once, and not again soon', async (t) => {
  const at = await page(t, options(real));
  await Promise.all(Array.from({ length: 20 }, () => at.provider.begin({ redirectUri: REDIRECT_URI })));
  await at.provider.begin({ redirectUri: REDIRECT_URI });
  assert.equal(real.asked.get(DOCUMENT), 1);
});

test('what is known is looked at again after some hours, and holds when the provider does not answer then', async () => {
  let nowMillis = 0;
  const discovery = new Discovery(checkOidcOptions([options(real, { timeoutMillis: 1000 })])[0]!, () => nowMillis);
  await discovery.get();
  nowMillis += 11 * 3_600_000;
  await discovery.get();
  assert.equal(real.asked.get(DOCUMENT), 1);
  nowMillis += 2 * 3_600_000;
  real.metadata = (document) => ({ ...document, authorization_endpoint: `${real.issuer}/moved` });
  assert.equal((await discovery.get()).configuration.serverMetadata().authorization_endpoint, `${real.issuer}/moved`);
  nowMillis += 13 * 3_600_000;
  await real.down();
  try {
    assert.equal((await discovery.get()).configuration.serverMetadata().authorization_endpoint, `${real.issuer}/moved`);
  } finally {
    await real.up();
  }
});

test('a provider that is down is asked twice at most, then left alone for seconds, and found when it is back', async () => {
  let nowMillis = 0;
  const discovery = new Discovery(checkOidcOptions([options(real)])[0]!, () => nowMillis);
  await real.down();
  try {
    const error = await failure(discovery.get(), 'unavailable', []);
    assert.match(error.detail, /ECONNREFUSED/);
    assert.match(error.message, /^Signing in through Example Ltd is not possible now/);
  } finally {
    await real.up();
  }
  await failure(discovery.get(), 'unavailable', []);
  assert.equal(real.asked.get(DOCUMENT), undefined);
  nowMillis += 3001;
  await discovery.get();
  assert.equal(real.asked.get(DOCUMENT), 1);
});

test('one that hangs is given up, after two times the timeout', async (t) => {
  real.hanging = DOCUMENT;
  const at = await page(t, options(real, { timeoutMillis: 200 }));
  await failure(at.provider.begin({ redirectUri: REDIRECT_URI }), 'unavailable', []);
  assert.equal(real.asked.get(DOCUMENT), 2);
});

test('one that calls itself something else is not used, and the log tells what it calls itself', async (t) => {
  real.metadata = (document) => ({ ...document, issuer: 'https://login.example.org' });
  const at = await page(t, options(real));
  const error = await failure(at.provider.begin({ redirectUri: REDIRECT_URI }), 'unavailable', []);
  assert.match(error.detail, /calls itself "https:\/\/login\.example\.org": set issuer/);
  assert.equal(real.asked.get(DOCUMENT), 1, 'asking again would not help');
});

test('a page that is none of a provider is told as such', async (t) => {
  const at = await page(t, options(real, { issuer: `${real.issuer}/nowhere` }));
  const error = await failure(at.provider.begin({ redirectUri: REDIRECT_URI }), 'unavailable', []);
  assert.match(error.detail, /status|JSON|content-type/i);
});

test('how the secret is sent follows what the provider takes, or the setting', async (t) => {
  const taken = async (supported: string[] | undefined, more = {}): Promise<string | undefined> => {
    real.metadata = (document) => ({ ...document, token_endpoint_auth_methods_supported: supported });
    await signIn(await page(t, options(real, more)), 'ada');
    return real.authentication;
  };
  assert.equal(await taken(undefined), 'basic');
  assert.equal(await taken(['client_secret_post', 'client_secret_basic']), 'basic');
  assert.equal(await taken(['client_secret_post']), 'post');
  assert.equal(await taken(['client_secret_post'], { clientAuthentication: 'basic' }), 'basic');
  assert.equal(await taken(['client_secret_basic'], { clientAuthentication: 'post' }), 'post');
});

test('without the package, the first word says what to install', () => {
  const missing = (): never => {
    throw new Error('Cannot find package');
  };
  assert.throws(() => requireOidcLibrary(missing), /npm install openid-client@6/);
});
