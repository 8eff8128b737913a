/** Signing in at a provider, from the button to the account page; the provider is real, the browser is not (see browser.test.ts). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import { expressSync } from '../../adapters/express/index.ts';
import { createSyncServer, type LogEntry, type OidcOptions, type SyncServer } from '../../lib/index.ts';
import { Browser } from '../auth/oidc/browser.ts';
import { PEOPLE, RealProvider } from '../auth/oidc/provider.ts';
import { options } from '../auth/oidc/sign-in.ts';
import { dataFolder, manage, notice } from './visitor.ts';

interface Running {
  base: string;
  home: string;
  provider: RealProvider;
  log: LogEntry[];
  sync: SyncServer;
  /** With other providers, on the same data folder and at the same address. */
  restart(oidc: OidcOptions[]): Promise<void>;
}

/** The provider has to know the address to come back to before the server is there. */
async function setUp(t: TestContext): Promise<Running> {
  let listener: RequestListener | undefined;
  const server = createServer((req, res) => listener!(req, res)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const home = `http://127.0.0.1:${(server.address() as AddressInfo).port}/account`;
  const provider = await RealProvider.start([`${home}/oidc/example/callback`]);
  t.after(() => provider.close());
  const log: LogEntry[] = [];
  const base = await dataFolder(t);
  const start = async (oidc: OidcOptions[]): Promise<SyncServer> => {
    const started = createSyncServer({ base, account: { passwords: false }, threads: 1, oidc, log: (entry) => log.push(entry) });
    listener = expressSync(started);
    await started.ready;
    return started;
  };
  const running: Running = {
    base,
    home,
    provider,
    log,
    sync: await start([options(provider)]),
    async restart(oidc) {
      await running.sync.close();
      running.sync = await start(oidc);
    },
  };
  t.after(async () => {
    server.close();
    server.closeAllConnections();
    await running.sync.close();
  });
  return running;
}

const ADA = { user: 'ada', password: PEOPLE['ada']!.password };

/** Somebody who has a session at the provider from now on. */
async function signedIn({ home }: Running): Promise<Browser> {
  const browser = new Browser();
  const arrived = await browser.fetch(await browser.signIn(`${home}/oidc/example`, `${home}/oidc/example/callback`, ADA));
  assert.equal(arrived.status, 303);
  return browser;
}

const isSignedIn = async (browser: Browser, home: string): Promise<boolean> => (await textOf(browser, home)).status === 200;

const textOf = async (browser: Browser, url: string): Promise<{ status: number; text: string; location: string | null }> => {
  const response = await browser.fetch(url);
  return { status: response.status, text: await response.text(), location: response.headers.get('location') };
};

test('a button leads to the provider and back, signed in; nothing of it is in the log', async (t) => {
  const { home, provider, log } = await setUp(t);
  const browser = new Browser();
  const page = await textOf(browser, `${home}/sign-in`);
  assert.match(page.text, new RegExp(`href="/account/oidc/example">Sign in with Example Ltd<`));
  assert.doesNotMatch(page.text, /name="password"/);
  const back = await browser.signIn(`${home}/oidc/example`, `${home}/oidc/example/callback`, { user: 'ada', password: PEOPLE['ada']!.password });
  const arrived = await browser.fetch(back);
  assert.deepEqual([arrived.status, arrived.headers.get('location')], [303, '/account']);
  assert.match((await textOf(browser, home)).text, /<bdi>ada<\/bdi>/);
  assert.ok(log.some(({ event, user, request }) => event === 'login.ok' && user === 'ada' && request === 'GET /account/oidc/example/callback'));
  const code = new URL(back).searchParams.get('code')!;
  for (const entry of log) {
    for (const secret of [code, ...provider.secrets]) assert.ok(!JSON.stringify(entry).includes(secret));
  }

  // the way back is used up
  const again = await textOf(browser, back);
  assert.equal(again.status, 400);
  assert.notEqual(notice(again), '');
});

test('the way back is worth nothing in another browser, nor without a beginning', async (t) => {
  const { home } = await setUp(t);
  const [victim, thief] = [new Browser(), new Browser()];
  const back = await thief.signIn(`${home}/oidc/example`, `${home}/oidc/example/callback`, { user: 'ada', password: PEOPLE['ada']!.password });
  await textOf(victim, `${home}/sign-in`);
  const answer = await textOf(victim, back);
  assert.equal(answer.status, 400);
  assert.equal((await textOf(victim, home)).location, '/account/sign-in');
  // and the thief's own is no worse for it
  assert.equal((await textOf(thief, back)).status, 303);
});

test('a request that names another host leads nobody there: the address to come back to has to be set', async (t) => {
  const { sync, log } = await setUp(t);
  for (const host of ['elsewhere.example', 'no host at all', '[::1', '']) {
    const answer = await sync.handle({ method: 'GET', url: '/account/oidc/example', headers: { host }, body: null });
    assert.deepEqual([answer.status, answer.headers['location']], [503, undefined], host);
    assert.match(String(answer.body), /not set up completely/);
    assert.deepEqual([log.at(-1)?.code, /PUBLIC_URL/.test(log.at(-1)?.detail ?? '')], ['PUBLIC_URL_MISSING', true]);
  }
});

test('a provider that is down, or that nobody knows, is told in words', async (t) => {
  const { home, provider } = await setUp(t);
  await provider.close();
  const down = await textOf(new Browser(), `${home}/oidc/example`);
  assert.equal(down.status, 503);
  assert.notEqual(notice(down), '');
  for (const path of ['/oidc/other', '/oidc/other/callback?code=x', '/oidc/__proto__']) {
    const unknown = await textOf(new Browser(), home + path);
    assert.deepEqual([unknown.status, notice(unknown)], [404, 'There is no such way to sign in.']);
  }
});

test('a way back that was come by is worth nothing a second time, even with the cookie of the first: the provider is not asked', async (t) => {
  const { home, provider } = await setUp(t);
  const browser = new Browser();
  const back = await browser.signIn(`${home}/oidc/example`, `${home}/oidc/example/callback`, ADA);
  const cookie = browser.cookiesOf(home);
  assert.match(cookie, /\./, 'what was sealed for the way back');
  assert.equal((await textOf(browser, back)).status, 303);
  const asked = provider.asked.get('/token');
  const replayed = await fetch(back, { redirect: 'manual', headers: { cookie } });
  assert.deepEqual([replayed.status, replayed.headers.get('set-cookie'), provider.asked.get('/token')], [400, null, asked]);
  assert.match(notice({ text: await replayed.text() }), /This sign-in has ended/);
  assert.ok(await isSignedIn(browser, home));
});

test('of two tabs in which a sign-in began, the later one ends well, even if the other one comes back before it', async (t) => {
  const { home } = await setUp(t);
  const browser = new Browser();
  const begin = (): Promise<string> => browser.signIn(`${home}/oidc/example`, `${home}/oidc/example/callback`, ADA);
  const [first, second] = [await begin(), await begin()];
  assert.equal((await textOf(browser, first)).status, 400);
  assert.equal((await textOf(browser, second)).status, 303);
  assert.ok(await isSignedIn(browser, home));
});

test('a provider that is no longer one, or another one under its id, signs out whoever came by it', async (t) => {
  const running = await setUp(t);
  const { home, provider, restart } = running;
  const [stays, replaced, gone] = [await signedIn(running), await signedIn(running), await signedIn(running)];
  await restart([options(provider, { name: 'Another name' })]);
  assert.ok(await isSignedIn(stays, home));
  await restart([options(provider, { issuer: 'https://login.example.org' })]);
  assert.equal(await isSignedIn(replaced, home), false);
  await restart([options(provider, { id: 'other' })]);
  assert.equal(await isSignedIn(gone, home), false);
  await restart([options(provider)]);
  assert.deepEqual([await isSignedIn(stays, home), await isSignedIn(replaced, home), await isSignedIn(gone, home)], [true, false, false]);
});

test('a user who is given to another account of the provider is signed out in the browsers of the one before', async (t) => {
  const running = await setUp(t);
  const { home, base } = running;
  const before = await signedIn(running);
  await manage(base, (auth) => auth.users.awaitSubject('ada', Math.floor(Date.now() / 1000) + 600));
  assert.ok(await isSignedIn(before, home));
  const eve = new Browser();
  const back = await eve.signIn(`${home}/oidc/example`, `${home}/oidc/example/callback`, { user: 'eve', password: PEOPLE['eve']!.password });
  assert.equal((await textOf(eve, back)).status, 303);
  assert.deepEqual([await isSignedIn(before, home), await isSignedIn(eve, home)], [false, true]);
});

const deleteForm = async (browser: Browser, home: string): Promise<string | undefined> => {
  const { text } = await textOf(browser, `${home}/delete`);
  assert.doesNotMatch(text, /name="password"/);
  return /name="confirm"/.test(text) ? /name="csrf" value="([^"]+)"/.exec(text)![1]! : undefined;
};

