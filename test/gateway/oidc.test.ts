/** Single sign-on in front of the official server: people get app passwords from the gateway, and never see a password of the server behind. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { expressSync } from '../../adapters/express/index.ts';
import { createGateway, type LogEntry } from '../../lib/index.ts';
import { Visitor, words } from '../account/visitor.ts';
import { Browser } from '../auth/oidc/browser.ts';
import { PEOPLE, RealProvider } from '../auth/oidc/provider.ts';
import { options } from '../auth/oidc/sign-in.ts';
import { RawClient } from '../client/raw.ts';
import { startOfficialServer } from '../oracle/official-server.ts';

const THERE = { user: 'ada-since-2023', password: 'canary-there-6120' };

test('who signs in at a provider makes an app password, and syncs with the official server by it, until it is revoked', async (t) => {
  const official = await startOfficialServer({ users: { [THERE.user]: THERE.password } });
  t.after(() => official.stop());
  let listener: RequestListener | undefined;
  const server = createServer((req, res) => listener!(req, res)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const provider = await RealProvider.start([`${url}account/oidc/example/callback`]);
  t.after(() => provider.close());
  const base = await mkdtemp(join(tmpdir(), 'anki-sync-gateway-'));
  const log: LogEntry[] = [];
  const gateway = createGateway({
    base,
    account: { passwords: false },
    oidc: [options(provider)],
    upstream: { url: official.url, users: { ada: THERE } },
    log: (entry) => log.push(entry),
  });
  listener = expressSync(gateway);
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await gateway.close();
    await rm(base, { recursive: true, force: true });
  });
  await gateway.ready;

  const browser = new Browser();
  const back = await browser.signIn(`${url}account/oidc/example`, `${url}account/oidc/example/callback`, { user: 'ada', password: PEOPLE['ada']!.password });
  assert.equal((await browser.fetch(back)).status, 303);
  const visitor = new Visitor(url);
  visitor.cookie = browser.cookiesOf(url);
  assert.equal((await visitor.get('/app-passwords')).status, 200);
  const page = await visitor.change('/app-passwords', { name: 'phone', expires: '' });
  const [password] = /\b(?:[a-z]{5}-){6}[a-z]{5}\b/.exec(words(page)) ?? assert.fail(words(page));

  const client = new RawClient(url, { sessionKey: 'one' });
  for (const wrong of [PEOPLE['ada']!.password, THERE.password, `${password}x`]) await assert.rejects(client.hostKey('ada', wrong), /403/);
  await client.hostKey('ada', password);
  const meta = await client.post('meta', { v: 11, cv: 'x' });
  assert.deepEqual([meta.status, (meta.json() as { cont: boolean }).cont], [200, true]);
  assert.deepEqual((await client.msync('begin', { v: 'x' })).json(), { data: { usn: 0, sk: client.key }, err: '' });
  // the same collection as there
  const there = new RawClient(official.url, { sessionKey: 'two' });
  await there.hostKey(THERE.user, THERE.password);
  assert.deepEqual((await there.post('meta', { v: 11, cv: 'x' })).json().scm, (meta.json() as { scm: number }).scm);
  assert.notEqual(there.key, client.key);

  const list = await visitor.get('/app-passwords');
  const id = /app-passwords\/revoke".*?name="id" value="([^"]+)"/s.exec(list.text)![1]!;
  await visitor.change('/app-passwords/revoke', { id });
  assert.equal((await client.post('meta', { v: 11, cv: 'x' })).status, 403);
  await assert.rejects(client.hostKey('ada', password), /403/);
  for (const secret of [THERE.password, password, there.key, ...provider.secrets]) assert.ok(!JSON.stringify(log).includes(secret));
});
