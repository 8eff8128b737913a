/**
 * Requests whose end two readers could see in two places. Behind a proxy, what one of them takes for the rest of a body is another
 * person's request to the other. So each either is refused and its connection closed, or is read to exactly where it ends.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import express from 'express';
import { expressSync } from '../../adapters/express/index.ts';
import { createSyncServer, type SyncServer } from '../../lib/index.ts';
import { RawClient } from '../client/raw.ts';
import { serverProcess } from '../engine/server-process.ts';
import { RawSocket } from './raw-socket.ts';

const PASSWORD = 'the right password';
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';

interface Mount {
  name: string;
  /** In front of `/sync/meta`. */
  path: string;
  open(): Promise<{ port: number; seen(): string[]; close(): Promise<void> }>;
}

const MOUNTS: Mount[] = [
  {
    name: 'standalone',
    path: '',
    async open() {
      const base = await mkdtemp(join(tmpdir(), 'anki-sync-smuggling-'));
      const server = await serverProcess(base);
      return {
        port: Number(new URL(server.url).port),
        // one line per request
        seen: () => server.lines.filter((line) => line.includes('smuggled')),
        async close() {
          await server.kill();
          await rm(base, { recursive: true, force: true });
        },
      };
    },
  },
  {
    name: 'mounted in Express',
    path: '/anki',
    async open() {
      const base = await mkdtemp(join(tmpdir(), 'anki-sync-smuggling-'));
      const seen: string[] = [];
      const sync: SyncServer = createSyncServer({ base, threads: 1, authenticator: ({ password }) => password === PASSWORD });
      await sync.ready;
      const app = express();
      app.use((req, _res, next) => {
        seen.push(req.url);
        next();
      });
      app.get('/health', (_req, res) => void res.send('up'));
      app.use('/anki', expressSync(sync));
      const listener = createServer(app).listen(0, '127.0.0.1');
      await once(listener, 'listening');
      return {
        port: (listener.address() as AddressInfo).port,
        seen: () => seen.filter((url) => url.includes('smuggled')),
        async close() {
          listener.close();
          listener.closeAllConnections();
          await sync.close();
          await rm(base, { recursive: true, force: true });
        },
      };
    },
  },
];

// 403 is the answer to the unknown key, which does not wait for the body; the connection is closed once the body turns out to be wrong
/** `P` stands for the mount's path, and the header of a client with an unknown key is put in for `A`. */
interface Shape {
  bytes: string;
  /** What is answered, in order; the connection is closed behind it. */
  closes?: number[];
  /** What is answered before the connection is as good as new. */
  stays?: number[];
}

const AUTH = 'Host: x\r\nanki-sync: {"v":11,"k":"unknown","c":"c","s":"s"}';
const POST = `POST P/sync/meta HTTP/1.1\r\n${AUTH}\r\n`;
const BODY = zstdCompressSync('{"v":11,"cv":"c"}').toString('latin1');
const SIZE = BODY.length.toString(16);
const CHUNKED = `${SIZE}\r\n${BODY}\r\n0\r\n\r\n`;

