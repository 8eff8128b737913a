/** A portal whose users are signed in already. */
import assert from 'node:assert/strict';
import test from 'node:test';
import express from 'express';
import { expressSync } from '../../adapters/express/index.ts';
import type { SyncServerOptions } from '../../lib/index.ts';
import { RawClient } from '../client/raw.ts';
import { PEOPLE, portalApp } from './portal-app.ts';
import { accountServer, manage, notice, shownSecret, words, type AccountServer, type Visitor } from './visitor.ts';

const withPortal = (t: Parameters<typeof accountServer>[0], options: SyncServerOptions = {}) =>
  accountServer(t, { mount: (sync) => ({ listener: portalApp(sync), path: '/portal/anki/' }), options });

/** Two cookies: the portal's, and the account page's. */
class PortalVisitor {
  readonly visitor: Visitor;
  readonly #origin: string;
  #cookie = '';

  constructor({ visitor, url }: AccountServer) {
    this.visitor = visitor();
    this.#origin = new URL(url).origin;
  }

  async at(path: string, form: Record<string, string>): Promise<string> {
    const response = await fetch(this.#origin + path, { method: 'POST', body: new URLSearchParams(form), redirect: 'manual', headers: { cookie: this.#cookie } });
    await response.body?.cancel();
    this.#cookie = response.headers.get('set-cookie')?.split(';')[0] ?? this.#cookie;
    return this.#cookie;
  }

  /** As a browser sends both. */
  async get(path: string): ReturnType<Visitor['get']> {
    return this.visitor.get(path, { cookie: [this.#cookie, this.visitor.cookie].filter((each) => each !== '').join('; ') });
  }

  post(path: string, fields: Record<string, string>): ReturnType<Visitor['post']> {
    return this.visitor.post(path, fields, { cookie: `${this.#cookie}; ${this.visitor.cookie}` });
  }
}

test('whoever is signed in at the portal is signed in here, makes an app password, and syncs with it', async (t) => {
  const server = await withPortal(t);
  const kim = new PortalVisitor(server);
  assert.equal((await kim.get('')).to, '/sign-in');
  await kim.at('/portal/sign-in', { username: 'Kim@Example.org', password: PEOPLE['Kim@Example.org']! });
  const page = await kim.get('');
  assert.equal(page.status, 200);
  assert.match(words(page), /Kim@Example\.org/);
  assert.match(words(page), /an app password , which you make here for each device/);
  assert.doesNotMatch(page.text, /sign-out/);
  await kim.get('/app-passwords');
  assert.equal((await kim.post('/app-passwords', { name: 'phone', expires: '' })).status, 303);
  const password = shownSecret(await kim.get('/app-passwords'));
  const client = new RawClient(server.url);
  await client.hostKey('kim@example.org', password);
  assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 200);
});

test('whoever signs out at the portal is signed out here, and another person there is another one here', async (t) => {
  const server = await withPortal(t);
  const browser = new PortalVisitor(server);
  await browser.at('/portal/sign-in', { username: 'lee', password: PEOPLE['lee']! });
  assert.match(words(await browser.get('/devices')), /lee/);
  const before = browser.visitor.cookie;
  await browser.at('/portal/sign-out', {});
  assert.equal((await browser.get('')).to, '/sign-in');
  // the cookie alone is worth nothing without the portal, and less afterwards
  const thief = server.visitor();
  thief.cookie = before;
  assert.equal((await thief.get('')).to, '/sign-in');
  await browser.at('/portal/sign-in', { username: 'Kim@Example.org', password: PEOPLE['Kim@Example.org']! });
  assert.match(words(await browser.get('')), /Kim@Example\.org/);
});

test('a form that was made for another person at the portal changes nothing for whoever is signed in there now', async (t) => {
  const server = await withPortal(t);
  const browser = new PortalVisitor(server);
  await browser.at('/portal/sign-in', { username: 'lee', password: PEOPLE['lee']! });
  await browser.get('');
  await browser.get('/app-passwords');
  await browser.at('/portal/sign-in', { username: 'Kim@Example.org', password: PEOPLE['Kim@Example.org']! });
  const answer = await browser.post('/app-passwords', { name: 'of lee', expires: '' });
  assert.deepEqual([answer.status, /too old/.test(notice(answer))], [403, true]);
  assert.doesNotMatch(words(await browser.get('/app-passwords')), /of lee/);
  assert.equal((await browser.post('/app-passwords', { name: 'of kim', expires: '' })).status, 303);
});

test('what a browser says of itself makes nobody a user of the portal', async (t) => {
  const { visitor } = await withPortal(t);
  const guest = visitor();
  for (const name of ['signedInUser', 'signed-in-user', 'x-signed-in-user', 'x-forwarded-user', 'remote-user', 'authorization']) {
    assert.equal((await guest.get('', { [name]: 'lee' })).to, '/sign-in', name);
  }
});

test('a form of a portal user needs the token all the same', async (t) => {
  const server = await withPortal(t);
  const kim = new PortalVisitor(server);
  await kim.at('/portal/sign-in', { username: 'lee', password: PEOPLE['lee']! });
  // a first request that is a form: from another site, the portal's cookie would come along
  const planted = await kim.post('/app-passwords', { csrf: 'x', name: 'planted', expires: '' });
  assert.equal(planted.status, 403);
  assert.doesNotMatch((await kim.get('/app-passwords')).text, /planted/);
});

test('a user who is disabled here stays out, whatever the portal says', async (t) => {
  const server = await withPortal(t);
  const kim = new PortalVisitor(server);
  await kim.at('/portal/sign-in', { username: 'lee', password: PEOPLE['lee']! });
  assert.equal((await kim.get('')).status, 200);
  await manage(server.base, (auth) => auth.users.disable('lee'));
  const answer = await kim.get('');
  assert.deepEqual([answer.status, notice(answer)], [403, 'Your account on this sync server is disabled.']);
});

test('deleting needs a password; where there is none to ask for, the page says who can help', async (t) => {
  const authenticator = ({ username, password }: { username: string; password: string }) => PEOPLE[username] === password;
  const withPasswords = new PortalVisitor(await withPortal(t, { authenticator }));
  await withPasswords.at('/portal/sign-in', { username: 'lee', password: PEOPLE['lee']! });
  assert.match((await withPasswords.get('/delete')).text, /name="password"/);
  assert.equal((await withPasswords.post('/delete', { confirm: 'lee', password: 'wrong' })).status, 403);
  assert.equal((await withPasswords.post('/delete', { confirm: 'lee', password: PEOPLE['lee']! })).status, 303);

  const without = new PortalVisitor(await withPortal(t, { account: { passwords: false } }));
  await without.at('/portal/sign-in', { username: 'lee', password: PEOPLE['lee']! });
  const page = await without.get('/delete');
  assert.match(words(page), /Ask its administrator to delete your data/);
  assert.doesNotMatch(page.text, /name="confirm"/);
  assert.equal((await without.post('/delete', { confirm: 'lee', password: '' })).status, 403);
});

test('what an application gives in place of a name signs nobody in', async (t) => {
  const given: unknown[] = ['', null, undefined, 5, {}, ['lee']];
  const { visitor } = await accountServer(t, {
    mount: (sync) => ({
      listener: express().use('/anki', expressSync(sync, { signedInUser: (req: express.Request) => given[Number(req.headers['x-number'])] as string })),
      path: '/anki/',
    }),
  });
  for (const number of given.keys()) assert.equal((await visitor().get('', { 'x-number': String(number) })).to, '/sign-in');
});
