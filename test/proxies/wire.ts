/** What a proxy must do, and not do, with what passes: the same list for each. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { after, before, describe, it } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { RawClient } from '../client/raw.ts';
import { startProxy, type Proxy, type RunningProxy } from './proxy.ts';
import { answerPacked, Upstream } from './upstream.ts';

const SECRET = 'canarySecretOfTheHostKey_canarySecretOfTheHost';
const KEY = `1.abcdefgh23456777.${SECRET.slice(0, 43)}`;
const PIECE_BYTES = 256 * 1024;
const HELD_BACK_BYTES = 64 * 1024;
/** A buffering proxy would keep a test waiting for ever. */
const patient = { timeout: 60_000 };

export function wireThrough(proxy: Proxy): void {
  describe(`What passes through ${proxy.name}`, () => {
    let upstream: Upstream;
    let running: RunningProxy;
    let raw: RawClient;

    before(async () => {
      upstream = await Upstream.start();
      running = await startProxy(proxy, [upstream.port, upstream.port]);
      raw = new RawClient(running.endpoint, { key: KEY, sessionKey: 'session' });
    });
    after(async () => {
      await running?.stop();
      await upstream?.stop();
    });

    it('path, query and body arrive as they were sent, without the path of the mount', patient, async () => {
      const seen: { method: string | undefined; url: string | undefined; bytes: number; version: string }[] = [];
      upstream.does((req, res) => {
        let bytes = 0;
        req.on('data', (piece: Buffer) => (bytes += piece.length));
        req.on('end', () => {
          seen.push({ method: req.method, url: req.url, bytes, version: req.httpVersion });
          res.end();
        });
      });
      const body = Buffer.alloc(300_000, 'x');
      await raw.post('upload', body, { packed: true });
      await raw.post('meta', body, { packed: true, chunked: false });
      await raw.get('msync/begin?k=key&v=anki%2C2.1.26');
      await raw.get('account/login?next=%2Faccount%2F');
      await raw.get('');
      assert.deepEqual(seen, [
        { method: 'POST', url: '/sync/upload', bytes: 300_000, version: '1.1' },
        { method: 'POST', url: '/sync/meta', bytes: 300_000, version: '1.1' },
        { method: 'GET', url: '/msync/begin?k=key&v=anki%2C2.1.26', bytes: 0, version: '1.1' },
        { method: 'GET', url: '/account/login?next=%2Faccount%2F', bytes: 0, version: '1.1' },
        { method: 'GET', url: '/', bytes: 0, version: '1.1' },
      ]);
    });

    it('the header of Anki passes, also a large one; the host is the one that the client called, and https is told', patient, async () => {
      const client = `anki,26.09.3 (hash),lin:${'x'.repeat(7_000)}`;
      const arrived = upstream.next();
      const answered = raw.post('meta', {}, { client });
      const { req, res } = await arrived;
      assert.deepEqual(JSON.parse(String(req.headers['anki-sync'])), { v: 11, k: KEY, c: client, s: 'session' });
      assert.equal(req.headers.host, `localhost:${running.port}`);
      assert.equal(req.headers['x-forwarded-proto'], proxy.scheme);
      answerPacked(res, zstdCompressSync(Buffer.from('{}')), 2);
      assert.equal((await answered).status, 200);
    });

    it('the address of the client is told last, whatever the client says it is', patient, async () => {
      const arrived = upstream.next();
      const answered = raw.get('health', { agent: agentFrom(proxy, { localAddress: '127.0.0.9' }), headers: { 'x-forwarded-for': '6.6.6.6' } });
      const { req, res } = await arrived;
      assert.equal(String(req.headers['x-forwarded-for']).split(',').at(-1)?.trim(), '127.0.0.9');
      res.end();
      await answered;
    });

    it('an upload is on its way to the server before its last byte is sent', patient, async () => {
      const arrived = upstream.next();
      const upload = raw.open('sync/upload');
      const sent = counted();
      await upload.write(Buffer.alloc(PIECE_BYTES));
      const { req, res } = await arrived;
      req.on('data', sent.add);
      for (const pieces of [1, 2, 3]) {
        // some keep a few KiB until more comes
        await sent.atLeast(pieces * PIECE_BYTES - HELD_BACK_BYTES);
        if (pieces < 3) await upload.write(Buffer.alloc(PIECE_BYTES));
      }
      upload.end();
      await once(req, 'end');
      answerPacked(res, zstdCompressSync(Buffer.from('OK')), 2);
      assert.equal((await upload.response).text(), 'OK');
    });

    it('a download is on its way to the client before the server has sent its last byte', patient, async () => {
      const arrived = upstream.next();
      const reading = raw.sendUnread('POST', 'sync/download', {});
      const { res } = await arrived;
      res.writeHead(200, { 'content-type': 'application/octet-stream', 'anki-original-size': '3000' });
      res.write(Buffer.alloc(1000));
      const response = await reading;
      const received = counted();
      response.on('data', received.add);
      for (const pieces of [1, 2, 3]) {
        await received.atLeast(pieces * 1000);
        if (pieces < 3) res.write(Buffer.alloc(1000));
      }
      res.end();
      await once(response, 'end');
    });

    it('answers are not packed again, and keep their headers', patient, async () => {
      const wire = Buffer.alloc(100_000, 'a');
      upstream.does((req, res) => req.resume().on('end', () => answerPacked(res, wire, 123_456)));
      const response = await raw.sendUnread('POST', 'sync/chunk', {}, { headers: { 'accept-encoding': 'gzip, deflate, br, zstd' } });
      const pieces: Buffer[] = [];
      for await (const piece of response) pieces.push(piece as Buffer);
      assert.ok(Buffer.concat(pieces).equals(wire), 'the bytes are the same');
      assert.equal(response.headers['content-encoding'], undefined);
      assert.equal(response.headers['anki-original-size'], '123456');
      assert.equal(response.headers['content-length'], '100000');
      assert.equal(response.headers['content-type'], 'application/octet-stream');
      assert.equal(response.headers['cache-control'], 'no-store, no-transform');
    });

    it('statuses and words of the server reach the client', patient, async () => {
      for (const status of [308, 400, 403, 409, 413, 429, 501, 503]) {
        const [after, location] = ['5', 'https://other.example.org/'];
        upstream.does((req, res) => req.resume().on('end', () => void res.writeHead(status, { 'retry-after': after, location }).end('word')));
        const { status: told, headers, text } = await raw.post('meta', {});
        assert.deepEqual([told, text(), headers['retry-after'], headers.location], [status, 'word', after, location]);
      }
    });

    it('connections of clients are kept', patient, async () => {
      upstream.does((req, res) => req.resume().on('end', () => answerPacked(res, zstdCompressSync(Buffer.from('{}')), 2)));
      const agent = agentFrom(proxy, { keepAlive: true, maxSockets: 1 });
      const sockets = new Set<unknown>();
      for (let i = 0; i < 5; i++) {
        const response = await raw.sendUnread('POST', 'sync/meta', {}, { agent });
        sockets.add(response.socket);
        await once(response.resume(), 'end');
      }
      agent.destroy();
      assert.equal(sockets.size, 1);
    });

    it('a client that asks whether it may send its body is told to', patient, async () => {
      upstream.does((req, res) => req.resume().on('end', () => void res.end('taken')));
      const headers = { expect: '100-continue', 'transfer-encoding': 'chunked' };
      const request = (proxy.scheme === 'https' ? httpsRequest : httpRequest)(`${running.endpoint}sync/upload`, { method: 'POST', headers });
      request.flushHeaders();
      await once(request, 'continue');
      request.end(Buffer.alloc(50_000));
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      assert.equal(response.statusCode, 200);
      await once(response.resume(), 'end');
    });

    if (proxy.answersEarly !== false) {
      it('an answer that comes before the whole body was sent reaches the client', patient, async () => {
        upstream.does((req, res) => {
          res.writeHead(403, { 'content-type': 'text/plain' }).end('HOST_KEY_UNKNOWN');
          req.resume();
        });
        const upload = raw.open('sync/upload');
        await upload.write(Buffer.alloc(PIECE_BYTES));
        const response = await upload.response;
        assert.equal(response.status, 403);
        upload.destroy();
      });
    }

    it('a client that goes away in the middle of an upload is gone for the server too', patient, async () => {
      const arrived = upstream.next();
      const upload = raw.open('sync/upload');
      await upload.write(Buffer.alloc(PIECE_BYTES));
      const { req } = await arrived;
      const closed = new Promise((resolve) => req.once('close', resolve));
      req.on('error', () => {}).resume();
      upload.request.on('error', () => {});
      upload.destroy();
      await closed;
      assert.equal(req.complete, false);
    });

    it('and in the middle of a download', patient, async () => {
      const arrived = upstream.next();
      const reading = raw.sendUnread('POST', 'sync/download', {});
      const { res } = await arrived;
      const closed = new Promise((resolve) => res.once('close', resolve));
      res.writeHead(200, { 'content-type': 'application/octet-stream', 'anki-original-size': '3000000000' });
      const piece = Buffer.alloc(256 * 1024);
      const send = (): void => {
        while (!res.destroyed && res.write(piece));
      };
      res.on('drain', send).on('error', () => {});
      send();
      const response = await reading;
      await once(response, 'data');
      response.on('error', () => {});
      response.destroy();
      await closed;
      assert.equal(res.writableFinished, false);
    });

    it('while the server is away clients get a server error, and when it is back they sync', patient, async () => {
      const { port } = upstream;
      await upstream.stop();
      const { status } = await raw.post('meta', {});
      assert.ok(status === 502 || status === 503, String(status));
      upstream = await Upstream.start(port);
      upstream.does((req, res) => req.resume().on('end', () => answerPacked(res, zstdCompressSync(Buffer.from('{}')), 2)));
      // Apache and others try again a little later
      for (let attempt = 0; (await raw.post('meta', {})).status !== 200; attempt++) assert.ok(attempt < 2000, 'it does not find back');
    });

    it('no log has a host key', patient, async () => {
      upstream.does((req, res) => req.resume().on('end', () => void res.writeHead(500).end()));
      await raw.post('meta', {});
      await raw.get(`msync/begin?k=${KEY}&v=anki`);
      const log = await running.log();
      assert.ok(log.length > 0);
      assert.ok(!log.includes(SECRET.slice(0, 20)), log.split('\n').find((line) => line.includes(SECRET.slice(0, 20))));
    });
  });
}

function agentFrom(proxy: Proxy, options: { keepAlive?: boolean; maxSockets?: number; localAddress?: string }): HttpAgent {
  return proxy.scheme === 'https' ? new HttpsAgent(options) : new HttpAgent(options);
}

/** Bytes that came, and who waits for them. */
function counted(): { add(piece: Buffer): void; atLeast(bytes: number): Promise<void> } {
  let bytes = 0;
  let waiting = { bytes: Infinity, resolve: (): void => {} };
  return {
    add(piece) {
      bytes += piece.length;
      if (bytes >= waiting.bytes) waiting.resolve();
    },
    atLeast: (wanted) => new Promise((resolve) => {
      waiting = { bytes: wanted, resolve };
      if (bytes >= wanted) resolve();
    }),
  };
}