const SHAPES: Record<string, Shape> = {
  'both lengths, the chunks end first': { bytes: `${POST}Content-Length: ${CHUNKED.length + SMUGGLED.length}\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}${SMUGGLED}`, closes: [400] },
  'both lengths, the other way round': { bytes: `${POST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${CHUNKED}${SMUGGLED}`, closes: [400] },
  'both lengths, and the chunks never end': { bytes: `${POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n${SMUGGLED}`, closes: [400] },
  'two different Content-Lengths': { bytes: `${POST}Content-Length: ${BODY.length}\r\nContent-Length: ${BODY.length + SMUGGLED.length}\r\n\r\n${BODY}${SMUGGLED}`, closes: [400] },
  'two equal Content-Lengths': { bytes: `${POST}Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd${SMUGGLED}`, closes: [400] },
  'a list of Content-Lengths': { bytes: `${POST}Content-Length: 4, 4\r\n\r\nabcd${SMUGGLED}`, closes: [400] },
  'a signed Content-Length': { bytes: `${POST}Content-Length: +4\r\n\r\nabcd${SMUGGLED}`, closes: [400] },
  'a negative Content-Length': { bytes: `${POST}Content-Length: -1\r\n\r\n${SMUGGLED}`, closes: [400] },
  'a hexadecimal Content-Length': { bytes: `${POST}Content-Length: 0x4\r\n\r\nabcd${SMUGGLED}`, closes: [400] },
  'a Content-Length beyond 64 bits': { bytes: `${POST}Content-Length: 18446744073709551620\r\n\r\nabcd${SMUGGLED}`, closes: [400] },
  'an empty Content-Length': { bytes: `${POST}Content-Length:\r\n\r\n${SMUGGLED}`, closes: [400] },
  'a space before the colon of Content-Length': { bytes: `${POST}Content-Length : 4\r\n\r\nabcd${SMUGGLED}`, closes: [400] },
  'a space before the colon of Transfer-Encoding': { bytes: `${POST}Transfer-Encoding : chunked\r\n\r\n${CHUNKED}${SMUGGLED}`, closes: [400] },
  'a folded header': { bytes: `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n${CHUNKED}${SMUGGLED}`, closes: [400] },
  'a first header line that is folded': { bytes: `POST P/sync/meta HTTP/1.1\r\n Content-Length: 4\r\n${AUTH}\r\n\r\n${SMUGGLED}`, closes: [400] },
  'chunked, and then identity': { bytes: `${POST}Transfer-Encoding: chunked, identity\r\n\r\n${CHUNKED}${SMUGGLED}`, closes: [400] },
  'identity alone': { bytes: `${POST}Transfer-Encoding: identity\r\n\r\n${SMUGGLED}`, closes: [400] },
  'a coding that nobody knows': { bytes: `${POST}Transfer-Encoding: xchunked\r\n\r\n${CHUNKED}${SMUGGLED}`, closes: [400] },
  'two Transfer-Encodings': { bytes: `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n${CHUNKED}${SMUGGLED}`, closes: [400] },
  'a Transfer-Encoding in quotes': { bytes: `${POST}Transfer-Encoding: "chunked"\r\n\r\n${CHUNKED}${SMUGGLED}`, closes: [400] },
  'a vertical tab before chunked': { bytes: `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n${CHUNKED}${SMUGGLED}`, closes: [400] },
  'lines that end with a bare LF': { bytes: `${POST.replaceAll('\r\n', '\n')}Content-Length: 4\n\nabcd${SMUGGLED}`, closes: [400] },
  'a header that ends with a bare CR': { bytes: `${POST}X: y\rContent-Length: 4\r\n\r\nabcd${SMUGGLED}`, closes: [400] },
  'a NUL in a header': { bytes: `${POST}X: a\0b\r\nContent-Length: 4\r\n\r\nabcd${SMUGGLED}`, closes: [400] },
  'chunk sizes with a bare LF': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n${SIZE}\n${BODY}\r\n0\r\n\r\n${SMUGGLED}`, closes: [400] },
  'a chunk size with a sign': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n+${SIZE}\r\n${BODY}\r\n0\r\n\r\n${SMUGGLED}`, closes: [400] },
  'a chunk size with 0x': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n0x${SIZE}\r\n${BODY}\r\n0\r\n\r\n${SMUGGLED}`, closes: [400] },
  'a chunk size beyond 64 bits': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n1000000000000000${SIZE}\r\n${BODY}\r\n0\r\n\r\n${SMUGGLED}`, closes: [400] },
  'a negative chunk size': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n-1\r\n${BODY}\r\n0\r\n\r\n${SMUGGLED}`, closes: [400] },
  'a chunk that is longer than its size': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n1\r\n${BODY}\r\n0\r\n\r\n${SMUGGLED}`, closes: [403] },
  'a space behind the chunk size': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n${SIZE} \r\n${BODY}\r\n0\r\n\r\n${SMUGGLED}`, closes: [400] },
  'a chunk extension': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n${SIZE};a=b\r\n${BODY}\r\n0\r\n\r\n`, stays: [403] },
  'a chunk extension in quotes that holds a line': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n${SIZE};a="\r\n"\r\n${BODY}\r\n0\r\n\r\n${SMUGGLED}`, closes: [400] },
  'a chunk extension with a bare LF': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n${SIZE};a\nb\r\n${BODY}\r\n0\r\n\r\n${SMUGGLED}`, closes: [400] },
  'chunk extensions without end': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n${SIZE};${'a'.repeat(100_000)}\r\n${BODY}\r\n0\r\n\r\n${SMUGGLED}`, closes: [413] },
  'trailers': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n${SIZE}\r\n${BODY}\r\n0\r\nX: y\r\n\r\n`, stays: [403] },
  'a Content-Length among the trailers': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n${SIZE}\r\n${BODY}\r\n0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`, closes: [403] },
  'trailers that are no headers': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n${SIZE}\r\n${BODY}\r\n0\r\nGET /smuggled HTTP/1.1\r\n\r\n${SMUGGLED}`, closes: [403] },
  'trailers without end': { bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n${SIZE}\r\n${BODY}\r\n0\r\nX: ${'y'.repeat(100_000)}\r\n\r\n${SMUGGLED}`, closes: [403] },
  'no Host': { bytes: 'GET P/health HTTP/1.1\r\n\r\n', closes: [400] },
  'two Hosts': { bytes: `GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`, stays: [200] },
  'the whole URL as target': { bytes: `POST http://elsewhereP/sync/meta HTTP/1.1\r\n${AUTH}\r\nContent-Length: 4\r\n\r\nabcd`, stays: [403] },
  'CONNECT': { bytes: `CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere\r\n\r\n${SMUGGLED}`, closes: [] },
  'an asterisk as target': { bytes: 'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n', stays: [404] },
  'a method that nobody knows': { bytes: `SMUGGLE /health HTTP/1.1\r\nHost: x\r\n\r\n${SMUGGLED}`, closes: [400] },
  'HTTP/1.0': { bytes: `POST P/sync/meta HTTP/1.0\r\n${AUTH}\r\nContent-Length: 4\r\n\r\nabcd${SMUGGLED}`, closes: [403] },
  'HTTP/1.0 in chunks': { bytes: `POST P/sync/meta HTTP/1.0\r\n${AUTH}\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}${SMUGGLED}`, closes: [403] },
  'HTTP/0.9': { bytes: `GET /nothing\r\n\r\n`, closes: [404] },
  'HTTP/1.2': { bytes: `GET /smuggled HTTP/1.2\r\nHost: x\r\n\r\n`, closes: [400] },
  'HTTP/2 without being asked': { bytes: `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0${SMUGGLED}`, closes: [400] },
  'an upgrade to HTTP/2': { bytes: `GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`, stays: [200] },
  'an upgrade to a web socket with a body': { bytes: `${POST}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\r\nabcd`, stays: [403] },
  'a body after GET': { bytes: `GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`, stays: [200] },
  'Expect: 100-continue': { bytes: `${POST}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`, stays: [403] },
  'an expectation that nobody knows': { bytes: `${POST}Expect: smuggling\r\nContent-Length: 0\r\n\r\n`, stays: [417] },
  'headers beyond 16 KiB': { bytes: `${POST}X: ${'y'.repeat(20_000)}\r\n\r\n${SMUGGLED}`, closes: [431] },
  'TLS where there is none': { bytes: `\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03${'\0'.repeat(100)}${SMUGGLED}`, closes: [400] },
};

