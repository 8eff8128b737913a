import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import type { Answer } from '../../lib/engine/calls.ts';
import { crossing, transferable } from '../../lib/engine/crossing.ts';
import { walkFrames } from '../../lib/protocol/zstd-frames.ts';

const LONG = '{"notes":"ü, и 水"}'.repeat(8_000);

/** As the main side gets it. */
function crossed(data: string | Uint8Array, packs: boolean): Answer {
  const answer = crossing({ kind: 'bytes', data }, packs);
  return structuredClone(answer, { transfer: transferable(answer) });
}

test('a large answer crosses as one packed frame where the client takes that, and as it is where it does not', () => {
  for (const content of [LONG, Buffer.from(LONG), 'x'.repeat(70_000), LONG.repeat(4)]) {
    const packed = crossed(content, true);
    assert.equal(packed.kind, 'packed');
    const { data, unpackedBytes } = packed as Extract<Answer, { kind: 'packed' }>;
    assert.equal(unpackedBytes, Buffer.byteLength(content));
    const walker = walkFrames({ maxUnpackedBytes: unpackedBytes });
    assert.equal(walker.push(data), data.length);
    assert.equal(walker.end(), null);
    assert.equal(walker.contentBytes, unpackedBytes);
    assert.ok(zstdDecompressSync(data).equals(Buffer.from(content as string)));

    const bare = crossed(content, false);
    assert.equal(bare.kind, 'bytes');
    assert.ok(Buffer.from((bare as { data: string }).data).equals(Buffer.from(content as string)));
  }
});

test('a packed answer stays what it is when the next one is packed', () => {
  const [one, other] = ['one '.repeat(40_000), 'two '.repeat(40_000)].map((text) => crossing({ kind: 'bytes', data: text }, true));
  const textOf = (answer: Answer | undefined): string => zstdDecompressSync((answer as { data: Uint8Array }).data).toString();
  assert.equal(textOf(one), 'one '.repeat(40_000));
  assert.equal(textOf(other), 'two '.repeat(40_000));
});

test('a short answer crosses as text, and more than a few MiB are left to the thread pool', () => {
  assert.deepEqual(crossed('null', true), { kind: 'bytes', data: 'null' });
  assert.equal(crossed('x'.repeat(5_000_000), true).kind, 'bytes');
});

test('what gives the memory of an answer back stays in the thread', () => {
  const release = (): void => {};
  for (const packs of [true, false]) {
    for (const data of ['null', new Uint8Array(100_000)]) {
      const answer = crossing({ kind: 'bytes', data, release }, packs);
      assert.equal('release' in structuredClone(answer, { transfer: transferable(answer) }), false);
    }
  }
});

test('a part of a buffer crosses without the rest of it', () => {
  for (const bytes of [10, 100_000]) {
    const part = new Uint8Array(new ArrayBuffer(1_000_000), 0, bytes).fill(7);
    const { data } = crossed(part, false) as { data: Uint8Array };
    assert.deepEqual(data, new Uint8Array(bytes).fill(7));
    assert.equal(data.buffer.byteLength, bytes);
    assert.equal(part.buffer.byteLength, 1_000_000, 'it stays with whoever made it');
  }
});
