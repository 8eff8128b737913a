import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { RawClient, RawOptions } from '../client/raw.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { runningServer } from '../server/running-server.ts';
import { randomNumbers, writeCollection } from './collections.ts';
import { ok, wholeSync } from './whole-sync.ts';

const REQUESTS = 2000;
const AT_ONCE = 8;

const ODD_PATHS = ['sync/', 'sync/unknown', '/sync/meta', 'sync/meta/', 'sync/%00', 'sync/..%2f..%2fetc', 'msync', '', 'health', 'sync/__proto__', 'sync/meta?x=1', '%'];
const ODD_VALUES: unknown[] = [
  null, true, 0, -1, 1.5, 1e300, 2 ** 53, '', 'ж', '\u0000', '../x', [], {}, [[]], [null], { __proto__: 1 }, { id: 'x' }, [[1, 2, 3]], 'x'.repeat(70_000),
];

test('no request ends the process: after 2000 odd ones a normal sync works, and no answer was a failure of ours', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-fuzz-'));
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  try {
    const path = join(folder, 'made.anki2');
    writeCollection(path, 40_000);
    await using server = await runningServer({ threads: 2 });
    const user = await server.user('ada');
    const next = randomNumbers(20_260_921);
    const one = <T>(list: readonly T[]): T => list[next() % list.length]!;
    const chance = (percent: number): boolean => next() % 100 < percent;
    const collection = readFileSync(path);

    const empty = (): unknown => ({});
    const fitting: [method: string, body: () => unknown][] = [
      ['sync/hostKey', () => ({ u: one(['ada', '../x', '', 'ж'.repeat(500)]), p: one(['', 'wrong', 'the right password']) })],
      ['sync/meta', () => ({ v: one([7, 8, 11]), cv: 'x' })],
      ['sync/start', () => ({ minUsn: one([0, -1, 5]), lnewer: chance(50), graves: one<unknown>([null, { cards: [1], notes: [], decks: [1] }]) })],
      ['sync/start', () => ({ minUsn: 0, lnewer: chance(50), graves: null })],
      ['sync/applyGraves', () => ({ chunk: { cards: [1, 2], notes: [3], decks: [] } })],
      ['sync/applyChanges', () => ({ changes: { models: [], decks: [[], []], tags: ['a', 'A', 'ä'], ...(chance(20) ? { conf: { x: one(ODD_VALUES) } } : {}) } })],
      ['sync/applyChanges', () => ({ changes: { models: [{ id: next(), name: 'x' }], decks: [[{ id: 1 }], []], tags: ['a'] } })],
      ['sync/chunk', empty],
      ['sync/applyChunk', () => ({ chunk: { done: chance(50), cards: [[next(), 1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, one(['', 'x'.repeat(9999)])]] } })],
      ['sync/applyChunk', () => ({ chunk: { done: true, notes: [[next(), 'g', next(), 1, 0, '', 'a\x1fb', '', '', 0, one(ODD_VALUES)]] } })],
      ['sync/sanityCheck2', () => ({ client: [[0, 0, 0], 1, 1, 0, 0, 6, 1, 1] })],
      ['sync/finish', empty],
      ['sync/abort', empty],
      ['sync/upload', () => collection],
      ['sync/upload', () => Buffer.from(collection.map((byte) => (next() % 997 === 0 ? next() & 255 : byte)))],
      ['sync/download', empty],
      ['msync/begin', () => ({ v: 'x' })],
      ['msync/mediaChanges', () => ({ lastUsn: one([0, -5, 2 ** 40]) })],
      ['msync/uploadChanges', () => uploadZip([['a.png', 'bytes'], ['b.png', null], [one(['..', 'ok.png', 'x/y', '']), String(next())]])],
      ['msync/downloadFiles', () => ({ files: one<unknown>([['a.png'], ['..', '/etc/passwd', 'a\0b'], Array(30).fill('x'), 'a']) })],
      ['msync/mediaSanity', () => ({ local: next() % 3 })],
    ];
    const odd: (() => unknown)[] = [
      () => one(fitting)[1](),
      () => ({ [one(['v', 'minUsn', 'chunk', 'changes', 'client', 'files', 'u', 'p', 'local', 'lastUsn'])]: one(ODD_VALUES) }),
      () => one(ODD_VALUES),
      () => '{"chunk":',
      () => '['.repeat(5000),
      () => Buffer.from(Array.from({ length: next() % 300 }, () => next() & 255)),
    ];
    const wires: ((packed: Buffer) => Buffer)[] = [
      (packed) => packed.subarray(0, next() % packed.length),
      (packed) => Buffer.concat([packed, packed]),
      (packed) => Buffer.concat([packed, Buffer.from('and more')]),
      (packed) => Buffer.from(packed.map((byte) => (next() % 20 === 0 ? next() & 255 : byte))),
      (packed) => gzipSync(packed),
      () => Buffer.alloc(0),
    ];
    const headers: (() => Partial<RawOptions>)[] = [
      () => ({ syncHeader: null }),
      () => ({ syncHeader: one(['{', '[]', 'null', '{"v":11}', '{"v":"11","k":1,"c":[],"s":{}}', `{"v":11,"k":"${'k'.repeat(5000)}","c":"","s":""}`]) }),
      () => ({ version: one([0, 7, 8, 9, 10, 12, 99]) }),
      () => ({ key: one(['', 'wrong', '1.a.b', user.key.slice(0, -1)]) }),
      () => ({ sessionKey: one(['', 'other', 'x'.repeat(3000)]) }),
      () => ({ client: one(['', 'x'.repeat(2000), '\u0001']) }),
      () => ({ headers: { 'content-type': one(['multipart/form-data; boundary=x', 'multipart/form-data', 'application/json']) } }),
      () => ({ headers: { 'content-encoding': 'zstd', 'x-forwarded-for': one(['', 'x'.repeat(999)]) } }),
    ];

    const statuses = new Map<number, number>();
    const failures: string[] = [];
    const send = async (client: RawClient): Promise<void> => {
      const [fits, body] = one(fitting);
      const method = chance(95) ? fits : one(ODD_PATHS);
      const value = chance(70) ? body() : one(odd)();
      const plain = value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
      const options: RawOptions = { agent, packed: true, chunked: chance(80), ...(chance(20) ? one(headers)() : {}) };
      const packed = zstdCompressSync(plain);
      const response = await client.send(chance(97) ? 'POST' : one(['GET', 'PUT', 'DELETE', 'OPTIONS']), method, chance(90) ? packed : one(wires)(packed), options);
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      const documented = response.status === 501 || (response.status === 503 && response.wire.toString() === 'BUSY');
      if (response.status >= 500 && !documented) failures.push(`${method} ${response.status} ${response.wire.toString().slice(0, 200)}`);
    };
    let left = REQUESTS;
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) {
        // what breaks a request without an answer is a connection that the server cut: it may, and has to go on
        await send(user).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') throw error;
        });
      }
    }));

    assert.deepEqual(failures, []);
    assert.deepEqual(server.log.filter(({ code }) => code === 'INTERNAL' || code === 'THREAD_LOST'), []);
    // it did not stop at the door every time
    for (const status of [200, 400, 403, 409]) assert.ok((statuses.get(status) ?? 0) > REQUESTS / 100, `${status}: ${statuses.get(status) ?? 0}`);
    await ok(user.post('upload', collection));
    assert.equal(await wholeSync(user, 3), 5);
    assert.equal(await wholeSync(await server.user('bob'), 3), 3);
    assert.deepEqual(server.stagedFiles(), []);
  } finally {
    agent.destroy();
    rmSync(folder, { recursive: true, force: true });
  }
});
