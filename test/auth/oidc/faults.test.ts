/** What a wrong, an old or a false answer does: nobody gets in, the log says why, and no secret is in it. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Browser } from './browser.ts';
import { RealProvider, type TokenFault } from './provider.ts';
import { failure, options, page, REDIRECT_URI, secretsOf, wayBack } from './sign-in.ts';

let real: RealProvider;
let other: RealProvider;
before(async () => {
  real = await RealProvider.start([REDIRECT_URI]);
  other = await RealProvider.start([REDIRECT_URI]);
});
after(async () => {
  await real.close();
  await other.close();
});
afterEach(() => {
  real.metadata = real.tokenFault = real.hanging = undefined;
});

test('a way back with another state, without one, with two, or in a browser that began nothing is none', async (t) => {
  const at = await page(t, options(real));
  const back = await wayBack(at, 'ada');
  const { callback, state } = back;
  const secrets = secretsOf(real, back);
  const asked = real.asked.get('/token') ?? 0;
  const changed = (change: (query: URLSearchParams) => void): string => {
    const url = new URL(callback);
    change(url.searchParams);
    return url.href;
  };
  for (const [wrong, kept] of [
    [changed((query) => query.set('state', `${state.state}x`)), state],
    [changed((query) => query.delete('state')), state],
    [changed((query) => query.append('state', 'x')), state],
    [callback, undefined],
    [callback, { ...state, provider: 'another' }],
    [callback, { ...state, startedSecs: state.startedSecs - 3600 }],
    ['/account/oidc/example/callback', state],
    ['/account/oidc/example/callback?error=access_denied', state],
  ] as const) {
    const error = await failure(at.provider.finish(wrong, kept), 'stale', secrets);
    assert.match(error.message, /sign in again/);
  }
  assert.equal(real.asked.get('/token') ?? 0, asked, 'the provider was not asked about a code of somebody else');
});

test('a code works once', async (t) => {
  const at = await page(t, options(real));
  const back = await wayBack(at, 'ada');
  await at.provider.finish(back.callback, back.state);
  const error = await failure(at.provider.finish(back.callback, back.state), 'stale', secretsOf(real, back));
  assert.match(error.detail, /the code was refused: invalid_grant/);
});

test('a code of another browser, put into this one, is worth nothing: the verifier is not its own', async (t) => {
  const at = await page(t, options(real));
  const stolen = await wayBack(at, 'ada');
  const { state } = await at.provider.begin({ redirectUri: REDIRECT_URI });
  const url = new URL(stolen.callback);
  url.searchParams.set('state', state.state);
  await failure(at.provider.finish(url.href, state), 'stale', secretsOf(real, stolen));
});

test('a code that is missing, doubled or made up', async (t) => {
  const at = await page(t, options(real));
  for (const query of ['', '&code=', '&code=made-up', '&code=a&code=b', '&code=%00', `&code=${'x'.repeat(5000)}`]) {
    const { state } = await at.provider.begin({ redirectUri: REDIRECT_URI });
    const trying = at.provider.finish(`/callback?state=${state.state}&iss=${real.issuer}${query}`, state);
    const error = await trying.then(() => assert.fail('was let in'), (each: Error) => each);
    assert.match((error as { reason?: string }).reason ?? '', /^(stale|unavailable)$/, query);
  }
});

test('an answer of another provider (mix-up) is refused before the code is shown to anybody', async (t) => {
  const at = await page(t, options(real));
  const back = await wayBack(at, 'ada');
  const url = new URL(back.callback);
  url.searchParams.set('iss', other.issuer);
  const asked = real.asked.get('/token') ?? 0;
  await failure(at.provider.finish(url.href, back.state), 'unavailable', secretsOf(real, back));
  assert.equal(real.asked.get('/token') ?? 0, asked);
});

const nowSecs = (): number => Math.floor(Date.now() / 1000);
const faults: Record<string, TokenFault> = {
  'another nonce': { claims: (claims) => ({ ...claims, nonce: 'another' }) },
  'no nonce': { claims: ({ nonce: _, ...claims }) => claims },
  'for another client': { claims: (claims) => ({ ...claims, aud: 'another' }) },
  'for several clients, handed out to another': { claims: (claims) => ({ ...claims, aud: ['anki-sync', 'another'], azp: 'another' }) },
  'of another issuer': { claims: (claims) => ({ ...claims, iss: 'https://login.example.org' }) },
  'expired': { claims: (claims) => ({ ...claims, exp: nowSecs() - 60 }) },
  'of a time to come': { claims: (claims) => ({ ...claims, nbf: nowSecs() + 600 }) },
  'without a subject': { claims: ({ sub: _, ...claims }) => claims },
  'signed by somebody else': { otherKey: true },
  'signed by somebody else, with other claims': { otherKey: true, claims: (claims) => ({ ...claims, preferred_username: 'root' }) },
};
for (const [name, fault] of Object.entries(faults)) {
  test(`an ID token ${name} signs nobody in`, async (t) => {
    const at = await page(t, options(real));
    const back = await wayBack(at, 'ada');
    real.tokenFault = fault;
    const error = await failure(at.provider.finish(back.callback, back.state), 'unavailable', secretsOf(real, back));
    assert.ok(error.detail.length > 20, error.detail);
    assert.deepEqual(await at.auth.directory.list(), []);
  });
}

test('a clock that is a little off does no harm, and how much is a setting', async (t) => {
  const early = { claims: (claims: Record<string, unknown>) => ({ ...claims, exp: nowSecs() - 20 }) };
  const at = await page(t, options(real));
  const first = await wayBack(at, 'ada');
  real.tokenFault = early;
  await at.provider.finish(first.callback, first.state);
  const strict = await page(t, options(real, { clockToleranceSecs: 0 }));
  const second = await wayBack(strict, 'ada');
  await failure(strict.provider.finish(second.callback, second.state), 'unavailable', secretsOf(real, second));
});

test('an old sign-in at the provider is refused where a recent one is required', async (t) => {
  const at = await page(t, options(real, { maxAgeSecs: 60 }));
  const back = await wayBack(at, 'ada');
  real.tokenFault = { claims: (claims) => ({ ...claims, auth_time: nowSecs() - 3600 }) };
  await failure(at.provider.finish(back.callback, back.state), 'unavailable', secretsOf(real, back));
});

test('a wrong client secret is told to the log, and to nobody else', async (t) => {
  const at = await page(t, options(real, { clientSecret: 'canary-wrong-secret-1' }));
  const back = await wayBack(at, 'ada');
  const error = await failure(at.provider.finish(back.callback, back.state), 'unavailable', [...secretsOf(real, back), 'canary-wrong-secret-1']);
  assert.match(error.detail, /refuses clientId or clientSecret/);
  assert.doesNotMatch(error.message, /client/i);
});

test('the provider goes down between the two ways', async (t) => {
  const at = await page(t, options(real));
  const back = await wayBack(at, 'ada');
  await real.down();
  await failure(at.provider.finish(back.callback, back.state), 'unavailable', secretsOf(real, back)).finally(() => real.up());
});

test('one that hangs is given up', async (t) => {
  const at = await page(t, options(real, { timeoutMillis: 300 }));
  const back = await wayBack(at, 'ada');
  real.hanging = '/token';
  await failure(at.provider.finish(back.callback, back.state), 'unavailable', secretsOf(real, back));
});

test('claims of another person at the userinfo endpoint are nobody\'s', async (t) => {
  const bare = await RealProvider.start([REDIRECT_URI], { inIdToken: false });
  t.after(() => bare.close());
  const at = await page(t, options(bare));
  bare.userinfo = (claims) => ({ ...claims, sub: 'another' });
  const back = await wayBack(at, 'ada');
  await failure(at.provider.finish(back.callback, back.state), 'unavailable', secretsOf(bare, back));
  bare.userinfo = (claims) => ({ ...claims, iss: 'x', preferred_username: 'ada2' });
  const second = await wayBack(at, 'ada');
  assert.equal((await at.provider.finish(second.callback, second.state)).user.loginName, 'ada2');
  bare.hanging = '/me';
  const impatient = await page(t, options(bare, { timeoutMillis: 300 }));
  const third = await wayBack(impatient, 'ada');
  await failure(impatient.provider.finish(third.callback, third.state), 'unavailable', secretsOf(bare, third));
});

test('keys of the provider that do not come', async (t) => {
  const at = await page(t, options(real, { timeoutMillis: 300 }));
  const back = await wayBack(at, 'ada');
  real.hanging = '/jwks';
  await failure(at.provider.finish(back.callback, back.state), 'unavailable', secretsOf(real, back));
});

test('an endpoint that is no address of the web is nowhere to send a browser to', async (t) => {
  for (const wrong of ['javascript:alert(1)', 'data:text/html,x', 'not an address']) {
    real.metadata = (document) => ({ ...document, authorization_endpoint: wrong });
    const at = await page(t, options(real));
    await failure(at.provider.begin({ redirectUri: REDIRECT_URI }), 'unavailable', secretsOf(real));
  }
});

test('what the provider writes about an error is one short line in the log', async (t) => {
  const at = await page(t, options(real));
  const { state } = await at.provider.begin({ redirectUri: REDIRECT_URI });
  const words = encodeURIComponent(`first\nlogin.ok user=root ${state.nonce} ${'x'.repeat(2000)}`);
  const error = await failure(at.provider.finish(`/callback?error=server_error&error_description=${words}&iss=${real.issuer}&state=${state.state}`, state),
    'unavailable', [state.nonce, state.state]);
  assert.ok(error.detail.length < 400);
  assert.match(error.detail, /^example: came back with server_error, first login\.ok user=root \[secret\]/);
  assert.doesNotMatch(error.message, /first/);
});

test('a person who is signed in at two browsers is the same user', async (t) => {
  const at = await page(t, options(real));
  const [left, right] = await Promise.all([wayBack(at, 'ada', {}, new Browser()), wayBack(at, 'ada', {}, new Browser())]);
  const [one, two] = await Promise.all([at.provider.finish(left.callback, left.state), at.provider.finish(right.callback, right.state)]);
  assert.equal(one.user.id, two.user.id);
});
