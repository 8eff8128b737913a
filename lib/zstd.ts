/** Texts and bytes ↔ zstd, at once: on the main side what is small, in the threads what is middling. */
import { constants, zstdCompressSync, type ZstdOptions } from 'node:zlib';

/** The level of Anki's own clients and server. */
export const DEFAULT_LEVEL = 3;
/** For what hardly packs: of lists of checksums, level 1 makes less than level 3 does, in half the time. */
export const FAST_LEVEL = 1;
/** Where texts are written before they are packed. Its pages are used again and again, where new memory costs as much as packing. */
const SCRATCH_BYTES = 1024 * 1024;
const MAX_BYTES_PER_CHAR = 3;

/** One whole frame that says its size, as clients ask for. */
export interface Packed {
  data: Uint8Array;
  unpackedBytes: number;
}

let scratch: Buffer | undefined;

/** Of text, the UTF-8. */
export function packed(content: string | Uint8Array, level = DEFAULT_LEVEL): Packed {
  const bytes = typeof content === 'string' ? utf8Of(content) : content;
  return { data: zstdCompressSync(bytes, packingOptions(bytes.length, level)), unpackedBytes: bytes.length };
}

export function packingOptions(unpackedBytes: number, level = DEFAULT_LEVEL): ZstdOptions {
  return {
    params: { [constants.ZSTD_c_compressionLevel]: level },
    pledgedSrcSize: unpackedBytes,
    // room for all of it, whatever it packs to: in Node's own pieces of 16 KiB it takes more than twice the time
    chunkSize: unpackedBytes + Math.ceil(unpackedBytes / 128) + 512,
  };
}

/** Good until the next text is packed. */
function utf8Of(text: string): Buffer {
  if (text.length * MAX_BYTES_PER_CHAR > SCRATCH_BYTES) return Buffer.from(text);
  scratch ??= Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  return scratch.subarray(0, scratch.write(text));
}
