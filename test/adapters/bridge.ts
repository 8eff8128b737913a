/** What every bridge has to do, over real HTTP: the sentences that Express's tests tell too. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { connect as connectTo } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import type { SyncError } from '../../lib/errors.ts';
import type { HttpRequest, HttpResponse } from '../../lib/http.ts';
import { inExpress, type Application } from './applications.ts';

const MIB = 1024 * 1024;

export const text = (body: string, status = 200): HttpResponse => ({ status, headers: { 'content-type': 'text/plain' }, body: Buffer.from(body) });

/** A handler that remembers what it was asked, and answers what the function says. */
export function recorder(answer: (request: HttpRequest) => HttpResponse | Promise<HttpResponse> = () => text('ok')) {
  const asked: HttpRequest[] = [];
  return { asked, handle: async (request: HttpRequest) => (asked.push(request), answer(request)) };
}

export async function bytesOf(stream: AsyncIterable<Uint8Array> | null): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream ?? []) parts.push(part);
  return Buffer.concat(parts);
}

const echo = async (request: HttpRequest): Promise<HttpResponse> => ({
  status: 200, headers: { 'content-type': 'application/octet-stream', 'anki-original-size': '7' }, body: await bytesOf(request.body),
});

async function ask(port: number, path: string, options: RequestOptions & { body?: Uint8Array | string } = {}): Promise<{ message: IncomingMessage; body: Buffer }> {
  const { body, ...rest } = options;
  const request = httpRequest({ port, host: '127.0.0.1', path, agent: false, ...rest });
  if (body !== undefined) request.write(body);
  request.end();
  const [message] = (await once(request, 'response')) as [IncomingMessage];
  return { message, body: await bytesOf(message) };
}

