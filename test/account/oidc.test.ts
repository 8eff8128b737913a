/** Signing in at a provider, from the button to the account page; the provider is real, the browser is not (see browser.test.ts). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import { expressSync } from '../../adapters/express/index.ts';
import { createSyncServer, type LogEntry, type SyncServer } from '../../lib/index.ts';
import { Browser } from '../auth/oidc/browser.ts';
import { PEOPLE, RealProvider } from '../auth/oidc/provider.ts';
import { options } from '../auth/oidc/sign-in.ts';
import { dataFolder, notice } from './visitor.ts';

/** The provider has to know the address to come back to before the server is there. */
async function setUp(t: TestContext): Promise<{ home: string; provider: RealProvider; log: LogEntry[]; sync: SyncServer }> {
  let listener: RequestListener | undefined;
  const server = createServer((req, res) => listener!(req, res)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const home = `http://127.0.0.1:${(server.address() as AddressInfo).port}/account`;
  const provider = await RealProvider.start([`${home}/oidc/example/callback`]);
  t.after(() => provider.close());
  const log: LogEntry[] = [];
  const sync = createSyncServer({
    base: await dataFolder(t), account: { passwords: false }, threads: 1, oidc: [options(provider)], log: (entry) => log.push(entry),
  });
  listener = expressSync(sync);
  await sync.ready;
  t.after(async () => {
    server.close();
    server.closeAllConnections();
    await sync.close();
  });
  return { home, provider, log, sync };
}

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
  const answer = await sync.handle({ method: 'GET', url: '/account/oidc/example', headers: { host: 'elsewhere.example' }, body: null });
  assert.deepEqual([answer.status, answer.headers['location']], [503, undefined]);
  assert.match(String(answer.body), /not set up completely/);
  assert.deepEqual([log.at(-1)?.code, /PUBLIC_URL/.test(log.at(-1)?.detail ?? '')], ['PUBLIC_URL_MISSING', true]);
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

test('signing out here names the way to sign out at the provider; deleting needs a sign-in that is fresh, and no password', async (t) => {
  const { home } = await setUp(t);
  const browser = new Browser();
  await browser.fetch(await browser.signIn(`${home}/oidc/example`, `${home}/oidc/example/callback`, { user: 'ada', password: PEOPLE['ada']!.password }));
  const page = await textOf(browser, `${home}/delete`);
  assert.match(page.text, /name="confirm"/);
  assert.doesNotMatch(page.text, /name="password"/);
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)![1]!;
  const wrong = await browser.fetch(`${home}/delete`, { form: { csrf, confirm: 'bob' } });
  assert.equal(wrong.status, 400);
  await wrong.body?.cancel();
  const out = await browser.fetch(`${home}/sign-out`, { form: { csrf } });
  assert.equal(out.headers.get('location'), '/account/sign-in');
  assert.match((await textOf(browser, `${home}/sign-in`)).text, /You may still be signed in at Example Ltd: <a href="http:\/\/[^"]+">sign out there too</);
});
