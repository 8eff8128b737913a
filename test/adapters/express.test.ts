import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest, Agent, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { connect as connectTo, type AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import connect from 'connect';
import express from 'express';
// no types come under this name, and the two versions share what is used here
// @ts-expect-error
import express4Untyped from 'express4';
import { expressSync } from '../../adapters/express/index.ts';
import { SyncError } from '../../lib/errors.ts';
import type { HttpRequest, HttpResponse } from '../../lib/http.ts';

const express4 = express4Untyped as typeof express;

const text = (body: string, status = 200): HttpResponse => ({ status, headers: { 'content-type': 'text/plain' }, body: Buffer.from(body) });

async function listen(t: TestContext, listener: RequestListener): Promise<number> {
  const server: Server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function bodyText(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** A handler that remembers what it was asked, and answers what the function says. */
function recorder(answer: (request: HttpRequest) => HttpResponse | Promise<HttpResponse> = () => text('ok')) {
  const asked: HttpRequest[] = [];
  return { asked, handle: async (request: HttpRequest) => (asked.push(request), answer(request)) };
}

const mounts: [string, (handler: ReturnType<typeof expressSync>) => RequestListener, string, string][] = [
  ['Express at a subpath', (handler) => express().use('/anki', handler), '/anki/sync/meta?x=1', '/anki'],
  ['Express at the root', (handler) => express().use(handler), '/sync/meta?x=1', ''],
  ['an Express Router below another path', (handler) => express().use('/a', express.Router().use('/anki', handler)), '/a/anki/sync/meta?x=1', '/a/anki'],
  ['Express 4 at a subpath', (handler) => express4().use('/anki', handler), '/anki/sync/meta?x=1', '/anki'],
  ['a Router of Express 4', (handler) => express4().use('/a', express4.Router().use('/anki', handler)), '/a/anki/sync/meta?x=1', '/a/anki'],
  ['connect at a subpath', (handler) => connect().use('/anki', handler), '/anki/sync/meta?x=1', '/anki'],
  ['connect at the root', (handler) => connect().use(handler), '/sync/meta?x=1', ''],
  ['plain node:http', (handler) => handler, '/sync/meta?x=1', ''],
];
for (const [name, mount, url, mountPath] of mounts) {
  test(`${name}: the handler sees the path below the mount, and knows the mount`, async (t) => {
    const server = recorder(async (request) => text(request.body === null ? 'no body' : await bodyText(request.body)));
    const port = await listen(t, mount(expressSync(server)));
    const response = await fetch(`http://127.0.0.1:${port}${url}`, { method: 'POST', body: 'hello', headers: { 'Anki-Sync': '{"v":11}' } });
    assert.equal(await response.text(), 'hello');
    const [request] = server.asked;
    assert.ok(request !== undefined);
    assert.equal(request.method, 'POST');
    assert.equal(request.url, '/sync/meta?x=1');
    assert.equal(request.mountPath, mountPath);
    assert.equal(request.headers['anki-sync'], '{"v":11}');
    assert.equal(request.scheme, 'http');
    assert.match(request.clientAddress ?? '', /127\.0\.0\.1$/);
  });
}

for (const [name, mount, url, mountPath] of mounts) {
  test(`${name}: who is signed in to the application may be told by a promise, and where it fails, the core is not asked`, async (t) => {
    const server = recorder(async (request) => text(request.body === null ? 'no body' : await bodyText(request.body)));
    const names: unknown[] = ['kim', undefined, { name: 'kim' }];
    const port = await listen(t, mount(expressSync(server, { signedInUser: async () => {
      await new Promise(setImmediate);
      if (names.length === 0) throw new Error('no sessions');
      return names.shift() as string;
    } })));
    const ask = (): Promise<Response> => fetch(`http://127.0.0.1:${port}${url}`, { method: 'POST', body: 'hello' });
    for (let i = 0; i < 3; i++) assert.equal(await (await ask()).text(), 'hello');
    assert.deepEqual(server.asked.map((asked) => [asked.url, asked.mountPath, asked.signedInUser]), ['kim', undefined, undefined].map((user) => ['/sync/meta?x=1', mountPath, user]));
    // node:http alone has nobody who could tell of it
    if (name === 'plain node:http') await assert.rejects(ask());
    else assert.equal((await ask()).status, 500);
    assert.equal(server.asked.length, 3);
  });
}

test('the mount itself, with and without a slash, is the path /', async (t) => {
  const server = recorder();
  const port = await listen(t, express().use('/anki', expressSync(server)));
  const connectPort = await listen(t, connect().use('/anki', expressSync(server)));
  for (const at of [port, connectPort]) {
    for (const path of ['/anki', '/anki/', '/anki?lang=de']) await (await fetch(`http://127.0.0.1:${at}${path}`)).text();
  }
  assert.deepEqual(server.asked.map((request) => request.url.replace(/\?.*/, '')), ['/', '/', '/', '/', '/', '/']);
  assert.deepEqual(server.asked.map((request) => request.mountPath), ['/anki', '/anki', '/anki', '/anki', '/anki', '/anki']);
  assert.deepEqual(server.asked.map((request) => request.body), [null, null, null, null, null, null]);
});

test('address and scheme of the client are those that Express derives from a trusted proxy', async (t) => {
  const server = recorder();
  const app = express().set('trust proxy', 'loopback').use('/anki', expressSync(server));
  const headers = { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'https' };
  await fetch(`http://127.0.0.1:${await listen(t, app)}/anki/`, { headers });
  assert.equal(server.asked[0]?.clientAddress, '203.0.113.7');
  assert.equal(server.asked[0]?.scheme, 'https');
  await fetch(`http://127.0.0.1:${await listen(t, express().use(expressSync(server)))}/`, { headers });
  assert.match(server.asked[1]?.clientAddress ?? '', /127\.0\.0\.1$/);
  assert.equal(server.asked[1]?.scheme, 'http');
});

test('a path that is not ours goes on to the application, and without one is answered', async (t) => {
  const server = recorder(() => text('PATH_UNKNOWN', 404));
  const app = express().use(expressSync(server)).get('/hello', (_req, res) => void res.send('from the application'));
  const mounted = await fetch(`http://127.0.0.1:${await listen(t, app)}/hello`);
  assert.equal(await mounted.text(), 'from the application');
  const plain = await fetch(`http://127.0.0.1:${await listen(t, expressSync(server))}/hello`);
  assert.deepEqual([plain.status, await plain.text()], [404, 'PATH_UNKNOWN']);
});

test('a defect of the handler reaches the application as an error', async (t) => {
  const app = express().use('/anki', expressSync({ handle: () => Promise.reject(new Error('defect')) }));
  app.use(((error: Error, _req, res, _next) => void res.status(500).send(`told: ${error.message}`)) satisfies express.ErrorRequestHandler);
  const response = await fetch(`http://127.0.0.1:${await listen(t, app)}/anki/sync/meta`, { method: 'POST' });
  assert.equal(await response.text(), 'told: defect');
});

for (const parser of ['json', 'raw', 'text'] as const) {
  test(`a body that express.${parser} read first fails at once, and says why`, async (t) => {
    const failed = Promise.withResolvers<SyncError>();
    const server = recorder(async (request) => {
      try {
        return text(await bodyText(request.body ?? nothing()));
      } catch (error) {
        failed.resolve(error as SyncError);
        return text('BODY_ALREADY_READ', 500);
      }
    });
    const app = express().use(express[parser]({ type: () => true })).use('/anki', expressSync(server));
    const response = await fetch(`http://127.0.0.1:${await listen(t, app)}/anki/sync/meta`, { method: 'POST', body: '{"v":11}' });
    assert.equal(response.status, 500);
    const error = await failed.promise;
    assert.equal(error.code, 'BODY_ALREADY_READ');
    assert.match(error.detail ?? '', /body parser .* before the sync server/);
  });
}

test('a body parser that leaves other content types alone does no harm', async (t) => {
  const server = recorder(async (request) => text(await bodyText(request.body ?? nothing())));
  const app = express().use(express.json(), express.urlencoded()).use('/anki', expressSync(server));
  const response = await fetch(`http://127.0.0.1:${await listen(t, app)}/anki/sync/meta`, {
    method: 'POST', body: 'bytes', headers: { 'content-type': 'application/octet-stream' },
  });
  assert.equal(await response.text(), 'bytes');
});

test('head and body of an answer leave in one segment', async (t) => {
  const port = await listen(t, expressSync(recorder(() => text('the whole body'))));
  const socket = connectTo(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  const [first] = (await once(socket, 'data')) as [Buffer];
  assert.match(first.toString(), /^HTTP\/1\.1 200 .*content-length: 14\r\n.*the whole body$/is);
});

test('a streamed answer waits for a slow receiver, and is ended when the receiver leaves', async (t) => {
  const MIB = 1024 * 1024;
  const ended = Promise.withResolvers<number>();
  async function* endless(): AsyncGenerator<Uint8Array> {
    let sentMib = 0;
    try {
      for (; sentMib < 1000; sentMib++) yield Buffer.alloc(MIB);
    } finally {
      ended.resolve(sentMib);
    }
  }
  const server = recorder(() => ({ status: 200, headers: {}, body: endless() }));
  const port = await listen(t, expressSync(server));
  const socket = connectTo(port, '127.0.0.1');
  socket.write('POST /sync/download HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
  await once(socket, 'data');
  socket.pause();
  socket.destroy();
  assert.ok((await ended.promise) < 200, 'the source ran ahead of the receiver');
  assert.equal(server.asked[0]?.signal?.aborted, true);
});

test('the signal of a finished request stays quiet', async (t) => {
  const server = recorder();
  const port = await listen(t, expressSync(server));
  const socket = connectTo(port, '127.0.0.1');
  socket.end('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n').resume();
  await once(socket, 'close');
  assert.equal(server.asked[0]?.signal?.aborted, false);
});

test('a client that leaves during its upload fails the body and aborts the signal', async (t) => {
  const failed = Promise.withResolvers<unknown>();
  const begun = Promise.withResolvers<void>();
  const server = recorder(async (request) => {
    try {
      for await (const _ of request.body ?? nothing()) begun.resolve();
    } catch (error) {
      failed.resolve(error);
      throw error;
    }
    return text('ok');
  });
  const port = await listen(t, expressSync(server));
  const socket = connectTo(port, '127.0.0.1');
  socket.write('POST /sync/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
  await begun.promise;
  socket.destroy();
  assert.ok((await failed.promise) instanceof Error);
  assert.equal(server.asked[0]?.signal?.aborted, true);
});

const refusals: [string, (request: HttpRequest) => Promise<void>][] = [
  ['before a byte of the body is read', async () => {}],
  ['after the first bytes of the body', async (request) => {
    for await (const _ of request.body ?? nothing()) break;
  }],
];
for (const [when, read] of refusals) {
  for (const connection of ['keep-alive', 'close']) {
    test(`a client with a 20 MB upload that is refused ${when} gets the status (connection: ${connection})`, async (t) => {
      const server = recorder(async (request) => {
        await read(request);
        return text('HOST_KEY_UNKNOWN', 403);
      });
      const port = await listen(t, expressSync(server));
      const agent = new Agent({ keepAlive: connection === 'keep-alive', maxSockets: 1 });
      t.after(() => agent.destroy());
      const upload = httpRequest({ port, host: '127.0.0.1', method: 'POST', path: '/sync/upload', agent, headers: { connection } });
      for (let sent = 0; sent < 20; sent++) upload.write(Buffer.alloc(1024 * 1024));
      upload.end();
      const [response] = (await once(upload, 'response')) as [IncomingMessage];
      assert.equal(response.statusCode, 403);
      assert.equal(await bodyText(response), 'HOST_KEY_UNKNOWN');
      // the same connection is still in step
      const after = httpRequest({ port, host: '127.0.0.1', method: 'GET', path: '/', agent, headers: { connection } }).end();
      const [second] = (await once(after, 'response')) as [IncomingMessage];
      assert.equal(await bodyText(second), 'HOST_KEY_UNKNOWN');
    });
  }
}

test('a client that asks before it sends (Expect: 100-continue) may send', async (t) => {
  const server = recorder(async (request) => text(await bodyText(request.body ?? nothing())));
  const port = await listen(t, express().use('/anki', expressSync(server)));
  const upload = httpRequest({ port, host: '127.0.0.1', method: 'POST', path: '/anki/sync/upload', headers: { expect: '100-continue' } });
  upload.flushHeaders();
  await once(upload, 'continue');
  upload.end('collection');
  const [response] = (await once(upload, 'response')) as [IncomingMessage];
  assert.equal(await bodyText(response), 'collection');
});

test('an answer that streams is let go of when its connection was closed before, for something behind the request that is none', async (t) => {
  const body = Readable.from([Buffer.from('x')]);
  const closed = once(body, 'close');
  const gone = Promise.withResolvers<void>();
  const port = await listen(t, expressSync({
    handle: async ({ signal }) => {
      if (signal?.aborted !== true) signal?.addEventListener('abort', () => gone.resolve());
      else gone.resolve();
      await gone.promise;
      return { status: 200, headers: {}, body };
    },
  }));
  const socket = connectTo(port, '127.0.0.1').on('error', () => {});
  t.after(() => socket.destroy());
  socket.resume().write('POST /sync/download HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}and more');
  await closed;
});
