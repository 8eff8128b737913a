import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import Koa from 'koa';
import { koaSync } from '../../adapters/koa/index.ts';
import { inKoa } from './applications.ts';
import { bridgeTests, recorder, text } from './bridge.ts';

bridgeTests(inKoa);

async function listen(t: TestContext, app: Koa): Promise<string> {
  const listener = app.listen(0, '127.0.0.1');
  t.after(() => {
    listener.close();
    listener.closeAllConnections();
  });
  await once(listener, 'listening');
  return `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
}

test('Koa: at the root it answers what is its own, and the rest goes on', async (t) => {
  const server = recorder(({ url }) => (url.startsWith('/sync/') ? text('ours') : text('PATH_UNKNOWN', 404)));
  const app = new Koa().use(koaSync(server)).use((ctx) => void (ctx.body = `the application: ${ctx.url}`));
  const origin = await listen(t, app);
  assert.equal(await (await fetch(`${origin}/hello?x`)).text(), 'the application: /hello?x');
  assert.equal(await (await fetch(`${origin}/sync/meta`, { method: 'POST' })).text(), 'ours');
  assert.deepEqual(server.asked.map(({ url, mountPath }) => [url, mountPath]), [['/hello?x', ''], ['/sync/meta', '']]);
});

test('Koa: below a mount that takes its path off the URL, as koa-mount does', async (t) => {
  const server = recorder();
  const inner = koaSync(server);
  const deeper = koaSync(server, { mountPath: '/deeper' });
  const app = new Koa().use(async (ctx, next) => {
    ctx.path = ctx.path.slice('/anki'.length) || '/';
    await (ctx.path.startsWith('/deeper') ? deeper : inner)(ctx, next);
  });
  const origin = await listen(t, app);
  for (const path of ['/anki/sync/meta?x=1', '/anki', '/anki/', '/anki/deeper/sync/meta']) await (await fetch(`${origin}${path}`)).text();
  assert.deepEqual(server.asked.map(({ url, mountPath }) => [url, mountPath]), [
    ['/sync/meta?x=1', '/anki'], ['/', '/anki'], ['/', '/anki'], ['/sync/meta', '/anki/deeper'],
  ]);
});

test('Koa: address and scheme follow app.proxy', async (t) => {
  const server = recorder();
  const origin = await listen(t, new Koa({ proxy: true }).use(koaSync(server)));
  await fetch(origin, { headers: { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'https' } });
  assert.deepEqual([server.asked[0]?.clientAddress, server.asked[0]?.scheme], ['203.0.113.7', 'https']);
});

test('Koa: who waits for next sees the status, once the answer has left, and no body to work on', async (t) => {
  const seen = Promise.withResolvers<unknown[]>();
  const app = new Koa().use(async (ctx, next) => {
    await next();
    seen.resolve([ctx.status, ctx.body, ctx.res.writableEnded]);
  }).use(koaSync(recorder(() => text('ours', 409)), { mountPath: '/anki' }));
  const response = await fetch(`${await listen(t, app)}/anki/sync/meta`, { method: 'POST', body: '{}' });
  assert.deepEqual([response.status, await response.text()], [409, 'ours']);
  assert.deepEqual(await seen.promise, [409, undefined, true]);
});

test('Koa: a mount path that is none is refused at once', () => {
  assert.throws(() => koaSync(recorder(), { mountPath: 'anki' }), TypeError);
  assert.throws(() => koaSync(recorder(), { trustedProxies: ['everybody'] }), TypeError);
});
