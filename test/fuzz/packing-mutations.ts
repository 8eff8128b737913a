/** What may be wrong with the zstd or gzip of a body. */
import { constants, crc32, gzipSync, zstdCompressSync } from 'node:zlib';
import { EMPTY_FRAME, EMPTY_FRAME_WITH_CHECKSUM, frameStart, skippableFrame, ZEROS_BLOCK } from '../protocol/zstd-samples.ts';
import { stageMutations, type Draft, type Mutation } from './draft.ts';
import type { Random } from './random.ts';

const MIB = 1024 * 1024;
/** Past every limit of JSON and media; of a collection's on a server of the test, far from it. */
const bombs = { zstd: undefined as Buffer | undefined, gzip: undefined as Buffer | undefined };
const zstdBomb = (): Buffer => (bombs.zstd ??= zstdCompressSync(Buffer.alloc(140 * MIB)));
const gzipBomb = (): Buffer => (bombs.gzip ??= gzipSync(Buffer.alloc(140 * MIB), { level: 9 }));
/** A frame without its size, whose last block is missing or not. */
const zerosFrame = (blocks: number): Buffer => Buffer.concat([frameStart(), ...Array<Buffer>(blocks).fill(ZEROS_BLOCK), Buffer.from([3, 0, 16, 0])]);

const zstdOf = (draft: Draft, params: Record<number, number> = {}): Buffer => zstdCompressSync(draft.plain, { params });
const lie = (draft: Draft, size: (bytes: number) => bigint): void => {
  // magic, a descriptor of 8 size bytes and a window, then the blocks of the real frame
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0x58, 0, 0, 0, 0, 0, 0, 0, 0]);
  head.writeBigUInt64LE(BigInt.asUintN(64, size(draft.plain.length)), 6);
  const block = Buffer.alloc(3);
  block.writeUIntLE((Math.min(draft.plain.length, 65_536) << 3) | 1, 0, 3);
  draft.packed = Buffer.concat([head, block, draft.plain.subarray(0, 65_536)]);
};

export const ZSTD_MUTATIONS: Mutation[] = [
  ...stageMutations('zstd', {
    'an empty frame behind it': (draft, random) => append(draft, random.one([EMPTY_FRAME, EMPTY_FRAME_WITH_CHECKSUM])),
    'a skippable frame behind it': (draft, random) => append(draft, skippableFrame(random.one([0, 1, 3000]))),
    'many empty frames behind it': (draft) => append(draft, Buffer.concat(Array<Buffer>(2000).fill(EMPTY_FRAME))),
    'another level': (draft, random) => (draft.packed = zstdOf(draft, { [constants.ZSTD_c_compressionLevel]: random.one([-5, 1, 9, 19]) })),
    'a checksum': (draft) => (draft.packed = zstdOf(draft, { [constants.ZSTD_c_checksumFlag]: 1 })),
    'without its size': (draft) => (draft.packed = zstdOf(draft, { [constants.ZSTD_c_contentSizeFlag]: 0 })),
    'bytes changed': (draft, random) => {
      for (let i = 1 + random.below(4); i > 0 && draft.packed.length > 0; i--) draft.packed[random.below(draft.packed.length)] = random.below(256);
    },
    'a byte of its head changed': (draft, random) => void (draft.packed[4 + random.below(4)] = random.below(256)),
    'a true size in eight bytes': (draft) => {
      if (draft.plain.length <= 65_536) lie(draft, (bytes) => BigInt(bytes));
    },
  }),
  ...stageMutations('zstd', {
    'nothing': (draft) => (draft.packed = Buffer.alloc(0)),
    'cut': (draft, random) => (draft.packed = draft.packed.subarray(0, random.below(Math.max(1, draft.packed.length)))),
    'not packed': (draft) => (draft.packed = Buffer.concat([Buffer.from(' '), draft.plain])),
    'gzip': (draft) => (draft.packed = gzipSync(draft.plain)),
    'two frames': (draft) => append(draft, zstdCompressSync('{}')),
    'something behind it': (draft, random) => append(draft, random.bytes(1 + random.below(9))),
    'half a skippable frame behind it': (draft) => append(draft, skippableFrame(500).subarray(0, 200)),
    'a skippable frame before it': (draft) => (draft.packed = Buffer.concat([skippableFrame(4), draft.packed])),
    'a dictionary': (draft, random) => {
      const named = Buffer.from(draft.packed);
      named[4] = named[4]! | 1;
      draft.packed = Buffer.concat([named.subarray(0, 5), Buffer.from([1 + random.below(255)]), named.subarray(5)]);
    },
    'a size that lies': (draft, random) => lie(draft, (bytes) => random.one([BigInt(bytes) + 1n, BigInt(bytes) - 1n, 2n ** 40n, 2n ** 63n, 2n ** 64n - 1n])),
    'a checksum that is wrong': (draft) => {
      draft.packed = zstdOf(draft, { [constants.ZSTD_c_checksumFlag]: 1 });
      draft.packed[draft.packed.length - 1]! ^= 255;
    },
    'a window of terabytes': (draft, random) => (draft.packed = Buffer.concat([frameStart(random.one([0xa0, 0xd0, 0xff])), Buffer.from([1, 0, 0])])),
    'blocks without an end': (draft, random) => (draft.packed = zerosFrame(random.one([1, 20])).subarray(0, -4)),
    'a block of a kind that is reserved': (draft) => (draft.packed = Buffer.concat([frameStart(), Buffer.from([7, 0, 0, 0])])),
    'noise': (draft, random) => (draft.packed = random.bytes(1 + random.below(500))),
  }, { refused: true }),
  ...stageMutations('zstd', {
    'a bomb': (draft) => (draft.packed = zstdBomb()),
    'a bomb that does not tell its size': (draft) => (draft.packed = zerosFrame(1200)),
  }, { refused: true, rare: true, only: (method) => method !== 'upload' }),
];

