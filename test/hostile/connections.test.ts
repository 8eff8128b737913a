/** Connections that are slow, silent, cut, or very many: whoever is on them holds nothing for long, and the others are served. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { Agent, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { expressSync } from '../../adapters/express/index.ts';
import { createListener, TIMEOUTS } from '../../lib/cli/listener.ts';
import { createSyncServer, type LogEntry, type SyncServer } from '../../lib/index.ts';
import { STALLED_MILLIS } from '../../lib/protocol/body-source.ts';
import { RawClient } from '../client/raw.ts';
import { piecesOf, writeCollection } from '../engine/collections.ts';
import { residentBytes, serverProcess } from '../engine/server-process.ts';
import { metaOf, notesOn, ok, wholeSync } from '../engine/whole-sync.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { contentType, pythonForm, PYTHON_BOUNDARY, REQWEST_BOUNDARY, rustForm } from '../protocol/forms.ts';
import { until } from '../server/until.ts';
import { RawSocket } from './raw-socket.ts';

const MIB = 1024 ** 2;
const PASSWORD = 'the right password';
const LINUX = process.platform === 'linux';

/** The standalone server's listener in this process, with other timeouts where a test cannot wait for the real ones. */
interface Listening {
  base: string;
  port: number;
  url: string;
  log: LogEntry[];
  listener: Server;
  /** The server's ends of all connections. */
  sockets: Set<Socket>;
  staged(): string[];
  user(name: string): Promise<RawClient>;
}

async function listening(t: TestContext, timeouts: Partial<typeof TIMEOUTS> = {}): Promise<Listening> {
  const base = mkdtempSync(join(tmpdir(), 'anki-sync-connections-'));
  const log: LogEntry[] = [];
  const sync: SyncServer = createSyncServer({ base, threads: 1, authenticator: ({ password }) => password === PASSWORD, log: (entry) => log.push(entry) });
  await sync.ready;
  const listener = createListener(expressSync(sync), undefined, timeouts);
  const sockets = new Set<Socket>();
  listener.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(async () => {
    t.mock.timers.reset();
    listener.close();
    listener.closeAllConnections();
    await sync.close();
    rmSync(base, { recursive: true, force: true });
  });
  const { port } = listener.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/`;
  return {
    base, port, url, log, listener, sockets,
    staged: () => readdirSync(base, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /staging|incoming/.test(entry.parentPath)).map(({ name }) => name),
    async user(name) {
      const client = new RawClient(url, { sessionKey: `session of ${name}` });
      await client.hostKey(name, PASSWORD);
      return client;
    },
  };
}

/** Bodies on their way in or out that this process has open, also those that have no name any more. */
function openBodies(below: string): string[] {
  if (!LINUX) return [];
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)].filter((path) => path.startsWith(below) && /staging|incoming/.test(path));
    } catch {
      return []; // closed since
    }
  });
}

function head(path: string, client: RawClient, more = 'Transfer-Encoding: chunked'): string {
  const header = JSON.stringify({ v: 11, k: client.key, c: 'raw', s: client.sessionKey });
  return `POST /${path} HTTP/1.1\r\nHost: x\r\nanki-sync: ${header}\r\nContent-Type: application/octet-stream\r\n${more}\r\n\r\n`;
}

function chunked(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

/** Every kind of body, as it is on the wire. */
function requests(client: RawClient): Record<string, { head: string; body: Buffer }> {
  const json = zstdCompressSync(JSON.stringify({ minUsn: 0, lnewer: false }));
  const zip = uploadZip([['stalled.txt', 'x'.repeat(5000)]]);
  const form = (boundary: string): string => `POST /sync/upload HTTP/1.1\r\nHost: x\r\nContent-Type: ${contentType(boundary)}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const data = gzipSync(Buffer.alloc(100_000, 'no collection, but it is not at its end either'));
  const sync = { c: '1', k: client.key, s: client.sessionKey };
  return {
    'a login': { head: head('sync/hostKey', new RawClient(client.endpoint)), body: zstdCompressSync(JSON.stringify({ u: 'ada', p: PASSWORD })) },
    'a step': { head: head('sync/start', client), body: json },
    'an upload': { head: head('sync/upload', client), body: zstdCompressSync(Buffer.alloc(200_000, 'no collection')) },
    'a media zip': { head: head('msync/uploadChanges', client), body: zstdCompressSync(zip) },
    'a form with its keys first': { head: form(PYTHON_BOUNDARY), body: pythonForm(sync, data) },
    'a form with its keys last': { head: form(REQWEST_BOUNDARY), body: rustForm(data, sync) },
  };
}

