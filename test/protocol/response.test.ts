import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { ERROR_STATUS, SyncError, type ErrorCode } from '../../lib/errors.ts';
import { ClientGone } from '../../lib/protocol/client-gone.ts';
import { errorResponse, fileResponse, packedResponse } from '../../lib/protocol/response.ts';
import { walkFrames } from '../../lib/protocol/zstd-frames.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anki-response-'));
});
after(() => rm(folder, { recursive: true }));

/** What a client reads: one frame, and not a byte after it. */
function unpacked(packed: Buffer): Buffer {
  const walker = walkFrames({ maxUnpackedBytes: Number.MAX_SAFE_INTEGER });
  assert.equal(walker.push(packed), packed.length, 'a second frame follows the first');
  assert.equal(walker.end(), null);
  return zstdDecompressSync(packed);
}

const SIZES = [0, 1, 17, 65_536, 65_537, 131_072, 131_073, 524_287, 524_288, 524_289, 1_048_576, 2_228_224, 4_194_304, 4_194_305, 5_000_001, 30_000_001];

function contentOf(bytes: number): Buffer {
  return Buffer.concat([randomBytes(bytes >> 1), Buffer.alloc(bytes - (bytes >> 1), 'note ')]);
}

describe('an answer from memory', () => {
  test('is one zstd frame with its original size for version 11', async () => {
    for (const bytes of SIZES) {
      const content = contentOf(bytes);
      const { status, headers, body } = await packedResponse(11, content);
      assert.equal(status, 200);
      assert.equal(headers['anki-original-size'], String(bytes));
      assert.equal(headers['content-type'], 'application/octet-stream');
      assert.equal(headers['content-encoding'], undefined);
      assert.ok(body instanceof Uint8Array);
      assert.equal(headers['content-length'], String(body.length));
      assert.ok(unpacked(Buffer.from(body)).equals(content));
    }
  });

  test('is the bare bytes below version 11', async () => {
    for (const version of [8, 9, 10] as const) {
      const { headers, body } = await packedResponse(version, '{"ü":1}');
      assert.equal(String(body), '{"ü":1}');
      assert.equal(headers['content-length'], '8');
      assert.equal(headers['anki-original-size'], undefined);
    }
  });

  test('to an upload is the bare text, packed like any other', async () => {
    const { headers, body } = await packedResponse(11, 'OK');
    assert.equal(unpacked(Buffer.from(body as Uint8Array)).toString(), 'OK');
    assert.equal(headers['anki-original-size'], '2');
  });

  test('is a whole collection as well, with its length, packed for version 11', async () => {
    for (const bytes of [1_000, 50_000, 3_000_000]) {
      const content = contentOf(bytes);
      const { headers, body } = await packedResponse(11, content, 'collection');
      assert.ok(unpacked(Buffer.from(body as Uint8Array)).equals(content));
      assert.equal(headers['anki-original-size'], String(bytes));
      assert.equal(headers['content-length'], String((body as Uint8Array).length));
      const bare = await packedResponse(10, content, 'collection');
      assert.ok(Buffer.from(bare.body as Uint8Array).equals(content));
      assert.equal(bare.headers['anki-original-size'], undefined);
    }
  });

  test('may neither be kept nor packed again on its way', async () => {
    assert.equal((await packedResponse(11, 'null')).headers['cache-control'], 'no-store, no-transform');
  });
});

