import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { constants, zstdCompressSync } from 'node:zlib';
import { DEFAULT_BODY_LIMITS, type BodyLimits } from '../../lib/protocol/body-limits.ts';
import { receiveBody } from '../../lib/protocol/body-to-file.ts';
import { readEmptyBody, readJsonBody } from '../../lib/protocol/json-body.ts';
import { ClientGone } from '../../lib/protocol/client-gone.ts';
import { errorResponse } from '../../lib/protocol/response.ts';
import { inPieces, pieces, syncRequest } from './sync-requests.ts';
import { EMPTY_FRAME, frameStart, skippableFrame, ZEROS_BLOCK, zstdSamples, type ZstdSample } from './zstd-samples.ts';

const META = Buffer.from('{"v":11,"cv":"ü"}');
const LIMITS: BodyLimits = { ...DEFAULT_BODY_LIMITS };

let folder: string;
let files = 0;
const newPath = (): string => join(folder, `upload-${files++}`);
let samples: ZstdSample[];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anki-body-'));
  samples = await zstdSamples();
});
after(async () => {
  assert.deepEqual((await readdir(folder)).filter((name) => !name.startsWith('kept')), [], 'refused uploads leave nothing behind');
  await rm(folder, { recursive: true });
});

/** Both ways to read a body; each answers the unpacked bytes. */
const READERS: Record<string, (body: AsyncIterable<Uint8Array> | null, limits?: BodyLimits, headers?: Record<string, string>) => Promise<Buffer>> = {
  'into memory': async (body, limits = LIMITS, headers) => readJsonBody(await syncRequest('applyChunk', body, headers), limits),
  'into a file': async (body, limits = LIMITS, headers) => {
    const path = newPath();
    const received = await receiveBody(await syncRequest('upload', body, headers), path, limits);
    const content = await readFile(path);
    await rm(path);
    assert.equal(received.bytes, content.length);
    return content;
  },
};

const coded = (code: string) => (error: unknown) => {
  assert.equal((error as { code?: unknown }).code, code, String(error));
  return true;
};

async function* failing(...before: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* before;
  throw new Error('aborted');
}

/** Sends what it is given, and then nothing, for ever. */
async function* hanging(...before: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* before;
  await new Promise(() => {});
}