test('deleting one\'s data needs a sign-in at the provider that it has asked for just now: a session there is not enough', async (t) => {
  const running = await setUp(t);
  const { home, log } = running;
  const browser = await signedIn(running);
  const page = await textOf(browser, `${home}/delete`);
  assert.match(page.text, /<a href="\/account\/oidc\/example\/confirm">sign in at Example Ltd once more<\/a>/);
  // by the provider's session, without a question
  assert.equal((await textOf(browser, String(await browser.follow(`${home}/oidc/example`, `${home}/oidc/example/callback`)))).status, 303);
  assert.equal(await deleteForm(browser, home), undefined);
  const csrf = /name="csrf" value="([^"]+)"/.exec((await textOf(browser, home)).text)![1]!;
  const refused = await browser.fetch(`${home}/delete`, { form: { csrf, confirm: 'ada' } });
  assert.equal(refused.status, 403);
  await refused.body?.cancel();

  const asked = await browser.follow(`${home}/oidc/example/confirm`, `${home}/oidc/example/callback`);
  assert.ok(typeof asked !== 'string', 'the provider asked nobody');
  await asked.response.body?.cancel();
  const back = await textOf(browser, String(await browser.follow(asked.url, `${home}/oidc/example/callback`, { form: ADA })));
  assert.deepEqual([back.status, back.location], [303, '/account/delete']);
  const confirmed = (await deleteForm(browser, home))!;
  const wrong = await browser.fetch(`${home}/delete`, { form: { csrf: confirmed, confirm: 'bob' } });
  assert.equal(wrong.status, 400);
  await wrong.body?.cancel();
  const deleted = await browser.fetch(`${home}/delete`, { form: { csrf: confirmed, confirm: 'ada' } });
  assert.deepEqual([deleted.status, deleted.headers.get('location')], [303, '/account/collection']);
  assert.ok(log.some(({ event, user }) => event === 'data.deleted' && user === 'ada'));
  assert.equal(await deleteForm(browser, home), undefined, 'once, and no more');
});