describe('an answer from a file', () => {
  let files = 0;
  const fileOf = async (content: Buffer): Promise<{ path: string; bytes: number }> => {
    const path = join(folder, `file-${files++}`);
    await writeFile(path, content);
    return { path, bytes: content.length };
  };
  /** Counts, and waits for the first call. */
  const doneOnce = (): { done: () => void; called: Promise<void>; calls: () => number } => {
    let calls = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    return { done: () => { calls++; resolve(); }, called: promise, calls: () => calls };
  };

  test('is one zstd frame of exactly the file, at every size', async () => {
    for (const bytes of SIZES) {
      const content = contentOf(bytes);
      const { done, called } = doneOnce();
      const { headers, body } = await fileResponse(11, await fileOf(content), { done });
      assert.equal(headers['anki-original-size'], String(bytes));
      assert.equal(headers['content-length'], undefined);
      assert.ok(unpacked(Buffer.concat(await body.toArray())).equals(content), `${bytes} bytes`);
      await called;
    }
  });

  test('is the bare file with its length below version 11', async () => {
    for (const bytes of SIZES) {
      const content = contentOf(bytes);
      const { done, called } = doneOnce();
      const { headers, body } = await fileResponse(10, await fileOf(content), { done });
      assert.equal(headers['content-length'], String(bytes));
      assert.equal(headers['anki-original-size'], undefined);
      assert.ok(Buffer.concat(await body.toArray()).equals(content));
      await called;
    }
  });

  test('comes in pieces that are worth sending', async () => {
    const { body } = await fileResponse(11, await fileOf(randomBytes(8_000_000)));
    const pieces = (await body.toArray()) as Buffer[];
    const average = pieces.reduce((sum, piece) => sum + piece.length, 0) / pieces.length;
    assert.ok(average >= 65_536, `${average}`);
  });

  for (const version of [10, 11] as const) {
    test(`of version ${version} is not read ahead of its receiver, and closed when nobody reads it, reads on, or wants it any more`, async () => {
      for (const readPieces of [0, 1, 3]) {
        const { done, called, calls } = doneOnce();
        const { body } = await fileResponse(version, await fileOf(randomBytes(8_000_000)), { done });
        const iterator = body[Symbol.asyncIterator]();
        for (let i = 0; i < readPieces; i++) assert.equal((await iterator.next()).done, false);
        assert.equal(calls(), 0);
        body.destroy();
        await called;
        assert.equal(calls(), 1);
      }
    });

    test(`of version ${version} fails when the file becomes shorter, rather than end as if it were complete`, async () => {
      const { done, called, calls } = doneOnce();
      const file = await fileOf(randomBytes(8_000_000));
      const { body } = await fileResponse(version, file, { done });
      const iterator = body[Symbol.asyncIterator]();
      await iterator.next();
      await truncate(file.path, 4_000_000);
      await assert.rejects(async () => {
        while (!(await iterator.next()).done);
      }, /became shorter/);
      await called;
      assert.equal(calls(), 1);
    });
  }

  test('is refused before anything is sent when the file is missing or has another size', async () => {
    const { done, calls } = doneOnce();
    await assert.rejects(fileResponse(11, { path: join(folder, 'missing'), bytes: 1 }, { done }), { code: 'ENOENT' });
    const file = await fileOf(Buffer.from('12345'));
    await assert.rejects(fileResponse(11, { ...file, bytes: 4 }, { done }), /5 bytes instead of 4/);
    assert.equal(calls(), 2);
  });

  test('removes what it was told to, also when removing fails', async () => {
    const { body } = await fileResponse(11, await fileOf(randomBytes(10)), {
      done: async () => {
        throw new Error('disk gone');
      },
    });
    body.resume();
    await once(body, 'close');
  });
});

describe('an error', () => {
  const textOf = (error: unknown): string => String(errorResponse(error).body);

  test('has the status of its code, and below 500 tells code and message', () => {
    for (const code of Object.keys(ERROR_STATUS) as ErrorCode[]) {
      const response = errorResponse(new SyncError(code, 'words', { detail: 'DETAIL', cause: new Error('CAUSE') }));
      assert.equal(response.status, ERROR_STATUS[code]);
      assert.equal(String(response.body), response.status < 500 ? `${code}: words` : code);
      assert.equal(response.headers['content-type'], 'text/plain; charset=utf-8');
      assert.equal(response.headers['content-length'], String((response.body as Uint8Array).length));
      assert.equal(response.headers['anki-original-size'], undefined);
    }
  });

  test('of 503 says when to come again, and of 405 which method is right', () => {
    assert.equal(errorResponse(new SyncError('BUSY', '', { retryAfterSecs: 7 })).headers['retry-after'], '7');
    assert.equal(errorResponse(new SyncError('CLOSING', '')).headers['retry-after'], '5');
    assert.equal(errorResponse(new SyncError('SYNC_TAKEN_OVER', '')).headers['retry-after'], undefined);
    assert.equal(errorResponse(new SyncError('HTTP_METHOD_WRONG', '')).headers['allow'], 'POST');
  });

  test('that nobody foresaw tells nothing', () => {
    for (const error of [new Error('SECRET'), 'SECRET', null, undefined, { status: 403, code: 'SECRET' }]) {
      assert.equal(errorResponse(error).status, 500);
      assert.equal(textOf(error), 'INTERNAL');
    }
    assert.equal(errorResponse(new ClientGone(new Error('SECRET'))).status, 499);
  });
});
