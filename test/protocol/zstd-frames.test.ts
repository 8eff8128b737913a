import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { rawContent, rawFrame, walkFrames } from '../../lib/protocol/zstd-frames.ts';
import { EMPTY_FRAME, EMPTY_FRAME_WITH_CHECKSUM, frameStart, skippableFrame, zstdSamples, type ZstdSample } from './zstd-samples.ts';

const NO_LIMIT = { maxUnpackedBytes: Number.MAX_SAFE_INTEGER };

interface Walk {
  frameBytes: number;
  code: string | null;
}

function walk(chunks: Uint8Array[], limits = NO_LIMIT): Walk {
  const walker = walkFrames(limits);
  let frameBytes = 0;
  for (const chunk of chunks) frameBytes += walker.push(chunk);
  return { frameBytes, code: walker.end()?.code ?? null };
}

function singleBytes(body: Buffer): Uint8Array[] {
  return Array.from(body, (_, at) => body.subarray(at, at + 1));
}

let samples: ZstdSample[];
let short: ZstdSample[];
before(async () => {
  samples = await zstdSamples();
  short = samples.filter((sample) => sample.frame.length < 200);
  assert.ok(short.length >= 10);
});

const TAILS: [string, Buffer, string | null][] = [
  ['nothing', Buffer.alloc(0), null],
  ['an empty frame', EMPTY_FRAME, null],
  ['an empty frame with a checksum', EMPTY_FRAME_WITH_CHECKSUM, null],
  ['a skippable frame', skippableFrame(9), null],
  ['a skippable frame of no bytes and two empty frames', Buffer.concat([skippableFrame(0), EMPTY_FRAME, EMPTY_FRAME]), null],
  ['one more byte', Buffer.from([0]), 'BODY_TRAILING_DATA'],
  ['garbage', Buffer.from('garbage after the frame'), 'BODY_TRAILING_DATA'],
  ['half an empty frame', EMPTY_FRAME.subarray(0, 6), 'BODY_TRAILING_DATA'],
  ['half a skippable frame', skippableFrame(9).subarray(0, 12), 'BODY_TRAILING_DATA'],
  ['a second frame with a byte in it', Buffer.from('28b52ffd200109000078', 'hex'), 'BODY_TRAILING_DATA'],
  ['garbage after an empty frame', Buffer.concat([EMPTY_FRAME, Buffer.from('x')]), 'BODY_TRAILING_DATA'],
];

describe('the end of a zstd frame', () => {
  for (const [tail, bytes, code] of TAILS) {
    test(`is found in every sample with ${tail} behind it`, () => {
      for (const { name, frame } of samples) {
        assert.deepEqual(walk([Buffer.concat([frame, bytes])]), { frameBytes: frame.length, code }, name);
      }
    });

    test(`is the same wherever the body is cut, with ${tail} behind it`, () => {
      for (const { name, frame } of short) {
        const body = Buffer.concat([frame, bytes]);
        const whole = { frameBytes: frame.length, code };
        assert.deepEqual(walk(singleBytes(body)), whole, name);
        for (let at = 0; at <= body.length; at++) assert.deepEqual(walk([body.subarray(0, at), body.subarray(at)]), whole, `${name} at ${at}`);
      }
    });
  }

  test('is found in large frames that arrive byte by byte', () => {
    for (const { name, frame } of samples) {
      const body = Buffer.concat([frame, EMPTY_FRAME]);
      assert.deepEqual(walk(singleBytes(body)), { frameBytes: frame.length, code: null }, name);
    }
  });

  test('is not there when a byte or more is missing', () => {
    for (const { name, frame } of short) {
      for (let bytes = 0; bytes < frame.length; bytes++) {
        assert.deepEqual(walk([frame.subarray(0, bytes)]), { frameBytes: bytes, code: 'BODY_TRUNCATED' }, `${name}, ${bytes} bytes`);
      }
    }
  });

  test('comes with the size that the frame tells, and a bound that holds', () => {
    for (const { name, frame, content } of samples) {
      const walker = walkFrames(NO_LIMIT);
      walker.push(frame);
      if (name.includes('with its size')) assert.equal(walker.contentBytes, content.length, name);
      if (name.includes('without size')) assert.equal(walker.contentBytes, undefined, name);
      assert.ok(walker.atMostBytes >= content.length, name);
      assert.deepEqual(zstdDecompressSync(frame), content, name);
    }
  });
});