export function bridgeTests(application: Application): void {
  const { name, start, notFound } = application;

  test(`${name}: the handler sees the path below the mount, the mount, headers, address and scheme, and the body as it comes`, async (t) => {
    const server = recorder(echo);
    const port = await start(t, server);
    for (const headers of [{}, { 'content-length': '5' }]) {
      const { body } = await ask(port, '/anki/sync/meta?x=1', { method: 'POST', body: 'hello', headers: { 'Anki-Sync': '{"v":11}', ...headers } });
      assert.equal(body.toString(), 'hello');
    }
    for (const asked of server.asked) {
      assert.equal(asked.method, 'POST');
      assert.equal(asked.url, '/sync/meta?x=1');
      assert.equal(asked.mountPath, '/anki');
      assert.equal(asked.headers['anki-sync'], '{"v":11}');
      assert.equal(asked.scheme, 'http');
      assert.match(asked.clientAddress ?? '', /^(::ffff:)?127\.0\.0\.1$/);
    }
  });

  test(`${name}: the version of HTTP is that of the request, for whoever examines a deployment`, async (t) => {
    const server = recorder();
    const port = await start(t, server);
    for (const version of ['1.0', '1.1']) {
      const socket = connectTo(port, '127.0.0.1');
      socket.end(`GET /anki/ HTTP/${version}\r\nHost: x\r\nConnection: close\r\n\r\n`).resume();
      await once(socket, 'close');
    }
    assert.deepEqual(server.asked.map(({ httpVersion }) => httpVersion), ['1.0', '1.1']);
  });

  test(`${name}: the mount itself, with and without a slash, is the path /`, async (t) => {
    const server = recorder();
    const port = await start(t, server);
    for (const path of ['/anki', '/anki/', '/anki?lang=de']) assert.equal((await ask(port, path)).body.toString(), 'ok');
    assert.deepEqual(server.asked.map(({ url }) => url.replace(/\?.*/, '')), ['/', '/', '/']);
    assert.deepEqual(server.asked.map(({ mountPath }) => mountPath), ['/anki', '/anki', '/anki']);
    assert.deepEqual(server.asked.map(({ body }) => body), [null, null, null]);
  });

  test(`${name}: slashes that people double, and escapes, come as they were sent`, async (t) => {
    const server = recorder();
    const port = await start(t, server);
    for (const path of ['/anki//sync/meta', '/anki/msync/msync/begin', '/anki/sync/a%20b%2Fc']) await ask(port, path, { method: 'POST' });
    assert.deepEqual(server.asked.map(({ url }) => url), ['//sync/meta', '/msync/msync/begin', '/sync/a%20b%2Fc']);
  });

  test(`${name}: every method of HTTP reaches the core, and HEAD is answered with headers alone`, async (t) => {
    const server = recorder();
    const port = await start(t, server);
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']) {
      const { message, body } = await ask(port, '/anki/sync/meta', { method });
      assert.deepEqual([message.statusCode, message.headers['content-length'], body.toString()], [200, '2', method === 'HEAD' ? '' : 'ok']);
    }
    assert.deepEqual(server.asked.map(({ method }) => method), ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);
  });

  test(`${name}: what is not ours is answered by the application, below the mount and beside it`, async (t) => {
    const server = recorder(() => text('PATH_UNKNOWN', 404));
    const port = await start(t, server);
    for (const method of ['GET', 'POST']) {
      const { message, body } = await ask(port, '/anki/elsewhere', method === 'POST' ? { method, body: 'x' } : {});
      assert.deepEqual([message.statusCode, body.toString()], [404, notFound]);
    }
    assert.equal(server.asked.length, 2);
    if (name !== 'Express') assert.equal((await ask(port, '/hello')).body.toString(), 'from the application');
    for (const path of ['/ankis/sync/meta', '/']) assert.equal((await ask(port, path)).message.statusCode, 404);
    assert.equal(server.asked.length, 2);
  });

  test(`${name}: address and scheme are those that trusted proxies tell, and nobody else`, async (t) => {
    const server = recorder();
    const headers = { 'x-forwarded-for': '6.6.6.6, 203.0.113.7', 'x-forwarded-proto': 'https' };
    await ask(await start(t, server, { trustedProxies: ['loopback'] }), '/anki/', { headers });
    await ask(await start(t, server), '/anki/', { headers });
    assert.deepEqual([server.asked[0]?.clientAddress, server.asked[0]?.scheme], ['203.0.113.7', 'https']);
    assert.match(server.asked[1]?.clientAddress ?? '', /127\.0\.0\.1$/);
    assert.equal(server.asked[1]?.scheme, 'http');
  });

  test(`${name}: who is signed in to the application is what its function says, and nobody for what is no name`, async (t) => {
    const names: unknown[] = ['kim', undefined, '', null, { name: 'kim' }];
    for (const signedInUser of names) {
      for (const answer of [() => signedInUser, async () => (await sleep(1), signedInUser)]) {
        const server = recorder();
        await ask(await start(t, server, { signedInUser: answer }), '/anki/');
        assert.equal(server.asked[0]?.signedInUser, signedInUser === 'kim' ? 'kim' : undefined);
      }
    }
  });

  test(`${name}: a body that came while the application looked for who is signed in is there`, async (t) => {
    const [asked, looked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const port = await start(t, recorder(echo), { signedInUser: async () => (asked.resolve(), await looked.promise, 'kim') });
    const packed = randomBytes(3 * MIB);
    const asking = ask(port, '/anki/sync/upload', { method: 'POST', body: packed });
    await asked.promise;
    looked.resolve();
    assert.ok((await asking).body.equals(packed));
  });

  test(`${name}: where the application cannot tell who is signed in, the core is not asked, and nobody else's request suffers`, async (t) => {
    const failing = [() => { throw new Error('no sessions'); }, async () => { throw new Error('no sessions'); }];
    for (const signedInUser of failing) {
      const server = recorder();
      const port = await start(t, server, { signedInUser });
      const { message, body } = await ask(port, '/anki/');
      assert.deepEqual([message.statusCode, server.asked.length, /sync-server|adapters/.test(body.toString())], [500, 0, false]);
    }
  });

  test(`${name}: a body that somebody read first fails at once, and says what to do`, async (t) => {
    const failed = Promise.withResolvers<SyncError>();
    const server = recorder(async ({ body }) => {
      try {
        return await echo({ body } as HttpRequest);
      } catch (error) {
        failed.resolve(error as SyncError);
        return text('BODY_ALREADY_READ', 500);
      }
    });
    const port = await start(t, server, { readsBodies: true });
    const { message, body } = await ask(port, '/anki/sync/meta', { method: 'POST', body: '{"v":11}' });
    assert.deepEqual([message.statusCode, body.toString()], [500, 'BODY_ALREADY_READ']);
    const error = await failed.promise;
    assert.equal(error.code, 'BODY_ALREADY_READ');
    assert.match(error.detail ?? '', /before the sync server.*mount the sync server first/);
  });

  test(`${name}: the client gets the very headers and bytes that Express sends, packed bytes untouched`, async (t) => {
    const packed = randomBytes(3 * MIB);
    const cache = { 'cache-control': 'no-store, no-transform' };
    const answers: Record<string, HttpResponse> = {
      '/sync/bytes': { status: 200, headers: { 'content-type': 'application/octet-stream', ...cache, 'anki-original-size': '99' }, body: packed },
      '/sync/empty': { status: 200, headers: { 'content-type': 'application/octet-stream', ...cache }, body: new Uint8Array() },
      '/sync/refused': { status: 409, headers: { 'content-type': 'text/plain; charset=utf-8', ...cache, 'retry-after': '5' }, body: Buffer.from('SYNC_TAKEN_OVER') },
    };
    const streamed = (headers: Record<string, string>): HttpResponse => ({
      status: 200,
      headers: { 'content-type': 'application/octet-stream', ...cache, ...headers },
      body: Readable.from([packed.subarray(0, MIB), packed.subarray(MIB)], { objectMode: false }),
    });
    const server = recorder(({ url }) => answers[url] ?? streamed(url === '/sync/sized' ? { 'content-length': String(packed.length) } : { 'anki-original-size': '9' }));
    const [port, expressPort] = [await start(t, server), await inExpress.start(t, server)];
    for (const path of [...Object.keys(answers), '/sync/sized', '/sync/stream']) {
      const asking = (at: number): ReturnType<typeof ask> => ask(at, `/anki${path}`, { method: 'POST', headers: { 'accept-encoding': 'gzip, br, zstd', connection: 'keep-alive' } });
      const [ours, theirs] = [await asking(port), await asking(expressPort)];
      const headers = ({ message: { headers: { date: _date, 'keep-alive': _keepAlive, ...rest } } }: typeof ours): object => rest;
      assert.deepEqual([ours.message.statusCode, headers(ours)], [theirs.message.statusCode, headers(theirs)], path);
      assert.ok(ours.body.equals(theirs.body), path);
      assert.equal(ours.message.headers['transfer-encoding'], path === '/sync/stream' ? 'chunked' : undefined, path);
    }
  });

  test(`${name}: bytes of any value go through as they are, up and down`, async (t) => {
    const port = await start(t, recorder(echo));
    const packed = randomBytes(2 * MIB);
    const { message, body } = await ask(port, '/anki/sync/upload', { method: 'POST', body: packed });
    assert.ok(body.equals(packed));
    assert.equal(message.headers['anki-original-size'], '7');
  });

  test(`${name}: requests follow each other on one connection, and a small answer leaves in one segment`, async (t) => {
    const port = await start(t, recorder(async ({ body }) => (await bytesOf(body), text('the whole body'))));
    const socket = connectTo(port, '127.0.0.1');
    t.after(() => socket.destroy());
    for (let i = 0; i < 3; i++) {
      socket.write('POST /anki/sync/meta HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}');
      const [first] = (await once(socket, 'data')) as [Buffer];
      assert.match(first.toString(), /^HTTP\/1\.1 200 .*content-length: 14\r\n.*the whole body$/is);
    }
  });

  test(`${name}: a streamed answer waits for a slow receiver, and is ended when the receiver leaves`, async (t) => {
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
    const port = await start(t, server);
    const socket = connectTo(port, '127.0.0.1');
    socket.write('POST /anki/sync/download HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
    await once(socket, 'data');
    socket.pause();
    socket.destroy();
    assert.ok((await ended.promise) < 200, 'the source ran ahead of the receiver');
    assert.equal(server.asked[0]?.signal?.aborted, true);
  });

  test(`${name}: a file that is being sent is let go of when the receiver leaves`, async (t) => {
    const body = new Readable({ read() { this.push(Buffer.alloc(MIB)); } });
    const closed = new Promise((resolve) => body.on('error', () => {}).on('close', resolve));
    const port = await start(t, recorder(() => ({ status: 200, headers: {}, body })));
    const socket = connectTo(port, '127.0.0.1').on('error', () => {});
    socket.write('POST /anki/sync/download HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
    await once(socket, 'data');
    socket.destroy();
    await closed;
  });

  test(`${name}: an answer that streams is let go of when its connection was closed before`, async (t) => {
    const body = Readable.from([Buffer.from('x')]);
    const closed = once(body, 'close');
    const gone = Promise.withResolvers<void>();
    const port = await start(t, {
      handle: async ({ signal }) => {
        if (signal?.aborted !== true) signal?.addEventListener('abort', () => gone.resolve());
        else gone.resolve();
        await gone.promise;
        return { status: 200, headers: {}, body };
      },
    });
    const socket = connectTo(port, '127.0.0.1').on('error', () => {});
    t.after(() => socket.destroy());
    // what comes behind the request is none
    socket.resume().write('POST /anki/sync/download HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}and more');
    await closed;
  });

  test(`${name}: what the core does not read stays with the client`, async (t) => {
    const begun = Promise.withResolvers<void>();
    const seen = Promise.withResolvers<void>();
    t.after(() => seen.resolve());
    const port = await start(t, recorder(async ({ body }) => {
      for await (const _ of body ?? []) break;
      begun.resolve();
      await seen.promise;
      return text('ok');
    }));
    const socket = connectTo(port, '127.0.0.1').on('error', () => {});
    socket.write(`POST /anki/sync/upload HTTP/1.1\r\nHost: x\r\nContent-Length: ${400 * MIB}\r\n\r\n`);
    let sentMib = 0;
    const sending = (async () => {
      for (; sentMib < 400; sentMib++) if (!socket.write(Buffer.alloc(MIB))) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
    })();
    await begun.promise;
    // it stands still, or all 400 go through
    for (let before = -1; before !== sentMib && sentMib < 400;) {
      before = sentMib;
      await Promise.race([sending, sleep(300)]);
    }
    assert.ok(sentMib < 100, `${sentMib} MiB were taken from the client`);
    socket.destroy();
  });

  test(`${name}: a client that leaves during its upload fails the body and aborts the signal`, async (t) => {
    const failed = Promise.withResolvers<unknown>();
    const begun = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<void>();
    const server = recorder(async (request) => {
      request.signal?.addEventListener('abort', () => aborted.resolve());
      try {
        for await (const _ of request.body ?? []) begun.resolve();
      } catch (error) {
        failed.resolve(error);
      }
      return text('ok');
    });
    const port = await start(t, server);
    const socket = connectTo(port, '127.0.0.1');
    socket.write('POST /anki/sync/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    await begun.promise;
    socket.destroy();
    assert.ok((await failed.promise) instanceof Error);
    await aborted.promise;
  });

  test(`${name}: the signal of a finished request stays quiet`, async (t) => {
    const server = recorder();
    const port = await start(t, server);
    const socket = connectTo(port, '127.0.0.1');
    socket.end('GET /anki/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n').resume();
    await once(socket, 'close');
    assert.equal(server.asked[0]?.signal?.aborted, false);
  });

  const refusals: [string, (request: HttpRequest) => Promise<void>][] = [
    ['before a byte of the body is read', async () => {}],
    ['after the first bytes of the body', async (request) => {
      for await (const _ of request.body ?? []) break;
    }],
  ];
  for (const [when, read] of refusals) {
    for (const connection of ['keep-alive', 'close']) {
      test(`${name}: a client with a 20 MB upload that is refused ${when} gets the status (connection: ${connection})`, async (t) => {
        const server = recorder(async (request) => {
          await read(request);
          return text('BODY_TOO_LARGE', 413);
        });
        const port = await start(t, server);
        const agent = new Agent({ keepAlive: connection === 'keep-alive', maxSockets: 1 });
        t.after(() => agent.destroy());
        const upload = httpRequest({ port, host: '127.0.0.1', method: 'POST', path: '/anki/sync/upload', agent, headers: { connection } });
        const answered = once(upload, 'response') as Promise<[IncomingMessage]>;
        // slower than a framework that drops the rest at once would like
        for (let sent = 0; sent < 20; sent++) {
          upload.write(Buffer.alloc(MIB));
          if (sent % 10 === 9) await sleep(400);
        }
        upload.end();
        const [response] = await answered;
        assert.equal(response.statusCode, 413);
        assert.equal((await bytesOf(response)).toString(), 'BODY_TOO_LARGE');
        // the same connection is still in step
        const after = httpRequest({ port, host: '127.0.0.1', method: 'GET', path: '/anki/', agent, headers: { connection } }).end();
        const [second] = (await once(after, 'response')) as [IncomingMessage];
        assert.equal((await bytesOf(second)).toString(), 'BODY_TOO_LARGE');
      });
    }
  }

  test(`${name}: a client that asks before it sends (Expect: 100-continue) may send`, async (t) => {
    const port = await start(t, recorder(echo));
    const upload = httpRequest({ port, host: '127.0.0.1', method: 'POST', path: '/anki/sync/upload', headers: { expect: '100-continue' }, agent: false });
    upload.flushHeaders();
    await once(upload, 'continue');
    upload.end('collection');
    const [response] = (await once(upload, 'response')) as [IncomingMessage];
    assert.equal((await bytesOf(response)).toString(), 'collection');
  });

  test(`${name}: a defect of the core is the application's error`, async (t) => {
    const port = await start(t, { handle: () => Promise.reject(new Error('defect')) });
    const { message, body } = await ask(port, '/anki/sync/meta', { method: 'POST' });
    assert.equal(message.statusCode, 500);
    assert.doesNotMatch(body.toString(), /at .*\.ts/);
  });
}