for (const [way, read] of Object.entries(READERS)) {
  describe(`a body read ${way}`, () => {
    test('is what any encoder packed, however it was cut on its way', async () => {
      for (const { name, frame, content } of samples) {
        if (content.length === 0 || (way === 'into memory' && !/text|meta|zeros/.test(name))) continue;
        for (const pieceBytes of [frame.length, 4096, 131_072, 1000]) {
          assert.ok((await read(inPieces(frame, pieceBytes))).equals(content), `${name} in pieces of ${pieceBytes}`);
        }
      }
    });

    test('is the same at every bound between two pieces', async () => {
      const frame = zstdCompressSync(META);
      for (let at = 0; at <= frame.length; at++) {
        assert.deepEqual(await read(pieces(frame.subarray(0, at), frame.subarray(at))), META);
      }
    });

    test('may end with an empty or a skippable frame', async () => {
      const frame = zstdCompressSync(META);
      for (const tail of [EMPTY_FRAME, skippableFrame(7000), Buffer.concat([skippableFrame(0), EMPTY_FRAME])]) {
        for (const pieceBytes of [1, 7, 1e6]) assert.deepEqual(await read(inPieces(Buffer.concat([frame, tail]), pieceBytes)), META);
      }
    });

    test('is refused when it goes on after its frame', async () => {
      const frame = zstdCompressSync(META);
      for (const tail of [Buffer.from('x'), Buffer.alloc(200_000, 1), frame, EMPTY_FRAME.subarray(0, 5)]) {
        for (const pieceBytes of [1, 5, 4096, 1e6]) {
          if (tail.length > 1000 && pieceBytes < 1000) continue;
          await assert.rejects(read(inPieces(Buffer.concat([frame, tail]), pieceBytes)), coded('BODY_TRAILING_DATA'));
        }
      }
    });

    test('is refused as truncated at every length but the full one', async () => {
      const frame = zstdCompressSync(META, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
      for (let bytes = 1; bytes < frame.length; bytes++) {
        await assert.rejects(read(pieces(frame.subarray(0, bytes))), coded('BODY_TRUNCATED'), `${bytes} bytes`);
      }
      const large = zstdCompressSync(Buffer.from(Array.from({ length: 400_000 }, (_, i) => 32 + ((i * i) >> 7) % 90)));
      await assert.rejects(read(inPieces(large.subarray(0, -1), 4096)), coded('BODY_TRUNCATED'));
    });

    test('is refused when it is not zstd, or damaged inside', async () => {
      await assert.rejects(read(pieces(META)), coded('BODY_NOT_ZSTD'));
      const frame = zstdCompressSync(META, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
      frame[frame.length - 1]! ^= 1;
      await assert.rejects(read(pieces(frame)), coded('BODY_NOT_ZSTD'));
      const text = samples.find((sample) => sample.name.startsWith('text, with a checksum'))!;
      const damaged = Buffer.from(text.frame).fill(0xff, 5000, 5400);
      for (const pieceBytes of [100, 4096, 1e6]) await assert.rejects(read(inPieces(damaged, pieceBytes)), coded('BODY_NOT_ZSTD'));
    });

    test('is refused when it lies about its size', async () => {
      await assert.rejects(read(pieces(Buffer.from('28b52ffd20020900007b', 'hex'))), coded('BODY_SIZE_WRONG'));
      const frame = Buffer.from(zstdCompressSync(Buffer.alloc(150, 'abcdefg')));
      frame[5]! -= 1;
      await assert.rejects(read(pieces(frame)), (error) => ['BODY_NOT_ZSTD', 'BODY_SIZE_WRONG'].includes((error as { code: string }).code));
    });

    test('is refused when it needs a dictionary or more than 128 MiB to unpack', async () => {
      await assert.rejects(read(pieces(Buffer.from('28b52ffd210701090000', 'hex'))), coded('BODY_INVALID'));
      await assert.rejects(read(pieces(frameStart(18 << 3))), coded('BODY_INVALID'));
    });

    test('passes at exactly the unpacked limit and not a byte above it', async () => {
      const limits = (bytes: number): BodyLimits => ({ ...LIMITS, maxUnpackedBytes: bytes, maxJsonBytes: bytes });
      const withSize = zstdCompressSync(Buffer.alloc(300_000));
      const withoutSize = Buffer.concat([frameStart(), ZEROS_BLOCK, ZEROS_BLOCK, Buffer.from([0x03, 0x3f, 0x01, 0x00])]);
      assert.equal((await read(pieces(withSize), limits(300_000))).length, 300_000);
      await assert.rejects(read(pieces(withSize), limits(299_999)), coded('BODY_TOO_LARGE'));
      const unpacked = (await read(pieces(withoutSize))).length;
      assert.ok(unpacked > 2 * 131_072);
      assert.equal((await read(pieces(withoutSize), limits(unpacked))).length, unpacked);
      await assert.rejects(read(pieces(withoutSize), limits(unpacked - 1)), coded('BODY_TOO_LARGE'));
    });

    test('passes at exactly the packed limit and not a byte above it', async () => {
      const frame = zstdCompressSync(META);
      const limits = (bytes: number): BodyLimits => ({ ...LIMITS, maxPackedBytes: bytes, maxJsonBytes: bytes });
      assert.deepEqual(await read(inPieces(frame, 5), limits(frame.length)), META);
      await assert.rejects(read(inPieces(frame, 5), limits(frame.length - 1)), coded('BODY_TOO_LARGE'));
    });

    test('is refused unread when its Content-Length is past the limit', async () => {
      const limits = { ...LIMITS, maxPackedBytes: 1000, maxJsonBytes: 1000 };
      await assert.rejects(read(hanging(), limits, { 'content-length': '1001' }), coded('BODY_TOO_LARGE'));
      const frame = zstdCompressSync(META);
      assert.deepEqual(await read(pieces(frame), limits, { 'content-length': String(frame.length) }), META);
    });

    test('is refused at once, also while its sender hangs', async () => {
      await assert.rejects(read(hanging(Buffer.from('not zstd'))), coded('BODY_NOT_ZSTD'));
      await assert.rejects(read(hanging(zstdCompressSync(META), Buffer.from('more'))), coded('BODY_TRAILING_DATA'));
    });

    test('whose sender goes away is told apart from a bad one', async () => {
      const frame = zstdCompressSync(META);
      await assert.rejects(read(failing()), ClientGone);
      await assert.rejects(read(failing(frame.subarray(0, 9))), ClientGone);
      await assert.rejects(read(failing(frame)), ClientGone);
    });

    test('is asked for once per piece, however slowly the pieces come', async () => {
      const frame = zstdCompressSync(META);
      let asked = 0;
      const slow: AsyncIterable<Uint8Array> = {
        [Symbol.asyncIterator]: () => ({
          next: async () => {
            const at = asked++;
            for (let turn = 0; turn < 20; turn++) await nextTurn();
            return at < frame.length ? { value: frame.subarray(at, at + 1), done: false } : { value: undefined, done: true };
          },
        }),
      };
      assert.deepEqual(await read(slow), META);
      assert.equal(asked, frame.length + 1);
    });

    test('is read to its end after a refusal, so that its sender sees the answer', async () => {
      let sent = 0;
      let stopped = false;
      const ended = Promise.withResolvers<void>();
      async function* sender(): AsyncGenerator<Uint8Array> {
        try {
          for (; sent < 300; sent++) {
            yield Buffer.alloc(1000, 'x');
            await nextTurn();
          }
          stopped = true;
        } finally {
          ended.resolve();
        }
      }
      await assert.rejects(read(sender()), coded('BODY_NOT_ZSTD'));
      await ended.promise;
      assert.equal(sent, 300);
      assert.equal(stopped, true);
    });

    test('that never ends is cut some time after its refusal', async () => {
      const cut = Promise.withResolvers<void>();
      async function* endless(): AsyncGenerator<Uint8Array> {
        const piece = Buffer.alloc(1024 * 1024, 'x');
        try {
          for (;;) {
            yield piece;
            await nextTurn();
          }
        } finally {
          cut.resolve();
        }
      }
      await assert.rejects(read(endless()), coded('BODY_NOT_ZSTD'));
      await cut.promise;
    });
  });
}

describe('a bomb', () => {
  test('is stopped at the unpacked limit while it goes on', async () => {
    const blocks = Buffer.concat(Array<Buffer>(16_384).fill(ZEROS_BLOCK));
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield frameStart();
      for (;;) {
        yield blocks;
        await nextTurn();
      }
    }
    const limits = { ...LIMITS, maxUnpackedBytes: 10_000_000, maxPackedBytes: 1e12 };
    await assert.rejects(receiveBody(await syncRequest('upload', endless()), newPath(), limits), coded('BODY_TOO_LARGE'));
  });

  test('of 60 KB in a login is refused without being unpacked past the limit', async () => {
    const bomb = Buffer.concat([frameStart(), ...Array<Buffer>(15_000).fill(ZEROS_BLOCK), Buffer.from([1, 0, 0])]);
    await assert.rejects(readJsonBody(await syncRequest('hostKey', pieces(bomb)), LIMITS), coded('BODY_TOO_LARGE'));
  });
});

describe('limits by method', () => {
  const noise = (bytes: number): Buffer => zstdCompressSync(Buffer.alloc(bytes, 0x20));
  test('a login and inputs of a fixed shape are small, chunks are JSON, media and collections have their own', async () => {
    const limits: BodyLimits = { maxSmallBytes: 100, maxJsonBytes: 200, maxMediaBytes: 300, maxPackedBytes: 1000, maxUnpackedBytes: 400 };
    for (const [url, max] of [['/sync/hostKey', 100], ['/sync/finish', 100], ['/msync/mediaChanges', 100], ['/sync/applyChunk', 200]] as const) {
      assert.equal((await readJsonBody(await syncRequest(url, pieces(noise(max))), limits)).length, max);
      await assert.rejects(readJsonBody(await syncRequest(url, pieces(noise(max + 1))), limits), coded('BODY_TOO_LARGE'), url);
    }
    for (const [url, max] of [['/msync/uploadChanges', 300], ['/sync/upload', 400]] as const) {
      const path = newPath();
      assert.equal((await receiveBody(await syncRequest(url, pieces(noise(max))), path, limits)).bytes, max);
      await rm(path);
      await assert.rejects(receiveBody(await syncRequest(url, pieces(noise(max + 1))), newPath(), limits), coded('BODY_TOO_LARGE'), url);
    }
  });
});

describe('a JSON body', () => {
  test('of no bytes is refused, and a login without one is told that credentials are expected', async () => {
    for (const body of [null, pieces(), pieces(Buffer.alloc(0))]) {
      await assert.rejects(readJsonBody(await syncRequest('meta', body), LIMITS), coded('BODY_TRUNCATED'));
    }
    await assert.rejects(readJsonBody(await syncRequest('hostKey', pieces()), LIMITS), (error) => {
      assert.equal((error as Error).message, 'expected auth');
      return coded('AUTH_EXPECTED')(error);
    });
  });

  test('that is not UTF-8 is refused', async () => {
    const body = pieces(zstdCompressSync(Buffer.from([0x7b, 0xff, 0x7d])));
    await assert.rejects(readJsonBody(await syncRequest('meta', body), LIMITS), coded('BODY_NOT_JSON'));
  });
});

describe('the body of a method without input', () => {
  const read = async (text: string): Promise<void> => readEmptyBody(await syncRequest('finish', pieces(zstdCompressSync(Buffer.from(text)))), LIMITS);
  test('is an empty object', async () => {
    for (const text of ['{}', ' { }\n', '[]']) await read(text);
  });
  test('is refused with an unknown field, or when it is no object', async () => {
    for (const text of ['{"a":1}', 'null', '1', '"{}"']) await assert.rejects(read(text), coded('BODY_INVALID'), text);
    for (const text of ['', '{', '{} x', '\ufeff{}']) await assert.rejects(read(text), coded('BODY_NOT_JSON'), text);
  });
});

describe('an upload', () => {
  test('of nothing is refused, packed or not', async () => {
    for (const body of [null, pieces(), pieces(EMPTY_FRAME), pieces(zstdCompressSync(Buffer.alloc(0)))]) {
      await assert.rejects(receiveBody(await syncRequest('upload', body), newPath(), LIMITS), coded('UPLOAD_EMPTY'));
    }
  });

  test('never overwrites a file', async () => {
    const path = join(folder, 'kept');
    await receiveBody(await syncRequest('upload', pieces(zstdCompressSync(META))), path, LIMITS);
    await assert.rejects(receiveBody(await syncRequest('upload', pieces(zstdCompressSync(Buffer.from('other')))), path, LIMITS), coded('EEXIST'));
    assert.deepEqual(await readFile(path), META);
  });

  test('leaves no file when it fails half-way', async () => {
    const path = newPath();
    const frame = zstdCompressSync(Buffer.from(Array.from({ length: 2_000_000 }, (_, i) => (i * i * 31) >> 5)));
    await assert.rejects(receiveBody(await syncRequest('upload', failing(frame.subarray(0, frame.length >> 1))), path, LIMITS), ClientGone);
    assert.equal(existsSync(path), false);
  });

  test('of many pieces arrives whole, and its packed size is told', async () => {
    const content = Buffer.concat([randomBytes(3_000_000), Buffer.alloc(3_000_000, 'cards '), randomBytes(700_001)]);
    const frame = zstdCompressSync(content);
    for (const pieceBytes of [4096, 65_536, 10_000_000]) {
      const path = newPath();
      const received = await receiveBody(await syncRequest('upload', inPieces(frame, pieceBytes)), path, LIMITS);
      assert.deepEqual(received, { bytes: content.length, packedBytes: frame.length });
      assert.ok((await readFile(path)).equals(content));
      await rm(path);
    }
  });
});

test('over HTTP a refused upload gets its answer while it is still being sent, and the connection lives on', async () => {
  const server = createServer((req: IncomingMessage, res) => {
    const answer = async (): Promise<void> => {
      try {
        const body = await receiveBody(await syncRequest('upload', req), newPath(), { ...LIMITS, maxPackedBytes: 100_000 });
        res.end(String(body.bytes));
      } catch (error) {
        const refusal = errorResponse(error);
        res.writeHead(refusal.status, refusal.headers).end(refusal.body);
      }
    };
    void answer();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const send = async (bytes: Buffer): Promise<void> => {
    if (!socket.write(Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]))) await once(socket, 'drain');
  };
  try {
    for (let round = 0; round < 2; round++) {
      const answered = once(socket, 'data') as Promise<[Buffer]>;
      socket.write(`POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`);
      const block = Buffer.concat([Buffer.from([0x00, 0x00, 0x10]), Buffer.alloc(131_072)]);
      await send(frameStart());
      await send(block);
      const [answer] = await answered;
      assert.match(answer.toString(), /^HTTP\/1.1 413 [^]*BODY_TOO_LARGE: /);
      for (let i = 0; i < 50; i++) await send(block);
      socket.write('0\r\n\r\n');
    }
  } finally {
    socket.destroy();
    server.closeAllConnections();
    server.close();
  }
});