describe('a body is refused', () => {
  const cases: [string, Buffer, string][] = [
    ['that is JSON', Buffer.from('{"v":11}'), 'BODY_NOT_ZSTD'],
    ['that is one byte of JSON', Buffer.from('1'), 'BODY_NOT_ZSTD'],
    ['that begins with a skippable frame', Buffer.concat([skippableFrame(3), EMPTY_FRAME]), 'BODY_NOT_ZSTD'],
    ['with the reserved bit of the frame header set', Buffer.from('28b52ffd0858010000', 'hex'), 'BODY_NOT_ZSTD'],
    ['with a block of the reserved type', Buffer.concat([frameStart(), Buffer.from([0x07, 0, 0])]), 'BODY_NOT_ZSTD'],
    ['with a block of more than 128 KiB', Buffer.concat([frameStart(), Buffer.from([0x01, 0x00, 0x20])]), 'BODY_NOT_ZSTD'],
    ['with a block larger than its window', Buffer.concat([frameStart(0x00), Buffer.from([0x09, 0x20, 0x00])]), 'BODY_NOT_ZSTD'],
    ['that needs a dictionary', Buffer.from('28b52ffd210701090000', 'hex'), 'BODY_INVALID'],
    ['with a window of 144 MiB', frameStart((17 << 3) | 1), 'BODY_INVALID'],
    ['with a window of 2 TiB', frameStart(0xff), 'BODY_INVALID'],
    ['that says it is larger than it can be', Buffer.from('28b52ffd200209000078', 'hex'), 'BODY_SIZE_WRONG'],
    ['that says it is smaller than it is', Buffer.from('28b52ffd20010800007809000078', 'hex'), 'BODY_SIZE_WRONG'],
  ];
  for (const [name, body, code] of cases) {
    test(name, () => {
      assert.equal(walk([body]).code, code);
      assert.equal(walk(singleBytes(body)).code, code);
    });
  }

  test('by its header alone when it says that it unpacks past the limit', () => {
    const walker = walkFrames({ maxUnpackedBytes: 999 });
    walker.push(Buffer.from('28b52ffd80580010000000', 'hex').subarray(0, 10));
    assert.equal(walker.fault?.code, 'BODY_TOO_LARGE');
    const sizeOf8Bytes = Buffer.concat([Buffer.from('28b52ffdc058', 'hex'), Buffer.alloc(8, 0xff)]);
    assert.equal(walk([sizeOf8Bytes]).code, 'BODY_TOO_LARGE');
  });

  test('but not for dictionary id 0, which means none', () => {
    assert.equal(walk([Buffer.from('28b52ffd21000109000078', 'hex')]).code, null);
  });
});

test('random bytes after any prefix of a frame never pass for a complete body', () => {
  let seed = 12345;
  const random = (below: number): number => (seed = (seed * 1103515245 + 12345) % 2147483648) % below;
  for (const { name, frame } of short) {
    for (let round = 0; round < 50; round++) {
      const noise = Buffer.from(Array.from({ length: 1 + random(40) }, () => random(256)));
      assert.equal(walk([Buffer.concat([frame, noise])]).code, 'BODY_TRAILING_DATA', name);
    }
  }
});

test('a frame of one raw block is what zstd unpacks to the same bytes, and is read without zstd', () => {
  for (const size of [0, 1, 255, 256, 257, 4096, 65_535, 65_536]) {
    const bytes = Buffer.from(Array.from({ length: size }, (_, at) => (at * 7) % 251));
    const frame = rawFrame(bytes);
    assert.deepEqual(zstdDecompressSync(frame), bytes);
    assert.deepEqual(walk([frame]), { frameBytes: frame.length, code: null });
    if (size < 256) assert.deepEqual(Buffer.from(rawContent(frame)!), bytes);
  }
});

test('what is read without zstd is what the walker passes and zstd reads', () => {
  let read = 0;
  for (const { frame, content } of short) {
    for (const body of [frame, frame.subarray(0, -1), Buffer.concat([frame, frame]), Buffer.concat([frame, Buffer.from([0])])]) {
      const raw = rawContent(body);
      if (raw === undefined) continue;
      read++;
      assert.deepEqual(walk([body]), { frameBytes: body.length, code: null });
      assert.deepEqual(Buffer.from(raw), Buffer.from(content));
    }
    // every damage of the head
    for (let at = 0; at < Math.min(9, frame.length); at++) {
      for (let value = 0; value < 256; value++) {
        const damaged = Buffer.from(frame);
        damaged[at] = value;
        const raw = rawContent(damaged);
        if (raw === undefined) continue;
        assert.equal(walk([damaged]).code, null);
        assert.deepEqual(Buffer.from(raw), zstdDecompressSync(damaged));
      }
    }
  }
  assert.ok(read > 0);
});
