/**
 * Finds where the first zstd frame of a body ends (RFC 8878), without unpacking it.
 *
 * Node's decoder cannot be trusted with that: it ignores garbage after a frame, and a second frame is decoded by some
 * versions and silently dropped by others. The walker looks at the frame header and at three bytes per block, and skips the rest.
 */
import { SyncError } from '../errors.ts';

export interface FrameLimits {
  /** Of what the frame says it unpacks to. */
  maxUnpackedBytes: number;
}

export interface FrameWalker {
  /** Takes the next bytes of the body and answers how many of them, from the start, belong to the first frame. */
  push(chunk: Uint8Array): number;
  /** What is wrong with the bytes so far; bytes that came before it may still be decoded. Nothing is looked at after it. */
  readonly fault: SyncError | null;
  /** Called after the last byte: the fault, or BODY_TRUNCATED when the first frame is not complete. */
  end(): SyncError | null;
  /** Unpacked size as the frame header says, if it does. */
  readonly contentBytes: number | undefined;
  /** The blocks seen so far cannot unpack to more than this. */
  readonly atMostBytes: number;
}

/** Window of 128 MiB and a byte: the limit of zstd's own decoders, the official server's among them. */
const MAX_WINDOW_BYTES = 2 ** 27 + 1;
/** The descriptor of 128 MiB. */
const LARGEST_WINDOW = 0x88;
const MAX_BLOCK_BYTES = 128 * 1024;
const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
/** Window, dictionary id and content size at their longest. */
const LONGEST_FIELDS = 13;

/** After the first frame only empty and skippable frames are legal: some encoders end with one. */
export function walkFrames(limits: FrameLimits): FrameWalker {
  const gathered = new Uint8Array(LONGEST_FIELDS);
  const view = new DataView(gathered.buffer);
  let gatheredBytes = 0;
  let neededBytes = 4;
  let skipBytes = 0;
  let next: () => void = magic;
  let inFirstFrame = true;
  let betweenFrames = true;
  let frameEnding = false;
  let fault: SyncError | null = null;

  let contentBytes: number | undefined;
  let blockLimit = MAX_BLOCK_BYTES;
  let hasChecksum = false;
  let atLeastBytes = 0;
  let atMostBytes = 0;

  /** `then` runs once the next `bytes` bytes are in `gathered`. */
  function gather(bytes: number, then: () => void): void {
    gatheredBytes = 0;
    neededBytes = bytes;
    next = then;
  }

  function fail(error: SyncError): void {
    fault ??= inFirstFrame ? error : new SyncError('BODY_TRAILING_DATA', 'the body goes on after its zstd frame');
  }

  function magic(): void {
    const value = view.getUint32(0, true);
    betweenFrames = false;
    if (value === MAGIC) gather(1, descriptor);
    else if (!inFirstFrame && (value & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) gather(4, skippable);
    else fail(notZstd());
  }

  function skippable(): void {
    skipBytes = view.getUint32(0, true);
    frameEnds();
  }

  function descriptor(): void {
    const flags = gathered[0]!;
    const singleSegment = (flags & 0x20) !== 0;
    const windowBytes = singleSegment ? 0 : 1;
    const dictionaryBytes = [0, 1, 2, 4][flags & 3]!;
    const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][flags >> 6]!;
    hasChecksum = (flags & 0x04) !== 0;
    if ((flags & 0x08) !== 0) return fail(notZstd());

    const fields = (): void => {
      const content = littleEndian(view, windowBytes + dictionaryBytes, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
      const window = singleSegment ? content : windowSize(gathered[0]!);
      if (littleEndian(view, windowBytes, dictionaryBytes) !== 0) {
        return fail(new SyncError('BODY_INVALID', 'the zstd frame needs a dictionary'));
      }
      if (inFirstFrame) {
        contentBytes = sizeBytes > 0 ? content : undefined;
        if (sizeBytes > 0 && content > limits.maxUnpackedBytes) return fail(tooLarge());
      } else if (content > 0) {
        return fail(notZstd());
      }
      if (window > MAX_WINDOW_BYTES) return fail(new SyncError('BODY_INVALID', 'the window of the zstd frame is larger than 128 MiB'));
      blockLimit = Math.min(window, MAX_BLOCK_BYTES);
      gather(3, block);
    };
    gather(windowBytes + dictionaryBytes + sizeBytes, fields);
  }

  function block(): void {
    const header = gathered[0]! | (gathered[1]! << 8) | (gathered[2]! << 16);
    const last = (header & 1) !== 0;
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type === 3 || size > blockLimit) return fail(notZstd());
    // an empty frame has raw or run-length blocks of no bytes; whether a compressed block is empty only a decoder knows
    if (!inFirstFrame && (type === 2 || size > 0)) return fail(notZstd());
    atMostBytes += type === 2 ? blockLimit : size;
    atLeastBytes += type === 2 ? 0 : size;
    skipBytes = (type === 1 ? 1 : size) + (last && hasChecksum ? 4 : 0);
    if (last) frameEnds();
    else gather(3, block);
  }

  /** The frame is over once `skipBytes` are. */
  function frameEnds(): void {
    frameEnding = true;
    gather(4, magic);
    if (inFirstFrame && contentBytes !== undefined && (contentBytes < atLeastBytes || contentBytes > atMostBytes)) {
      fail(new SyncError('BODY_SIZE_WRONG', 'the zstd frame does not unpack to the size that it says'));
    }
  }

  return {
    push(chunk) {
      let at = 0;
      let ofFirstFrame = 0;
      while (at < chunk.length && fault === null) {
        const wasFirst = inFirstFrame;
        if (skipBytes > 0) {
          const bytes = Math.min(skipBytes, chunk.length - at);
          skipBytes -= bytes;
          at += bytes;
        } else {
          const bytes = Math.min(neededBytes - gatheredBytes, chunk.length - at);
          gathered.set(chunk.subarray(at, at + bytes), gatheredBytes);
          gatheredBytes += bytes;
          at += bytes;
          if (gatheredBytes === neededBytes) next();
        }
        if (frameEnding && skipBytes === 0) {
          frameEnding = false;
          inFirstFrame = false;
          betweenFrames = true;
        }
        if (wasFirst) ofFirstFrame = at;
      }
      return ofFirstFrame;
    },
    end() {
      if (fault !== null) return fault;
      if (!inFirstFrame) {
        if (!betweenFrames || gatheredBytes > 0) fail(notZstd());
      } else {
        const otherMagic = betweenFrames && !startsLikeMagic(gathered, gatheredBytes);
        fault = otherMagic ? notZstd() : new SyncError('BODY_TRUNCATED', 'the body ended too early');
      }
      return fault;
    },
    get fault() {
      return fault;
    },
    get contentBytes() {
      return contentBytes;
    },
    get atMostBytes() {
      return atMostBytes;
    },
  };
}

