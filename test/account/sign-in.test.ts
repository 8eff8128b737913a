/** Ways in and out, and what every answer has in common. */
import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import test from 'node:test';
import connect from 'connect';
import express from 'express';
import { expressSync } from '../../adapters/express/index.ts';
import { SyncError, type SyncServer } from '../../lib/index.ts';
import { accountServer, manage, notice, Visitor, words } from './visitor.ts';

const ADA = { Ada: 'canary-ada-1' };

const mounts: [string, string, (sync: SyncServer) => RequestListener][] = [
  ['Express at a subpath', '/portal/anki/', (sync) => express().use('/portal/anki', expressSync(sync))],
  ['Express at the root', '/', (sync) => express().use(expressSync(sync))],
  ['a Router', '/a/anki/', (sync) => express().use('/a', express.Router().use('/anki', expressSync(sync)))],
  ['connect', '/anki/', (sync) => connect().use('/anki', expressSync(sync)) as RequestListener],
  ['node:http', '/', (sync) => expressSync(sync)],
];
for (const [name, path, mount] of mounts) {
  test(`${name}: people sign in and out, and every link and form stays below the mount`, async (t) => {
    const { visitor, url } = await accountServer(t, { users: ADA, mount: (sync) => ({ listener: mount(sync), path }) });
    const ada = visitor();
    assert.equal((await ada.get('')).to, '/sign-in');
    const signedIn = await ada.signIn('ada', ADA.Ada);
    assert.equal(signedIn.status, 303);
    assert.equal(signedIn.headers.get('location'), `${path}account`);
    assert.match(signedIn.headers.get('set-cookie')!, new RegExp(`^anki-account=[\\w-]{43}; Path=${path}account; HttpOnly; SameSite=Lax$`));
    const places = ['', '/app-passwords', '/devices', '/collection', '/delete'];
    for (const place of places) {
      const page = await ada.get(place);
      assert.equal(page.status, 200, place);
      const links = [...page.text.matchAll(/ (?:href|src|action)="([^"#]+)"/g)].map((match) => match[1]!);
      assert.ok(links.length >= 7);
      for (const link of links) assert.ok(link.startsWith(`${path}account`), link);
      for (const link of links.filter((each) => /\.(css|js)\?/.test(each))) {
        const response = await fetch(new URL(link, url));
        assert.equal(response.status, 200);
        assert.match(response.headers.get('content-type')!, /^text\/(css|javascript); charset=utf-8$/);
      }
    }
    assert.ok((await ada.get('')).text.includes(`<code class="url" data-copy="the address">${url}</code>`));
    assert.match(notice(await ada.change('/sign-out', {})), /You are signed out/);
    assert.equal((await ada.get('/devices')).to, '/sign-in');
  });
}

test('an address of a form that is kept as a bookmark leads to a page, and not round and round', async (t) => {
  const { visitor } = await accountServer(t, { users: ADA });
  const ada = visitor();
  await ada.signIn('ada', ADA.Ada);
  const leads = {
    '/sign-out': '', '/devices/revoke': '/devices', '/devices/revoke-all': '/devices', '/app-passwords/revoke': '/app-passwords', '/collection/download': '/collection',
  };
  for (const [path, to] of Object.entries(leads)) {
    assert.equal((await ada.get(path)).to, to, path);
    assert.equal((await ada.get(to)).status, 200, to);
  }
});

test('whatever stands in the path of a mount, nothing leads to another host, and the cookie has no attribute but ours', async (t) => {
  const { sync } = await accountServer(t, { users: ADA });
  for (const mountPath of ['//evil.example/anki', '/\\evil.example/anki', '/a;Domain=example.org/anki', '/a; Domain=example.org/anki']) {
    const visit = { method: 'GET', mountPath, headers: { host: 'example.org' }, body: null };
    const { location } = (await sync.handle({ ...visit, url: '/account' })).headers;
    assert.equal(new URL(location!, 'https://example.org/').host, 'example.org', location);
    const { headers, body } = await sync.handle({ ...visit, url: '/account/sign-in' });
    assert.deepEqual(headers['set-cookie']!.split(';').slice(2), [' HttpOnly', ' SameSite=Lax'], headers['set-cookie']);
    const links = [...String(body).matchAll(/ (?:href|src|action)="([^"#]+)"/g)].map((match) => match[1]!);
    assert.ok(links.length > 2);
    for (const link of links) assert.equal(new URL(link, 'https://example.org/').host, 'example.org', link);
  }
});

test('the landing page leads to the account page, where there is one', async (t) => {
  const { url } = await accountServer(t, { users: ADA });
  const page = await (await fetch(url)).text();
  assert.ok(page.includes(`<a href="${url}account">`));
  const without = await accountServer(t, { options: { account: false } });
  assert.doesNotMatch(await (await fetch(without.url)).text(), /\/account/);
  assert.equal((await fetch(`${without.url}account`)).status, 404);
});

test('without an account page, and for paths that it does not know, an application gets its turn', async (t) => {
  const mount = (sync: SyncServer) => ({ listener: express().use('/anki', expressSync(sync)).use((_req, res) => void res.send('the application')), path: '/anki/' });
  const { visitor } = await accountServer(t, { options: { account: { enabled: false } }, mount });
  assert.equal((await visitor().get('')).text, 'the application');
  const other = await accountServer(t, { mount });
  assert.equal((await other.visitor().get('/nothing-here')).text, 'the application');
});

test('a public URL decides what is shown, where links lead, and which path the cookie has', async (t) => {
  const { visitor, url } = await accountServer(t, {
    users: ADA,
    options: { publicUrl: 'https://example.org/cards/sync/' },
    mount: (sync) => ({ listener: express().use('/anki', expressSync(sync)), path: '/anki/' }),
  });
  const ada = visitor();
  const page = await ada.get('/sign-in');
  assert.match(page.headers.get('set-cookie')!, /; Path=\/cards\/sync\/account;/);
  assert.match(page.text, /action="\/cards\/sync\/account\/sign-in"/);
  assert.equal((await ada.post('/sign-in', { user: 'ada', password: ADA.Ada })).headers.get('location'), '/cards/sync/account');
  assert.match((await ada.get('')).text, />https:\/\/example\.org\/cards\/sync\/</);
  assert.ok(url.startsWith('http://127.0.0.1'));
});

test('on https the cookie is Secure, and has a name that pages without encryption cannot set', async (t) => {
  const { url } = await accountServer(t, { users: ADA, express: { trustedProxies: ['loopback'] } });
  const ada = new Visitor(url);
  ada.headers = { 'x-forwarded-proto': 'https' };
  await ada.get('/sign-in');
  const signedIn = await ada.post('/sign-in', { user: 'ada', password: ADA.Ada });
  assert.match(signedIn.headers.get('set-cookie')!, /^__Secure-anki-account=[\w-]{43}; Path=\/anki\/account; HttpOnly; SameSite=Lax; Secure$/);
  const page = await ada.get('');
  assert.equal(page.status, 200);
  assert.doesNotMatch(page.text, /not encrypted/);
  // the same cookie, without encryption
  ada.headers = {};
  assert.equal((await ada.get('')).to, '/sign-in');
});

test('every answer forbids scripts and styles that are not ours, frames, storage, and sniffing', async (t) => {
  const { visitor } = await accountServer(t, { users: ADA, mount: (sync) => ({ listener: expressSync(sync), path: '/' }) });
  const ada = visitor();
  const answers = [await ada.get('/sign-in'), await ada.signIn('ada', 'wrong'), await ada.signIn('ada', ADA.Ada), await ada.get(''), await ada.get('/nope'), await ada.get('/users')];
  assert.deepEqual(answers.map(({ status }) => status), [200, 403, 303, 200, 404, 403]);
  for (const { headers, text } of answers) {
    assert.equal(headers.get('content-security-policy'), "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assert.equal(headers.get('referrer-policy'), 'no-referrer');
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.equal(headers.get('x-frame-options'), 'DENY');
    assert.doesNotMatch(text, /<style|<script(?! src=)|\sstyle=|\son\w+=|javascript:|url\(/i);
  }
});

test('a wrong password, an unknown name and a disabled account are told alike, and what was typed as a name stays', async (t) => {
  const { visitor, base, log } = await accountServer(t, { users: { ...ADA, bob: 'canary-bob-1' } });
  await manage(base, (auth) => auth.users.disable('bob'));
  const guest = visitor();
  const told = new Set<string>();
  for (const [user, password] of [['ada', 'canary-wrong'], ['nobody', 'canary-wrong'], ['bob', 'canary-bob-1']] as const) {
    const answer = await guest.signIn(user, password);
    assert.equal(answer.status, 403);
    assert.match(answer.text, new RegExp(`name="user"[^>]* value="${user}"`));
    assert.doesNotMatch(answer.text, /canary/);
    told.add(notice(answer));
  }
  assert.deepEqual([...told], ['This user name and password do not belong together, or the account is disabled.']);
  assert.equal(log.filter(({ event }) => event === 'login.refused').length, 3);
  assert.match(notice(await guest.signIn('', '')), /Please enter user name and password/);
});

test('too many wrong passwords are told in words, with the time to wait', async (t) => {
  const { visitor, log } = await accountServer(t, { users: ADA, options: { loginLimits: { perUserAndAddress: 2, windowSecs: 600 } } });
  const guest = visitor();
  for (let attempt = 0; attempt < 2; attempt += 1) assert.equal((await guest.signIn('ada', 'wrong')).status, 403);
  const limited = await guest.signIn('ada', ADA.Ada);
  assert.equal(limited.status, 429);
  assert.match(notice(limited), /Too many wrong passwords\. Please try again in \d+ minutes\./);
  assert.ok(log.some(({ event }) => event === 'login.limited'));
});

test('a directory that is down is told as such, and not as a wrong password', async (t) => {
  const authenticator = (): never => {
    throw new SyncError('AUTH_UNAVAILABLE', 'canary-detail', { detail: 'canary-detail' });
  };
  const { visitor, log } = await accountServer(t, { options: { authenticator } });
  const answer = await visitor().signIn('ada', 'right');
  assert.equal(answer.status, 503);
  assert.match(notice(answer), /Nobody can be signed in at the moment.*Devices that are signed in go on syncing/);
  assert.doesNotMatch(answer.text, /canary/);
  assert.ok(log.some(({ event, detail }) => event === 'login.unavailable' && detail === 'canary-detail'));
});

test('whoever comes from a directory is here from the first sign-in on, by the name that the directory gives', async (t) => {
  const { visitor } = await accountServer(t, { options: { authenticator: ({ password }) => (password === 'right' ? 'Ada@example.org' : null) } });
  const ada = visitor();
  assert.equal((await ada.signIn('ada', 'right')).status, 303);
  assert.match(words(await ada.get('')), /Ada@example\.org/);
  for (const place of ['/devices', '/collection', '/app-passwords']) assert.equal((await ada.get(place)).status, 200);
});

test('where nobody signs in by a password, there is no form for it, and none is taken', async (t) => {
  const { visitor } = await accountServer(t, { users: ADA, options: { account: { passwords: false } } });
  const guest = visitor();
  assert.doesNotMatch((await guest.get('/sign-in')).text, /<input/);
  // the token that a form would have
  const { csrfTokenOf } = await import('../../lib/account/csrf.ts');
  const csrf = csrfTokenOf(guest.cookie.split('=')[1]!);
  const answer = await guest.post('/sign-in', { csrf, user: 'ada', password: ADA.Ada });
  assert.deepEqual([answer.status, notice(answer)], [403, 'Nobody signs in to this page by a password.']);
});

test('people who enter the address of the account page in Anki sync all the same', async (t) => {
  const { url } = await accountServer(t, { users: ADA });
  const { RawClient } = await import('../client/raw.ts');
  const client = new RawClient(`${url}account/`);
  await client.hostKey('ada', ADA.Ada);
  assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 200);
});
