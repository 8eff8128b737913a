/** Over HTTP, below a mount: nothing that a sign-in must tell nobody is in a log, a body, a header or an address of ours. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import express from 'express';
import { expressSync } from '../../../adapters/express/index.ts';
import { createSyncServer, type LogEntry, type SyncServerOptions } from '../../../lib/index.ts';
import { dataFolder } from '../folder.ts';
import { Browser } from './browser.ts';
import { PEOPLE, RealProvider } from './provider.ts';
import { options } from './sign-in.ts';

interface Site {
  home: string;
  provider: RealProvider;
  log: LogEntry[];
}

async function site(t: TestContext, more: SyncServerOptions = {}): Promise<Site> {
  let listener: RequestListener | undefined;
  const server = createServer((req, res) => listener!(req, res)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const home = `http://127.0.0.1:${(server.address() as AddressInfo).port}/portal/anki/account`;
  const provider = await RealProvider.start([`${home}/oidc/example/callback`]);
  t.after(() => provider.close());
  const log: LogEntry[] = [];
  const sync = createSyncServer({
    base: dataFolder(), account: true, threads: 1, oidc: [options(provider, { allowedGroups: ['learners'], timeoutMillis: 2000 })], log: (entry) => log.push(entry), ...more,
  });
  listener = express().use('/portal/anki', expressSync(sync)) as RequestListener;
  await sync.ready;
  t.after(async () => {
    server.close();
    server.closeAllConnections();
    await sync.close();
  });
  return { home, provider, log };
}

test('whatever becomes of a sign-in, its secrets stay secret', async (t) => {
  const { home, provider, log } = await site(t);
  const told: string[] = [];
  const secrets: string[] = [];
  /** A way back, and what this server says to it. */
  const arrive = async (browser: Browser, back: string): Promise<number> => {
    const query = new URL(back).searchParams;
    secrets.push(...['code', 'state'].map((name) => query.get(name) ?? '').filter((value) => value !== ''));
    const answer = await browser.fetch(back);
    told.push(`${[...answer.headers].map(([name, value]) => (name === 'set-cookie' ? '' : `${name}: ${value}`)).join('\n')}\n${await answer.text()}`);
    return answer.status;
  };
  const signIn = async (who: string): Promise<[Browser, string]> => {
    const browser = new Browser();
    return [browser, await browser.signIn(`${home}/oidc/example`, `${home}/oidc/example/callback`, { user: who, password: PEOPLE[who]!.password })];
  };

  const [ada, back] = await signIn('ada');
  assert.equal(await arrive(ada, back), 303);
  assert.equal(await arrive(ada, back), 400, 'used up');
  assert.equal(await arrive(new Browser(), (await signIn('ada'))[1]), 400, 'in another browser');
  assert.equal(await arrive(...(await signIn('bob'))), 403, 'in no group');
  assert.equal(await arrive(...(await signIn('eve'))), 403, 'the name is taken');
  for (const fault of [{ claims: (claims: Record<string, unknown>) => ({ ...claims, nonce: 'x' }) }, { otherKey: true }]) {
    provider.tokenFault = fault;
    assert.equal(await arrive(...(await signIn('ada'))), 503);
  }
  provider.tokenFault = undefined;
  const [late, there] = await signIn('ada');
  await provider.down();
  assert.equal(await arrive(late, there), 503, 'the provider is down');
  assert.equal((await new Browser().fetch(`${home}/oidc/example/callback?code=canary-code-1&state=canary-state-1&error=%3Cscript%3E`)).status, 400);

  secrets.push(...provider.secrets, 'canary-code-1', 'canary-state-1');
  assert.ok(secrets.length > 25);
  const events = log.map(({ event }) => event);
  for (const event of ['login.ok', 'login.refused', 'login.unavailable'] as const) assert.ok(events.includes(event), event);
  assert.equal(log.filter(({ request }) => request === 'GET /account/oidc/example/callback').length, 9, 'there is a log, and no query in it');
  for (const secret of secrets) {
    for (const entry of log) assert.ok(!JSON.stringify(entry).includes(secret), `${secret} in ${JSON.stringify(entry)}`);
    for (const each of told) assert.ok(!each.includes(secret), `${secret} in\n${each}`);
  }
  for (const each of told) assert.match(each, /referrer-policy: no-referrer/);
});

test('the way back is below the mount, or below publicUrl where a proxy stands in front', async (t) => {
  const { home } = await site(t);
  const sent = async (at: string): Promise<string | null> => {
    const answer = await new Browser().fetch(`${at}/oidc/example`);
    assert.equal(answer.status, 303);
    const location = new URL(answer.headers.get('location')!);
    return location.searchParams.get('redirect_uri');
  };
  assert.equal(await sent(home), `${home}/oidc/example/callback`);
  for (const publicUrl of ['https://anki.example.org/sync', 'https://anki.example.org/sync/']) {
    assert.equal(await sent((await site(t, { publicUrl })).home), 'https://anki.example.org/sync/account/oidc/example/callback');
  }
});