test('a question that was taken out of the address, or that the provider has not heard, is no confirmation, and ends no session', async (t) => {
  const running = await setUp(t);
  const { home, provider, log } = running;
  const browser = await signedIn(running);
  const confirmed = async (change: (url: URL) => void, form?: Record<string, string>): Promise<{ status: number; text: string }> => {
    const begun = await browser.fetch(`${home}/oidc/example/confirm`);
    const url = new URL(begun.headers.get('location')!);
    assert.deepEqual([url.searchParams.get('prompt'), url.searchParams.get('max_age')], ['login', '0']);
    change(url);
    return textOf(browser, await browser.signIn(url.href, `${home}/oidc/example/callback`, form ?? {}));
  };
  provider.tokenFault = { claims: (claims) => ({ ...claims, auth_time: Math.floor(Date.now() / 1000) - 300 }) };
  const silent = await confirmed((url) => ['prompt', 'max_age'].forEach((each) => url.searchParams.delete(each)));
  assert.deepEqual([silent.status, notice(silent)], [403, 'Example Ltd did not confirm that you signed in there just now.']);
  assert.match(log.at(-1)!.detail!, /auth_time is from before/);
  provider.tokenFault = { claims: ({ auth_time: _, ...claims }) => claims };
  assert.equal((await confirmed(() => {}, ADA)).status, 403);
  assert.match(log.at(-1)!.detail!, /has no auth_time/);
  provider.tokenFault = undefined;
  assert.ok(await isSignedIn(browser, home));
  assert.equal(await deleteForm(browser, home), undefined);
});

test('signing out here names the way to sign out at the provider', async (t) => {
  const running = await setUp(t);
  const { home } = running;
  const browser = await signedIn(running);
  const csrf = /name="csrf" value="([^"]+)"/.exec((await textOf(browser, home)).text)![1]!;
  const out = await browser.fetch(`${home}/sign-out`, { form: { csrf } });
  assert.equal(out.headers.get('location'), '/account/sign-in');
  assert.match((await textOf(browser, `${home}/sign-in`)).text, /You may still be signed in at Example Ltd: <a href="http:\/\/[^"]+">sign out there too</);
});
