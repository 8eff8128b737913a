import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser } from './browser.ts';
import { CLIENT, PUBLIC_CLIENT, RealProvider } from './provider.ts';
import { failure, options, page, REDIRECT_URI, secretsOf, signIn, wayBack } from './sign-in.ts';

let real: RealProvider;
let bare: RealProvider;
before(async () => {
  real = await RealProvider.start([REDIRECT_URI]);
  bare = await RealProvider.start([REDIRECT_URI], { inIdToken: false });
});
after(async () => {
  await real.close();
  await bare.close();
});

test('a person comes back from the provider as a user, and is the same user next time', async (t) => {
  const at = await page(t, options(real));
  const first = await signIn(at, 'ada');
  assert.deepEqual([first.user.loginName, first.user.provider, first.provider], ['ada', 'oidc:example', 'example']);
  assert.equal((await signIn(at, 'ada')).user.id, first.user.id);
  assert.equal((await at.auth.directory.list()).length, 1);
});

test('what the browser carries to the provider: a code challenge (S256), state, nonce, and no secret', async (t) => {
  const at = await page(t, options(real, { prompt: 'login', maxAgeSecs: 600, extraParameters: { ui_locales: 'de' } }));
  const { url, state } = await at.provider.begin({ redirectUri: REDIRECT_URI, loginHint: 'ada' });
  const sent = Object.fromEntries(new URL(url).searchParams);
  assert.deepEqual(Object.keys(sent).sort(), ['client_id', 'code_challenge', 'code_challenge_method', 'login_hint', 'max_age', 'nonce', 'prompt', 'redirect_uri',
    'response_type', 'scope', 'state', 'ui_locales']);
  assert.deepEqual([sent.response_type, sent.code_challenge_method, sent.redirect_uri, sent.scope],
    ['code', 'S256', REDIRECT_URI, 'openid profile email groups']);
  assert.ok([state.state, state.nonce, state.codeVerifier].every((each) => each.length >= 43));
  assert.equal(new Set([state.state, state.nonce, state.codeVerifier, sent.code_challenge]).size, 4);
  assert.ok(!url.includes(state.codeVerifier) && !url.includes(CLIENT.secret));
  const again = await at.provider.begin({ redirectUri: REDIRECT_URI });
  assert.ok(again.state.state !== state.state && again.state.nonce !== state.nonce && again.state.codeVerifier !== state.codeVerifier);
});

test('the state is plain data: it may lie in a session, as JSON', async (t) => {
  const at = await page(t, options(real));
  const { callback, state } = await wayBack(at, 'ada');
  assert.equal((await at.provider.finish(callback, JSON.parse(JSON.stringify(state)))).user.loginName, 'ada');
});

test('of the way back, only the query counts: a proxy may have changed the rest', async (t) => {
  const at = await page(t, options(real));
  const { callback, state } = await wayBack(at, 'ada');
  const { search } = new URL(callback);
  assert.equal((await at.provider.finish(`/account/oidc/example/callback${search}`, state)).user.loginName, 'ada');
});

test('a public client has no secret: PKCE alone', async (t) => {
  const { clientSecret: _, ...rest } = options(real, { clientId: PUBLIC_CLIENT });
  assert.equal((await signIn(await page(t, rest), 'ada')).user.loginName, 'ada');
});

test('claims that are not in the ID token are asked for', async (t) => {
  const at = await page(t, options(bare, { allowedGroups: ['learners'] }));
  assert.equal((await signIn(at, 'ada')).user.loginName, 'ada');
  assert.equal(bare.asked.get('/me'), 1, 'once');
});

test('one address is not verified by what is said of another one', async (t) => {
  const at = await page(t, options(real, { claim: 'email' }));
  t.after(() => {
    real.tokenFault = undefined;
    real.userinfo = undefined;
  });
  real.tokenFault = { claims: ({ email_verified: _, ...claims }) => ({ ...claims, email: 'boss@example.org' }) };
  await failure(signIn(at, 'ada'), 'refused', secretsOf(real));
  real.userinfo = ({ email: _, ...claims }) => claims;
  await failure(signIn(at, 'ada'), 'refused', secretsOf(real));
  real.userinfo = (claims) => ({ ...claims, email: 'boss@example.org' });
  assert.equal((await signIn(at, 'ada')).user.loginName, 'boss@example.org');
});

test('and those that are there are not', async (t) => {
  const asked = real.asked.get('/me');
  await signIn(await page(t, options(real, { allowedGroups: ['learners'] })), 'ada');
  assert.equal(real.asked.get('/me'), asked);
});

test('whoever cancels at the provider is told so, and is nobody here', async (t) => {
  const at = await page(t, options(real));
  const { url, state } = await at.provider.begin({ redirectUri: REDIRECT_URI });
  const back = await new Browser().signIn(url, REDIRECT_URI, { cancel: '1' });
  const error = await failure(at.provider.finish(back, state), 'cancelled', secretsOf(real));
  assert.match(error.message, /^Example Ltd did not sign you in/);
  assert.match(error.detail, /access_denied, the person said no/);
  assert.deepEqual(await at.auth.directory.list(), []);
});

test('a recent sign-in is asked for and required, and so is how the person signed in', async (t) => {
  const at = await page(t, options(real, { acrValues: ['urn:example:two-factor'], maxAgeSecs: 600 }));
  const error = await failure(signIn(at, 'ada'), 'refused', secretsOf(real));
  assert.match(error.message, /not signed in in the way that is required/);
  assert.equal((await signIn(at, 'ada', { second: 'on' })).user.loginName, 'ada');
});

test('signing out at the provider: its address with our client, and the way back here', async (t) => {
  const back = 'http://127.0.0.1:9/anki/account';
  real.register([REDIRECT_URI], [back]);
  const at = await page(t, options(real));
  const browser = new Browser();
  const { logoutHint } = await signIn(at, 'ada', {}, browser);
  const url = await at.provider.logoutUrl({ logoutHint, returnTo: back });
  const sent = new URL(url!);
  assert.deepEqual([sent.origin, sent.searchParams.get('client_id'), sent.searchParams.get('post_logout_redirect_uri')], [real.issuer, CLIENT.id, back]);
  const asked = await browser.follow(url!, back);
  assert.ok(typeof asked !== 'string');
  const html = await asked.response.text();
  const [, action = '', xsrf = ''] = /action="(.*?)".*name="xsrf" value="(.*?)"/s.exec(html) ?? [];
  assert.equal(await browser.follow(action, back, { form: { xsrf, logout: 'yes' } }), back);
  // signed out there: the next sign-in asks for the password again
  const { url: next } = await at.provider.begin({ redirectUri: REDIRECT_URI });
  assert.ok(typeof (await browser.follow(next, REDIRECT_URI)) !== 'string');
});

test('a provider without a page for signing out, or one that is down, has no such address', async (t) => {
  real.metadata = ({ end_session_endpoint: _, ...rest }) => rest;
  t.after(() => {
    real.metadata = undefined;
  });
  const at = await page(t, options(real));
  assert.equal(await at.provider.logoutUrl({}), undefined);
  const nowhere = await page(t, options(real, { issuer: 'http://127.0.0.1:9' }));
  assert.equal(await nowhere.provider.logoutUrl({}), undefined);
});
