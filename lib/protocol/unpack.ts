/** Packed bytes in memory → what they hold, in memory. */
import { promisify } from 'node:util';
import { gunzip, zstdDecompress, zstdDecompressSync, type Gunzip, type ZlibOptions } from 'node:zlib';
import { MAX_SMALL_ZIP_BYTES } from './body-limits.ts';
import { trailingGzip } from './decoding-errors.ts';
import type { FrameWalker } from './zstd-frames.ts';

/** Bodies that are small before and after unpacking cost less than a trip to the thread pool. */
const SYNC_PACKED_BYTES = 16 * 1024;
const SYNC_UNPACKED_BYTES = 256 * 1024;

const decompress = promisify(zstdDecompress);
const unzip = promisify<Buffer, ZlibOptions, Buffer>(gunzip);

export async function unpack(packed: Buffer, walker: FrameWalker, maxUnpackedBytes: number): Promise<Buffer> {
  const expectedBytes = walker.contentBytes ?? walker.atMostBytes;
  const options = {
    maxOutputLength: Math.max(1, maxUnpackedBytes),
    // one output buffer where it is known how large it must be, and a byte more, since a full one means another round
    chunkSize: Math.min(Math.max(expectedBytes + 1, 1024), MAX_SMALL_ZIP_BYTES + 1),
  };
  if (packed.length <= SYNC_PACKED_BYTES && walker.atMostBytes <= SYNC_UNPACKED_BYTES) return zstdDecompressSync(packed, options);
  return decompress(packed, options);
}

export async function ungzip(packed: Buffer, maxUnpackedBytes: number): Promise<Buffer> {
  const options = { maxOutputLength: Math.max(1, maxUnpackedBytes), info: true };
  // with `info` also the decoder, which counts what it took; the types do not know
  const { buffer, engine } = (await unzip(packed, options)) as unknown as { buffer: Buffer; engine: Gunzip };
  if (engine.bytesWritten !== packed.length) throw trailingGzip();
  return buffer;
}