/** Gzip has no frames to look after: its decoder sees damage and truncation itself. */
export function walkNothing(maxUnpackedBytes: number): FrameWalker {
  return { push: (chunk) => chunk.length, fault: null, end: () => null, contentBytes: undefined, atMostBytes: maxUnpackedBytes };
}

/**
 * What is in a body of one frame with one block that holds it as it is: clients pack short texts so. Undefined for any other body,
 * sound or not: it takes a walker and a decoder.
 */
export function rawContent(body: Uint8Array): Uint8Array | undefined {
  if (body.length < 9 || body[0] !== 0x28 || body[1] !== 0xb5 || body[2] !== 0x2f || body[3] !== 0xfd) return undefined;
  const flags = body[4]!;
  // a size of more than a byte, a checksum, a dictionary or a reserved bit
  if ((flags & 0xdf) !== 0) return undefined;
  const contentBytes = body.length - 9;
  const isLastAndRaw = (body[6]! & 7) === 1;
  const blockBytes = (body[6]! | (body[7]! << 8) | (body[8]! << 16)) >> 3;
  const isSingleSegment = flags === 0x20;
  // the byte after the flags is the size, or else the window
  if (!isLastAndRaw || blockBytes !== contentBytes) return undefined;
  if (isSingleSegment ? body[5] !== contentBytes : body[5]! > LARGEST_WINDOW || contentBytes > 1024) return undefined;
  return body.subarray(9);
}

/** A frame of one raw block with `bytes` in it, of which there are at most 64 KiB. */
export function rawFrame(bytes: Uint8Array): Uint8Array {
  // single segment with a content size of one byte, or of two, which count from 256
  const sizeBytes = bytes.length < 256 ? 1 : 2;
  const frame = Buffer.allocUnsafe(8 + sizeBytes + bytes.length);
  frame.writeUInt32LE(MAGIC);
  frame[4] = sizeBytes === 1 ? 0x20 : 0x60;
  frame.writeUIntLE(sizeBytes === 1 ? bytes.length : bytes.length - 256, 5, sizeBytes);
  frame.writeUIntLE((bytes.length << 3) | 1, 5 + sizeBytes, 3);
  frame.set(bytes, 8 + sizeBytes);
  return frame;
}

function notZstd(): SyncError {
  return new SyncError('BODY_NOT_ZSTD', 'the body is not a zstd frame');
}

/** Of a packed or unpacked body. Where the protocol has words of its own for it, the caller answers with those. */
export function tooLarge(): SyncError {
  return new SyncError('BODY_TOO_LARGE', 'the body exceeds the size limit');
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function littleEndian(view: DataView, offset: number, bytes: number): number {
  if (bytes === 0) return 0;
  if (bytes === 1) return view.getUint8(offset);
  if (bytes === 2) return view.getUint16(offset, true);
  if (bytes === 4) return view.getUint32(offset, true);
  return Number(view.getBigUint64(offset, true));
}

function startsLikeMagic(bytes: Uint8Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (bytes[i] !== ((MAGIC >>> (8 * i)) & 0xff)) return false;
  return true;
}
