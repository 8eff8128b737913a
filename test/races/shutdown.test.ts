/** SIGTERM at any moment: what was answered is on the disk, what was not answered never was, and the process ends. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { RawClient, type RawRequest } from '../client/raw.ts';
import { piecesOf, writeCollection } from '../engine/collections.ts';
import { serverProcess, type ServerProcess } from '../engine/server-process.ts';
import { metaOf, notesOn, ok, untilSanityCheck, wholeSync } from '../engine/whole-sync.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { changedBy } from '../server/collection-bytes.ts';

const MIB = 1024 ** 2;

function dataFolder(t: TestContext): string {
  const base = mkdtempSync(join(tmpdir(), 'anki-sync-shutdown-'));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  return base;
}

/** The same user at another server on the same folder. */
function at(server: ServerProcess, client: RawClient): RawClient {
  return new RawClient(server.url, { key: client.key, sessionKey: client.sessionKey });
}

/** A request of which one half has come. */
class Half {
  readonly request: RawRequest;
  #rest: Buffer;

  private constructor(request: RawRequest, rest: Buffer) {
    this.request = request;
    this.#rest = rest;
  }

  static async sent(client: RawClient, path: string, body: Uint8Array): Promise<Half> {
    const wire = zstdCompressSync(body);
    const request = client.open(path);
    request.request.on('error', () => {});
    await request.write(wire.subarray(0, wire.length >> 1));
    return new Half(request, wire.subarray(wire.length >> 1));
  }

