/** Bodies that are small on the wire and large behind it: what is answered, and how little memory of the process they take. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { RawBody, RawClient, RawResponse } from '../client/raw.ts';
import { residentBytes, peakBytes, serverProcess, type ServerProcess } from '../engine/server-process.ts';
import { entry, rawUpload, rawZip, uploadZip } from '../media/raw-zip.ts';
import { contentType, pythonForm, PYTHON_BOUNDARY } from '../protocol/forms.ts';
import { EMPTY_FRAME, frameStart, ZEROS_BLOCK } from '../protocol/zstd-samples.ts';

const MIB = 1024 ** 2;
/** What the process may take for all of them together, above what it takes when it has just begun to work. */
const MORE_BYTES = 200 * MIB;

let folder: string;
let server: ServerProcess;
let ada: RawClient;
let restingBytes: number;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'anki-sync-bombs-'));
  server = await serverProcess(join(folder, 'base'));
  ada = await server.user('ada');
  await ada.post('meta', { v: 11, cv: 'x' });
  await ada.msync('uploadChanges', uploadZip([['a.png', 'a']]));
  restingBytes = residentBytes(server.pid);
});
after(async () => {
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => assert.ok(peakBytes(server.pid) < restingBytes + MORE_BYTES, `${Math.round((peakBytes(server.pid) - restingBytes) / MIB)} MiB more`));

const send = (path: string, packed: RawBody): Promise<RawResponse> => ada.send('POST', path, packed, { packed: true });
const answerOf = async (path: string, packed: RawBody): Promise<[number, string]> => {
  const response = await send(path, packed);
  return [response.status, response.text().split(':')[0]!];
};

/** A tebibyte of zeros: 8 million blocks of four bytes each, without a word about the size. */
async function* tebibyte(): AsyncGenerator<Uint8Array> {
  yield frameStart();
  const blocks = Buffer.concat(Array<Buffer>(64 * 1024).fill(ZEROS_BLOCK));
  for (let i = 0; i < 128; i++) yield blocks;
  yield Buffer.from([1, 0, 0]);
}

function claiming(bytes: bigint): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(bytes);
  return Buffer.concat([Buffer.from('28b52ffdc058', 'hex'), size, ZEROS_BLOCK, Buffer.from([1, 0, 0])]);
}

describe('a zstd body', () => {
  test('of a tebibyte of zeros is refused, in a login, in a step and in media', async () => {
    for (const path of ['sync/hostKey', 'sync/meta', 'msync/mediaChanges', 'msync/uploadChanges']) {
      assert.deepEqual(await answerOf(path, tebibyte()), [413, 'BODY_TOO_LARGE'], path);
    }
    await ada.post('start', { minUsn: 0, lnewer: false, graves: null });
    assert.deepEqual(await answerOf('sync/applyChunk', tebibyte()), [400, 'STEP_FAILED']);
  });

  test('that claims a tebibyte in a few bytes is refused by its header', async () => {
    assert.deepEqual(await answerOf('sync/meta', claiming(1n << 40n)), [413, 'BODY_TOO_LARGE']);
    assert.deepEqual(await answerOf('sync/meta', claiming((1n << 64n) - 1n)), [413, 'BODY_TOO_LARGE']);
    assert.deepEqual(await answerOf('sync/upload', claiming(1n << 40n)), [200, 'collection exceeds size limit']);
  });

  test('that claims less or more than it holds is refused', async () => {
    for (const bytes of [1n, 128n * 1024n - 1n, 128n * 1024n + 1n, 1n << 24n]) {
      const [status, code] = await answerOf('sync/upload', claiming(bytes));
      assert.equal(status, 400, code);
    }
  });

  test('with a window of 2 GiB is refused, and one of 128 MiB takes no memory for what it does not hold', async () => {
    assert.deepEqual(await answerOf('sync/meta', Buffer.concat([frameStart(21 << 3), ZEROS_BLOCK, Buffer.from([1, 0, 0])])), [400, 'BODY_INVALID']);
    const plain = Buffer.from('{"v":11,"cv":"x"}');
    const wide = Buffer.concat([frameStart(17 << 3), Buffer.from([(plain.length << 3) | 1, 0, 0]), plain]);
    assert.equal((await send('sync/meta', wide)).status, 200);
  });

  test('within a zstd body is no JSON', async () => {
    let body = zstdCompressSync('{"v":11,"cv":"x"}');
    for (let i = 0; i < 5; i++) body = zstdCompressSync(body);
    assert.deepEqual(await answerOf('sync/meta', body), [400, 'BODY_NOT_JSON']);
  });

  test('of thousands of empty frames is refused as no JSON, and of more frames than there is room for as too large', async () => {
    assert.deepEqual(await answerOf('sync/meta', Buffer.concat(Array<Buffer>(5000).fill(EMPTY_FRAME))), [400, 'BODY_NOT_JSON']);
    assert.deepEqual(await answerOf('sync/meta', Buffer.concat(Array<Buffer>(100_000).fill(EMPTY_FRAME))), [413, 'BODY_TOO_LARGE']);
  });
});