for (const mount of MOUNTS) {
  describe(mount.name, () => {
    let server: Awaited<ReturnType<Mount['open']>>;
    let client: RawClient;
    before(async () => {
      server = await mount.open();
      client = new RawClient(`http://127.0.0.1:${server.port}${mount.path}/`);
      await client.hostKey('ada', PASSWORD);
    });
    after(() => server.close());

    for (const [what, { bytes, closes, stays }] of Object.entries(SHAPES)) {
      test(`${what}: ${closes === undefined ? 'read to its end, and no further' : 'the connection ends'}`, async () => {
        const socket = await RawSocket.open(server.port);
        await socket.send(bytes.replace(/(?<=POST |GET |elsewhere)P(?=\/)/, mount.path));
        if (stays !== undefined) {
          await socket.waitForAnswers(stays.length);
          await socket.send('GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
        }
        await socket.closed;
        assert.deepEqual(socket.answers().map(({ status }) => status), closes ?? [...stays!, 200]);
        assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 200);
        assert.deepEqual(server.seen(), []);
      });
    }

    test('requests sent in one go are answered one after the other, each with its own answer', async () => {
      const socket = await RawSocket.open(server.port);
      const meta = `${POST.replace('P/', `${mount.path}/`)}Transfer-Encoding: chunked\r\n\r\n${CHUNKED}`;
      const health = 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n';
      await socket.send(`${meta}${health}`.repeat(20));
      const answers = await socket.waitForAnswers(40);
      assert.deepEqual(answers.map(({ status }) => status), Array.from({ length: 20 }, () => [403, 200]).flat());
      socket.socket.destroy();
    });

    test('a client that waits for 100 Continue is asked for its body, and answered', async () => {
      const socket = await RawSocket.open(server.port);
      const login = zstdCompressSync(JSON.stringify({ u: 'ada', p: PASSWORD }));
      await socket.send(`POST ${mount.path}/sync/hostKey HTTP/1.1\r\nHost: x\r\nanki-sync: {"v":11,"k":"","c":"c","s":""}\r\nExpect: 100-continue\r\nContent-Length: ${login.length}\r\n\r\n`);
      await socket.waitUntil(() => socket.received.toString('latin1') === 'HTTP/1.1 100 Continue\r\n\r\n');
      await socket.send(login);
      assert.equal((await socket.waitForAnswers(1))[0]?.status, 200);
      socket.socket.destroy();
    });

    test('thousands of requests in one go, and nobody reads the answers: the others are served', async () => {
      const socket = await RawSocket.open(server.port);
      socket.socket.pause();
      void socket.send('GET /health HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(50_000));
      for (let i = 0; i < 5; i += 1) assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 200);
      socket.reset();
      await socket.closed;
      assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 200);
    });
  });
}