export const GZIP_MUTATIONS: Mutation[] = [
  ...stageMutations('gzip', {
    'another level': (draft, random) => pack(draft, gzipSync(draft.plain, { level: random.one([0, 1, 9]) })),
    'a name in its head': (draft) => {
      const bytes = gzipSync(draft.plain);
      bytes[3] = 8;
      pack(draft, Buffer.concat([bytes.subarray(0, 10), Buffer.from('name\0'), bytes.subarray(10)]));
    },
    'bytes changed': (draft, random) => {
      pack(draft, gzipSync(draft.plain));
      for (let i = 1 + random.below(4); i > 0; i--) draft.packed[random.below(draft.packed.length)] = random.below(256);
    },
    'two members': (draft) => pack(draft, Buffer.concat([gzipSync(draft.plain), gzipSync('')])),
    'an odd flag': (draft, random) => (draft.gzipFlag = random.one(['', '2', 'true', 'x', '00', ' 1', '1'.repeat(3000)])),
    'nothing': (draft) => (draft.packed = Buffer.alloc(0)),
  }),
  ...stageMutations('gzip', {
    'cut': (draft, random) => pack(draft, gzipSync(draft.plain).subarray(0, -1 - random.below(9))),
    'something behind it': (draft, random) => pack(draft, Buffer.concat([gzipSync(draft.plain), Buffer.from([7]), random.bytes(1 + random.below(20))])),
    'a wrong checksum': (draft) => {
      pack(draft, gzipSync(draft.plain));
      draft.packed.writeUInt32LE((crc32(draft.plain) ^ 1) >>> 0, draft.packed.length - 8);
    },
    'not packed, though it says so': (draft) => {
      draft.packed = Buffer.concat([Buffer.from(' '), draft.plain]);
      draft.gzipFlag = '1';
    },
    'packed, though it says not': (draft) => {
      draft.packed = gzipSync(draft.plain);
      draft.gzipFlag = '0';
    },
    'zstd': (draft) => pack(draft, zstdCompressSync(draft.plain)),
  }, { refused: true }),
  ...stageMutations('gzip', { 'a bomb': (draft) => pack(draft, gzipBomb()) }, { refused: true, rare: true, only: (method) => method !== 'upload' }),
];

function pack(draft: Draft, bytes: Buffer): void {
  draft.packed = bytes;
  draft.gzipFlag = '1';
}

function append(draft: Draft, bytes: Buffer): void {
  draft.packed = Buffer.concat([draft.packed, bytes]);
}

/** For requests that are as they should be. */
export function packedAsUsual(draft: Draft, random: Random): void {
  if (draft.envelope === 'header') {
    draft.packed = zstdCompressSync(draft.plain);
  } else if (random.chance(50)) {
    pack(draft, gzipSync(draft.plain, { level: 1 }));
  } else {
    draft.packed = draft.plain;
    draft.gzipFlag = '0';
  }
}