test('a gzip body of ten gibibytes in a form of an old client is refused', async () => {
  const member = gzipSync(Buffer.alloc(64 * MIB), { level: 9 });
  const bomb = Buffer.concat(Array<Buffer>(160).fill(member));
  const options = { packed: true, syncHeader: null, headers: { 'content-type': contentType(PYTHON_BOUNDARY) } };
  for (const [path, fields] of [['sync/hostKey', {}], ['sync/meta', { k: ada.key }], ['msync/mediaChanges', { sk: ada.key }]] as const) {
    const response = await ada.send('POST', path, pythonForm({ c: '1', ...fields }, bomb), options);
    assert.deepEqual([path, response.status, response.wire.toString().split(':')[0]], [path, 413, 'BODY_TOO_LARGE']);
  }
});

/** Entries that all lie over the first one. */
function overlapping(content: Buffer, count: number): Buffer {
  const entries = Array.from({ length: count }, (_, i) => entry(String(i), i === 0 ? content : 'x', { deflate: true }));
  const zip = rawZip([...entries, entry('_meta', JSON.stringify(entries.map((_, i) => [`${i}.bin`, String(i)])))]);
  const first = zip.indexOf('PK\x01\x02', 0, 'latin1');
  for (let at = zip.indexOf('PK\x01\x02', first + 4, 'latin1'); at !== -1; at = zip.indexOf('PK\x01\x02', at + 4, 'latin1')) {
    if (zip.toString('latin1', at + 46, at + 51) === '_meta') continue;
    // checksum, sizes and place of the first
    zip.copy(zip, at + 16, first + 16, first + 28);
    zip.writeUInt32LE(0, at + 42);
  }
  return zip;
}

describe('a media zip', () => {
  test('whose 25 entries overlap, 100 MiB each, is refused, and nothing of it is kept', async () => {
    const response = await ada.msync('uploadChanges', overlapping(Buffer.alloc(100 * MIB), 25));
    assert.deepEqual([response.status, response.text().split(':')[0]], [400, 'MEDIA_ZIP_INVALID']);
    assert.equal((await ada.msync('mediaSanity', { local: 1 })).text(), '{"data":"OK","err":""}');
    // the one of before gets there once the user is idle
    assert.deepEqual(readdirSync(join(folder, 'base', 'ada', 'media')).filter((name) => name !== 'a.png'), []);
  });

  test('that names one entry of 100 MiB 25 times is refused', async () => {
    const meta = JSON.stringify(Array.from({ length: 25 }, (_, i) => [`${i}.bin`, '0']));
    const response = await ada.msync('uploadChanges', rawUpload(meta, [entry('0', Buffer.alloc(100 * MIB), { deflate: true })]));
    assert.deepEqual([response.status, response.text().split(':')[0]], [400, 'MEDIA_ZIP_INVALID']);
  });

  test('with sixty thousand entries, or that claims them, is refused', async () => {
    const many = rawUpload('[]', Array.from({ length: 60_000 }, (_, i) => entry(String(i), '')));
    for (const zip of [many, rawZip([entry('_meta', '[]')], { claimedEntries: 65_000 })]) {
      const response = await ada.msync('uploadChanges', zip);
      assert.deepEqual([response.status, response.text().split(':')[0]], [400, 'MEDIA_ZIP_INVALID']);
    }
  });

  test('within a media zip is a file like any other, and never opened', async () => {
    const inner = overlapping(Buffer.alloc(MIB), 5);
    assert.equal((await ada.msync('uploadChanges', uploadZip([['inner.zip', inner]]))).text(), '{"data":[1,2],"err":""}');
  });
});

test('after all of these nothing waits in the staging folders, and a request is answered', async () => {
  assert.equal((await ada.post('abort')).status, 200);
  const left = readdirSync(join(folder, 'base'), { recursive: true }).map(String).filter((name) => /(staging|incoming)\/./.test(name));
  assert.deepEqual(left, []);
  assert.ok(!server.lines.some((line) => /INTERNAL|THREAD_LOST/.test(line)));
});
