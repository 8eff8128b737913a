import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { test } from 'node:test';
import fastify from 'fastify';
import { fastifySync } from '../../adapters/fastify/index.ts';
import { inFastify, listeningFastify } from './applications.ts';
import { bridgeTests, bytesOf, recorder, text } from './bridge.ts';

bridgeTests(inFastify);

test('Fastify: at the root it answers what no route of the application does', async (t) => {
  const server = recorder(({ url }) => (url.startsWith('/sync/') ? text('ours') : text('PATH_UNKNOWN', 404)));
  const app = fastify();
  app.register(fastifySync(server));
  app.get('/', async () => 'home');
  app.get('/hello', async () => 'from the application');
  app.setNotFoundHandler((_request, reply) => void reply.code(404).send('not found'));
  const origin = `http://127.0.0.1:${await listeningFastify(t, app)}`;
  const told = async (path: string, method = 'GET'): Promise<string> => (await fetch(`${origin}${path}`, { method })).text();
  assert.deepEqual(
    [await told('/'), await told('/hello'), await told('/elsewhere'), await told('/sync/meta', 'POST')],
    ['home', 'from the application', 'not found', 'ours'],
  );
  assert.deepEqual(server.asked.map(({ url, mountPath }) => [url, mountPath]), [['/elsewhere', ''], ['/sync/meta', '']]);
});

test('Fastify: below prefixes of other plugins, and below one with a parameter', async (t) => {
  const server = recorder();
  const app = fastify();
  app.register(async (team) => void team.register(fastifySync(server), { prefix: '/anki' }), { prefix: '/teams/:team' });
  const origin = `http://127.0.0.1:${await listeningFastify(t, app)}`;
  for (const path of ['/teams/red/anki/sync/meta?x=1', '/teams/red/anki']) await (await fetch(`${origin}${path}`)).text();
  assert.deepEqual(server.asked.map(({ url, mountPath }) => [url, mountPath]), [['/sync/meta?x=1', '/teams/red/anki'], ['/', '/teams/red/anki']]);
});

test('Fastify: address and scheme follow trustProxy', async (t) => {
  const server = recorder();
  const app = fastify({ trustProxy: 'loopback' });
  app.register(fastifySync(server), { prefix: '/anki' });
  const port = await listeningFastify(t, app);
  await fetch(`http://127.0.0.1:${port}/anki/`, { headers: { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'https' } });
  assert.deepEqual([server.asked[0]?.clientAddress, server.asked[0]?.scheme], ['203.0.113.7', 'https']);
});

test('Fastify: the application still parses bodies of its own, and its hooks see our requests begin and end', async (t) => {
  const seen: string[] = [];
  const app = fastify();
  app.addHook('onRequest', async (request) => void seen.push(`begins ${request.url}`));
  app.addHook('onResponse', async (request, reply) => void seen.push(`ends ${request.url} ${reply.statusCode}`));
  app.addHook('onSend', async () => 'rewritten');
  app.register(fastifySync(recorder(() => text('ours', 409))), { prefix: '/anki' });
  app.post('/own', async (request) => JSON.stringify(request.body));
  const origin = `http://127.0.0.1:${await listeningFastify(t, app)}`;
  assert.equal(await (await fetch(`${origin}/anki/sync/meta`, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } })).text(), 'ours');
  assert.equal(await (await fetch(`${origin}/own`, { method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' } })).text(), 'rewritten');
  assert.deepEqual(seen, ['begins /anki/sync/meta', 'ends /anki/sync/meta 409', 'begins /own', 'ends /own 200']);
});

test('Fastify: bodies of every type reach the core unparsed, forms of old clients and of pages too', async (t) => {
  const app = fastify();
  app.register(fastifySync(recorder(async ({ body }) => text((await bytesOf(body)).toString()))), { prefix: '/anki' });
  const origin = `http://127.0.0.1:${await listeningFastify(t, app)}`;
  const types = [
    'application/octet-stream', 'application/json', 'text/plain;charset=UTF-8', 'application/x-www-form-urlencoded', 'image/png', '',
    'multipart/form-data; boundary=Anki-sync-boundary', 'multipart/form-data; boundary="with a space: and more"', 'multipart/form-data;boundary=d4e1-9',
  ];
  for (const type of types) {
    const response = await fetch(`${origin}/anki/sync/meta`, { method: 'POST', body: Buffer.from('{not json'), headers: type === '' ? {} : { 'content-type': type } });
    assert.deepEqual([response.status, await response.text()], [200, '{not json'], type);
  }
});

test('Fastify: closing the application waits for the request that runs, then closes the sync server', async (t) => {
  const order: string[] = [];
  const begun = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const app = fastify();
  app.register(fastifySync({
    async handle() {
      begun.resolve();
      await finish.promise;
      order.push('answered');
      return text('ok');
    },
    async close() {
      order.push('closed');
    },
  }), { prefix: '/anki' });
  const port = await listeningFastify(t, app);
  const answer = fetch(`http://127.0.0.1:${port}/anki/sync/meta`, { method: 'POST', headers: { connection: 'close' } });
  await begun.promise;
  const closing = app.close();
  finish.resolve();
  assert.equal(await (await answer).text(), 'ok');
  await closing;
  assert.deepEqual(order, ['answered', 'closed']);
});

test('Fastify: its own time limit for handlers does not end an upload', async (t) => {
  const app = fastify({ handlerTimeout: 50 });
  app.get('/slow', async () => new Promise(() => {}));
  let origin = '';
  app.register(fastifySync(recorder(async () => {
    // meanwhile the limit has passed for another
    assert.equal((await fetch(`${origin}/slow`)).status, 503);
    return text('ok');
  })), { prefix: '/anki' });
  origin = `http://127.0.0.1:${await listeningFastify(t, app)}`;
  assert.equal(await (await fetch(`${origin}/anki/sync/upload`, { method: 'POST', body: 'x' })).text(), 'ok');
});

test('Fastify: pages are served over HTTP/2 as well', async (t) => {
  const app = fastify({ http2: true });
  app.register(fastifySync(recorder(() => text('a page'))), { prefix: '/anki' });
  t.after(() => app.close());
  await app.listen({ port: 0, host: '127.0.0.1' });
  const session = connectHttp2(`http://127.0.0.1:${(app.server.address() as { port: number }).port}`);
  t.after(() => session.destroy());
  const stream = session.request({ ':path': '/anki/' });
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  assert.equal(headers[':status'], 200);
  assert.equal((await bytesOf(stream)).toString(), 'a page');
});
