import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { secureHeaders } from 'hono/secure-headers';
import { honoSync } from '../../adapters/hono/index.ts';
import { inHono } from './applications.ts';
import { bridgeTests, bytesOf, recorder, text } from './bridge.ts';

bridgeTests(inHono);

const places: [string, (handler: ReturnType<typeof honoSync>) => Hono, string, string][] = [
  ['a route of its own', (handler) => new Hono().all('/anki/*', handler), '/anki/sync/meta', '/anki'],
  ['as middleware', (handler) => new Hono().use('/anki/*', handler), '/anki/sync/meta', '/anki'],
  ['an application in another', (handler) => new Hono().route('/tools/anki', new Hono().all('*', handler)), '/tools/anki/sync/meta', '/tools/anki'],
  ['a base path', (handler) => new Hono().basePath('/base').all('/anki/*', handler), '/base/anki/sync/meta', '/base/anki'],
  ['a path with a parameter', (handler) => new Hono().all('/:team/anki/*', handler), '/red/anki/sync/meta', '/red/anki'],
  ['the root', (handler) => new Hono().all('*', handler), '/sync/meta', ''],
];
for (const [name, mount, path, mountPath] of places) {
  test(`Hono: ${name}: the mount is that of the route`, async () => {
    const server = recorder(async ({ body }) => text((await bytesOf(body)).toString()));
    const app = mount(honoSync(server));
    const response = await app.request(`${path}?x=1`, { method: 'POST', body: 'hello' });
    assert.equal(await response.text(), 'hello');
    await app.request(mountPath || '/');
    assert.deepEqual(server.asked.map((asked) => [asked.url, asked.mountPath]), [['/sync/meta?x=1', mountPath], ['/', mountPath]]);
  });
}

test('Hono: a mount path that is given counts, and what is not below it goes on', async () => {
  const server = recorder();
  const app = new Hono().use(honoSync(server, { mountPath: '/anki/' })).get('*', (c) => c.text(`the application: ${c.req.path}`));
  assert.equal(await (await app.request('/anki/health')).text(), 'ok');
  assert.equal(await (await app.request('/other/health')).text(), 'the application: /other/health');
  assert.deepEqual(server.asked.map(({ url, mountPath }) => [url, mountPath]), [['/health', '/anki']]);
});

test('Hono: a request that is not ours goes on with its body whole', async () => {
  const app = new Hono().all('/anki/*', honoSync(recorder(() => text('PATH_UNKNOWN', 404)))).post('*', async (c) => c.text(`read: ${await c.req.text()}`));
  assert.equal(await (await app.request('/anki/own', { method: 'POST', body: 'hello' })).text(), 'read: hello');
});

test('Hono: middleware that sets headers may, and one that limits bodies hands on what it let through', async () => {
  const server = recorder(async ({ body }) => text((await bytesOf(body)).toString()));
  const app = new Hono().use(secureHeaders()).use(bodyLimit({ maxSize: 10 })).all('/anki/*', honoSync(server));
  const response = await app.request('/anki/sync/meta', { method: 'POST', body: 'hello' });
  assert.deepEqual([await response.text(), response.headers.get('x-content-type-options')], ['hello', 'nosniff']);
  assert.equal((await app.request('/anki/sync/meta', { method: 'POST', body: 'much too long' })).status, 413);
});