/** How far a request comes before nothing more does. */
const STAGES: Record<string, (request: { head: string; body: Buffer }) => Buffer> = {
  'behind its headers': ({ head }) => Buffer.from(head),
  'within a chunk size': ({ head }) => Buffer.from(`${head}1`),
  'behind its first byte': ({ head, body }) => Buffer.concat([Buffer.from(head), chunked(body.subarray(0, 1))]),
  'within a chunk': ({ head, body }) => Buffer.concat([Buffer.from(head), chunked(body).subarray(0, body.length >> 1)]),
  'half-way': ({ head, body }) => Buffer.concat([Buffer.from(head), chunked(body.subarray(0, body.length >> 1))]),
  'before its last byte': ({ head, body }) => Buffer.concat([Buffer.from(head), chunked(body.subarray(0, -1))]),
  'before the chunk that ends it': ({ head, body }) => Buffer.concat([Buffer.from(head), chunked(body)]),
};

test('bodies that stall, of every kind and at every stage, are given up after a minute, and nothing of them is left', async (t) => {
  const server = await listening(t);
  const ada = await server.user('ada');
  await wholeSync(ada);
  const stalled: RawSocket[] = [];
  const users = await Promise.all(Object.keys(STAGES).map((_, index) => server.user(`user${index}`)));
  const answered = server.log.length;
  t.mock.timers.enable({ apis: ['setTimeout'] });
  for (const [index, [, stage]] of Object.entries(STAGES).entries()) {
    for (const request of Object.values(requests(users[index]!))) {
      const socket = await RawSocket.open(server.port);
      await socket.send(stage(request));
      stalled.push(socket);
    }
  }
  // they hold up nobody else, and not the user either
  assert.equal(await wholeSync(ada), 2);
  await wholeSync(users[0]!);
  const gone = (): number => server.log.slice(answered).filter(({ code }) => code === 'CLIENT_GONE').length;
  assert.equal(gone(), 0);
  // each read of a body starts its minute anew: until all have begun theirs, the clock goes on
  while (gone() < stalled.length) {
    t.mock.timers.tick(STALLED_MILLIS);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(gone(), stalled.length);
  // half a minute is left to a client that goes on sending; then the connections are cut
  while (stalled.some(({ socket }) => !socket.destroyed)) {
    t.mock.timers.tick(30_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.mock.timers.reset();
  assert.deepEqual(server.staged(), []);
  assert.equal(await wholeSync(ada), 3);
  await until(() => openBodies(server.base).length === 0);
});

test('headers that come one byte at a time are cut off, and hold up nobody', async (t) => {
  const server = await listening(t, { headersTimeout: 500, connectionsCheckingInterval: 50 });
  const ada = await server.user('ada');
  const text = head('sync/meta', ada);
  const socket = await RawSocket.open(server.port);
  let sent = 0;
  const drip = setInterval(() => void socket.send(text[sent++ % (text.length - 4)]!), 5);
  try {
    await wholeSync(ada);
    await socket.closed;
  } finally {
    clearInterval(drip);
  }
  assert.deepEqual(socket.answers().map(({ status }) => status), [408]);
});

test('a connection that never says anything is cut off too', async (t) => {
  const server = await listening(t, { headersTimeout: 200, connectionsCheckingInterval: 50 });
  await (await RawSocket.open(server.port)).closed;
});

test('a proxy may use an idle connection again for as long as it is kept, which is longer than headers may take', async (t) => {
  const server = await listening(t, { headersTimeout: 100, keepAliveTimeout: 60_000, connectionsCheckingInterval: 20 });
  const socket = await RawSocket.open(server.port);
  for (let count = 1; count <= 3; count += 1) {
    await socket.send('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal((await socket.waitForAnswers(count)).length, count);
    // three times what headers may take
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assert.equal(socket.socket.destroyed, false);
  socket.socket.destroy();
});

test('an upload through a slow line is not cut off, however long it takes', async (t) => {
  // everything is a hundred times shorter, but for what has no limit
  const server = await listening(t, { headersTimeout: 200, keepAliveTimeout: 400, connectionsCheckingInterval: 20 });
  assert.deepEqual([server.listener.requestTimeout, server.listener.timeout], [0, 0]);
  const ada = await server.user('ada');
  await wholeSync(ada);
  const collection = (await ok(ada.post('download', {}, { version: 10 }))).body;
  const wire = zstdCompressSync(collection);
  const upload = ada.open('sync/upload');
  const pieces = 40;
  for (let piece = 0; piece < pieces; piece += 1) {
    await upload.write(wire.subarray((wire.length * piece) / pieces, (wire.length * (piece + 1)) / pieces));
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  upload.end();
  assert.equal((await upload.response).text(), 'OK');
});

test('the system looks after silent connections, since a client may vanish without a word', { skip: !LINUX && 'reads /proc/net/tcp' }, async (t) => {
  const server = await listening(t);
  const socket = await RawSocket.open(server.port);
  await socket.send('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
  await socket.waitForAnswers(1);
  const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');
  const [from, to] = [hex(server.port), hex(socket.socket.localPort!)];
  const timerOf = (): [kind: number, ticks: number] | undefined => {
    const line = readFileSync('/proc/net/tcp', 'latin1').split('\n').find((each) => new RegExp(`:${from} \\w+:${to} `).test(each));
    const [, kind, ticks] = / (\d\d):([0-9A-F]{8}) /.exec(line ?? '') ?? [];
    return kind === undefined ? undefined : [Number(kind), Number.parseInt(ticks!, 16)];
  };
  // 2 is the timer of keep-alive probes, 1 that of a packet still on its way; a tick is a hundredth of a second
  await until(() => timerOf()?.[0] === 2);
  assert.ok(timerOf()![1] <= TIMEOUTS.keepAliveInitialDelay / 10 + 100);
  socket.socket.destroy();
});

test('who takes no byte of a download holds a file and a place among the requests, but no memory, no thread and no sync', async (t) => {
  const server = await listening(t);
  const ada = await server.user('ada');
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-download-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'collection.anki2');
  writeCollection(path, 48 * MIB);
  assert.equal((await ada.post('upload', piecesOf(path))).text(), 'OK');
  const before = process.memoryUsage();
  const empty = zstdCompressSync('{}');
  const readers: RawSocket[] = [];
  for (let count = 0; count < 8; count += 1) {
    const reader = await RawSocket.open(server.port);
    await reader.send(Buffer.concat([Buffer.from(head('sync/download', ada, `Content-Length: ${empty.length}`)), empty]));
    await reader.waitUntil(() => reader.received.length > 0);
    reader.socket.pause();
    readers.push(reader);
  }
  // eight requests of one user may be on the way; others do not notice
  assert.equal((await ada.post('meta', { v: 11, cv: 'x' })).status, 503);
  await wholeSync(await server.user('bob'));
  assert.equal(server.staged().length, 8);
  const { rss, arrayBuffers, external } = process.memoryUsage();
  assert.ok(arrayBuffers - before.arrayBuffers < 8 * 4 * MIB, `${(arrayBuffers - before.arrayBuffers) / MIB} MiB of buffers, ${(external - before.external) / MIB} external`);
  assert.ok(rss - before.rss < 200 * MIB, `${(rss - before.rss) / MIB} MiB`);

  // the limit of two minutes without a byte is the socket's own; here it is over
  const stuck = [...server.sockets].filter(({ timeout }) => timeout === 120_000);
  assert.ok(stuck.length >= 8);
  for (const socket of stuck) socket.emit('timeout');
  await until(() => server.staged().length === 0);
  await until(() => openBodies(server.base).length === 0);
  await wholeSync(ada);
  for (const reader of readers) reader.socket.destroy();
});

test('a reset at every stage of every request, and of its answer: the next client is served, and the sync goes on as the protocol says', async (t) => {
  const server = await listening(t);
  const ada = await server.user('ada');
  await wholeSync(ada);
  let stages = 0;
  for (const [what, request] of Object.entries(requests(ada))) {
    const whole = Buffer.concat([Buffer.from(request.head), chunked(request.body), Buffer.from('0\r\n\r\n')]);
    const stagesOfThis = [...Object.values(STAGES), () => whole.subarray(0, 10), () => Buffer.from(request.head).subarray(0, -2)];
    for (const stage of stagesOfThis) {
      const meta = await metaOf(ada);
      await ok(ada.post('start', { minUsn: 0, lnewer: false }));
      const socket = await RawSocket.open(server.port);
      const bytes = stage(request);
      await socket.send(bytes);
      socket.reset();
      await socket.closed;
      stages += 1;
      // a request that came whole may take effect, at any time; see below
      if (bytes.length === whole.length) continue;
      const step = await ada.post('chunk');
      assert.equal(step.status, 200, `${what} at ${bytes.length} of ${whole.length}: ${step.text()}`);
      await ok(ada.post('abort'));
      assert.deepEqual(await metaOf(ada), meta);
    }
  }
  const bob = await server.user('bob');
  for (const request of Object.values(requests(bob))) {
    const socket = await RawSocket.open(server.port);
    await socket.send(Buffer.concat([Buffer.from(request.head), chunked(request.body), Buffer.from('0\r\n\r\n')]));
    socket.reset();
    await socket.closed;
    stages += 1;
  }
  assert.equal(stages, 60);
  assert.equal(await notesOn(ada), 1);
  await until(() => server.staged().length === 0);
  await until(() => openBodies(server.base).length === 0);
  assert.deepEqual(server.log.filter(({ level }) => level === 'error'), []);
});

test('a connection that breaks while its answer comes takes nothing with it', async (t) => {
  const server = await listening(t);
  const ada = await server.user('ada');
  await wholeSync(ada);
  const zip = uploadZip([['a.bin', Buffer.alloc(2 * MIB, 'media')]]);
  await ok(ada.msync('uploadChanges', zip));
  const body = (value: object): Buffer => zstdCompressSync(JSON.stringify(value));
  const asked: [string, Buffer][] = [['sync/download', body({})], ['msync/downloadFiles', body({ files: ['a.bin'] })], ['sync/meta', body({ v: 11, cv: 'x' })]];
  for (const [path, bytes] of asked) {
    for (let count = 0; count < 5; count += 1) {
      const socket = await RawSocket.open(server.port);
      await socket.send(Buffer.concat([Buffer.from(head(path, ada, `Content-Length: ${bytes.length}`)), bytes]));
      await socket.waitUntil(() => socket.received.length > 0);
      socket.reset();
      await socket.closed;
    }
  }
  await until(() => server.staged().length === 0);
  assert.equal(await wholeSync(ada), 2);
});

test('three thousand idle connections: answers go on, at a few KiB of memory for each', { skip: !LINUX && 'reads /proc' }, async (t) => {
  const limit = Number(/^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]);
  if (limit < 8_000) {
    t.skip(`only ${limit} files may be open`);
    return;
  }
  const base = mkdtempSync(join(tmpdir(), 'anki-sync-idle-'));
  const server = await serverProcess(base);
  const sockets: Socket[] = [];
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await server.kill();
    rmSync(base, { recursive: true, force: true });
  });
  const ada = await server.user('ada');
  await wholeSync(ada);
  const open = (): number => readdirSync(`/proc/${server.pid}/fd`).length;
  const [before, openBefore] = [residentBytes(server.pid), open()];
  const port = Number(new URL(server.url).port);
  for (let hundred = 0; hundred < 30; hundred += 1) {
    await Promise.all(Array.from({ length: 100 }, async (_, index) => {
      const socket = connect(port, '127.0.0.1');
      sockets.push(socket);
      socket.on('error', () => {});
      await once(socket, 'connect');
      // of some nothing comes, of some half of their headers, and some were served and wait
      if (index % 3 === 1) socket.write('POST /sync/meta HTTP/1.1\r\nHost: x\r\nanki-sync: {"v":11');
      if (index % 3 === 2) {
        socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
        await once(socket, 'data');
      }
    }));
  }
  // some files of what went before may have been closed meanwhile
  await until(() => open() >= openBefore + 2_950);
  assert.equal(await wholeSync(ada), 2);
  const bytesEach = (residentBytes(server.pid) - before) / 3_000;
  t.diagnostic(`${(bytesEach / 1024).toFixed(1)} KiB for each idle connection`);
  assert.ok(bytesEach < 40 * 1024, `${bytesEach} bytes for each`);
  for (const socket of sockets) socket.destroy();
  await until(() => open() <= openBefore + 10);
  assert.equal(await wholeSync(ada), 3);
});

test('connections never take all the files that the process may open: who is connected can sync', { skip: !LINUX && 'reads /proc' }, async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'anki-sync-files-'));
  const bin = fileURLToPath(new URL('../../lib/bin.ts', import.meta.url));
  const child = spawn('sh', ['-c', 'ulimit -n 256; exec "$@"', 'sh', process.execPath, bin, 'serve', '--base', base, '--port', '0'], {
    env: { SYNC_USER1: `ada:${PASSWORD}`, SYNC_HOST: '127.0.0.1' }, stdio: ['ignore', 'pipe', 'inherit'],
  });
  const sockets: Socket[] = [];
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    child.kill('SIGKILL');
    await once(child, 'close');
    rmSync(base, { recursive: true, force: true });
  });
  let text = '';
  for await (const piece of child.stdout.setEncoding('utf8')) {
    text += piece as string;
    if (text.includes('listening on')) break;
  }
  const port = Number(/port (\d+)/.exec(text)![1]);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const first = new RawClient(`http://127.0.0.1:${port}/`, { sessionKey: 's', agent });
  await first.hostKey('ada', PASSWORD);
  const refused: Promise<unknown>[] = [];
  for (let count = 0; count < 300; count += 1) {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => {});
    await once(socket, 'connect');
    if (count >= 130) refused.push(once(socket, 'close'));
  }
  // beyond half of the files, connections are closed at once
  await Promise.all(refused);
  await wholeSync(first);
});