  async end(): Promise<number> {
    await this.request.write(this.#rest);
    this.request.end();
    return (await this.request.response).status;
  }
}

/** Ada is about to finish a sync and sends media, bob uploads. Of each request, one half has come. */
async function midway(server: ServerProcess): Promise<{ ada: RawClient; bob: RawClient; halves: Half[] }> {
  const [ada, bob] = [await server.user('ada'), await server.user('bob')];
  await wholeSync(ada);
  await wholeSync(bob);
  const collection = (await ok(bob.post('download', {}, { version: 10 }))).body;
  await untilSanityCheck(ada);
  return {
    ada,
    bob,
    halves: [
      await Half.sent(ada, 'sync/finish', Buffer.from('{}')),
      await Half.sent(ada, 'msync/uploadChanges', uploadZip([['late.txt', 'late']])),
      await Half.sent(bob, 'sync/upload', await changedBy(collection, 'UPDATE col SET usn = 77')),
    ],
  };
}

async function stateOf(server: ServerProcess, ada: RawClient, bob: RawClient): Promise<unknown> {
  const media = (await ok(at(server, ada).msync('begin', { v: 'test' }))).json() as { data: { usn: number } };
  const { usn } = (await metaOf(at(server, bob))) as { usn: number };
  return { notes: await notesOn(at(server, ada)), media: media.data.usn, uploaded: usn === 77 };
}

test('requests that are half-way at SIGTERM are answered, and what they brought is there after the next start', async (t) => {
  const base = dataFolder(t);
  await using first = await serverProcess(base);
  const { ada, bob, halves } = await midway(first);
  const ended = first.stop();
  await first.line(/: closing$/);
  assert.deepEqual(await Promise.all(halves.map((half) => half.end())), [200, 200, 200]);
  assert.equal(await ended, 0);
  await using second = await serverProcess(base);
  assert.deepEqual(await stateOf(second, ada, bob), { notes: 2, media: 1, uploaded: true });
});

test('requests that are half-way when a second SIGTERM ends the server never were, and the next sync goes on from before', async (t) => {
  const base = dataFolder(t);
  await using first = await serverProcess(base);
  const { ada, bob } = await midway(first);
  const ended = first.stop();
  await first.line(/: closing$/);
  process.kill(first.pid, 'SIGTERM');
  assert.equal(await ended, null);
  await using second = await serverProcess(base);
  assert.deepEqual(await stateOf(second, ada, bob), { notes: 1, media: 0, uploaded: false });
  assert.equal(await wholeSync(at(second, ada)), 2);
});

test('a sync that has begun at SIGTERM goes on to its end, and one that would begin reads why not', async (t) => {
  const base = dataFolder(t);
  await using first = await serverProcess(base);
  const [ada, bob] = [await first.user('ada'), await first.user('bob')];
  await wholeSync(ada);
  await untilSanityCheck(ada);
  const ended = first.stop();
  await first.line(/: closing$/);
  const { cont, msg } = (await metaOf(bob)) as { cont: boolean; msg: string };
  assert.deepEqual([cont, msg], [false, 'The sync server is being restarted. Please sync again in a minute.']);
  // a load balancer sends nobody any more, and whoever restarts what is ill leaves it alone
  assert.deepEqual([(await bob.get('ready')).status, (await bob.get('health')).status], [503, 200]);
  assert.equal((await ada.post('finish')).status, 200);
  assert.equal(await ended, 0);
  await using second = await serverProcess(base);
  assert.equal(await notesOn(at(second, ada)), 2);
  assert.equal(await wholeSync(at(second, bob)), 1);
});

test('a media sync that has begun at SIGTERM goes on to its end', async (t) => {
  const base = dataFolder(t);
  await using first = await serverProcess(base);
  const ada = await first.user('ada');
  await ok(ada.msync('begin', { v: 'test' }));
  const ended = first.stop();
  await first.line(/: closing$/);
  await ok(ada.msync('uploadChanges', uploadZip([['late.txt', 'late']])));
  await ok(ada.msync('mediaSanity', { local: 1 }));
  assert.equal(await ended, 0);
  await using second = await serverProcess(base);
  assert.equal(((await ok(at(second, ada).msync('begin', { v: 'test' }))).json() as { data: { usn: number } }).data.usn, 1);
});

test('a sync of which nothing more comes does not hold up the end: it is rolled back, and its next step is a conflict', async (t) => {
  const base = dataFolder(t);
  await using first = await serverProcess(base);
  const ada = await first.user('ada');
  await wholeSync(ada);
  await untilSanityCheck(ada);
  assert.equal(await first.stop(), 0);
  await using second = await serverProcess(base);
  assert.equal((await at(second, ada).post('finish')).status, 409);
  assert.equal(await notesOn(at(second, ada)), 1);
});

test('a download that is on its way at SIGTERM arrives whole', async (t) => {
  const base = dataFolder(t);
  const path = join(base, 'large.anki2');
  writeCollection(path, 24 * MIB);
  await using server = await serverProcess(base);
  const ada = await server.user('ada');
  assert.equal((await ada.post('upload', piecesOf(path))).text(), 'OK');
  const response = await ada.sendUnread('POST', 'sync/download', {});
  const ended = server.stop();
  await server.line(/: closing$/);
  const wire = Buffer.concat(await response.toArray() as Buffer[]);
  assert.equal(zstdDecompressSync(wire).length, Number(response.headers['anki-original-size']));
  assert.equal(await ended, 0);
});

/** A thread deep in SQLite hears of nothing, and `process.exit` would wait for it. */
async function stuck(t: TestContext): Promise<{ base: string; server: ServerProcess; ada: RawClient }> {
  const base = dataFolder(t);
  const server = await serverProcess(base, ['--import', new URL('slow-sqlite.mjs', import.meta.url).href]);
  t.after(() => server.kill());
  const ada = await server.user('ada');
  await wholeSync(ada);
  const download = ada.open('sync/download');
  download.request.on('error', () => {});
  await download.write(zstdCompressSync('{}'));
  download.end();
  await server.line(/deep in SQLite/);
  return { base, server, ada };
}

test('a thread that does not end is given up before ten seconds are over, and nothing that was answered is lost', async (t) => {
  const { base, server, ada } = await stuck(t);
  const ended = server.stop();
  await server.line(/: closing$/);
  await server.line(/given up; the next start tidies up$/);
  assert.equal(await ended, null);
  await using next = await serverProcess(base);
  assert.equal(await wholeSync(at(next, ada)), 2);
});

test('a second SIGTERM does not wait for a busy thread either', async (t) => {
  const { server } = await stuck(t);
  const ended = server.stop();
  await server.line(/: closing$/);
  process.kill(server.pid, 'SIGTERM');
  assert.equal(await ended, null);
  assert.equal(server.lines.some((line) => line.includes('given up')), false);
});
