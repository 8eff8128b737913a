/** Collections and large media zips, unpacked into a file as they come. */
import { open, rm, type FileHandle } from 'node:fs/promises';
import { createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from 'node:zlib';
import { SyncError } from '../errors.ts';
import { limitsOf, type BodyLimits } from './body-limits.ts';
import { openBody, type BodySource } from './body-source.ts';
import { decodingError, isEndOfInput, isZstdError, trailingGzip } from './decoding-errors.ts';
import { diskError, writeAll } from './disk-writes.ts';
import type { SyncRequest } from './request.ts';
import { tooLarge, walkFrames, walkNothing, type FrameWalker } from './zstd-frames.ts';

/** Packed bytes handed to the decoder at a time: every call is a trip to the thread pool, and clients send 4 KiB pieces. */
const PACKED_PIECE_BYTES = 128 * 1024;
/** Size of the decoder's output buffers. */
const UNPACKED_PIECE_BYTES = 512 * 1024;
const WRITE_BYTES = 256 * 1024;

type Decoder = ZstdDecompress | Gunzip;

export interface ReceivedBody {
  /** Of the file. Never 0. */
  bytes: number;
  packedBytes: number;
}

/**
 * Streams and unpacks a body into a new file, which must not exist. Memory stays at about 2 MiB, whatever the size, plus
 * the window that the client chose: 2 MiB for Anki's clients, 128 MiB at most. The file is closed, not synced to disk, and
 * removed when this rejects. `begun` is what `receiveSmallBody` left of it.
 *
 * Throws what `readJsonBody` throws, BODY_TOO_LARGE as soon as a limit is passed, UPLOAD_EMPTY (400), DISK_FULL (503).
 */
export async function receiveBody(request: SyncRequest, path: string, limits: BodyLimits, begun?: BodySource): Promise<ReceivedBody> {
  const { maxPackedBytes, maxUnpackedBytes } = limitsOf(request.spec.bodyClass, limits);
  const source = begun ?? openBody(request.body, maxPackedBytes);
  let file: FileHandle;
  try {
    file = await open(path, 'wx', 0o600);
  } catch (error) {
    source.discard();
    throw diskError(error);
  }
  try {
    const received = request.body.packing === 'none'
      ? await copyToFile(source, file, maxUnpackedBytes)
      : await decodeToFile(source, file, request.body.packing ?? 'zstd', maxUnpackedBytes);
    await file.close();
    if (received.bytes === 0) throw new SyncError('UPLOAD_EMPTY', 'the upload is empty');
    return received;
  } catch (error) {
    source.discard();
    await file.close().catch(() => {});
    await rm(path, { force: true }).catch(() => {});
    throw error;
  }
}

async function copyToFile(source: BodySource, file: FileHandle, maxBytes: number): Promise<ReceivedBody> {
  for (let chunk = await source.next(); chunk !== null; chunk = await source.next()) {
    if (source.readBytes > maxBytes) throw tooLarge();
    await writeAll(file, [chunk]);
  }
  return { bytes: source.readBytes, packedBytes: source.readBytes };
}

async function decodeToFile(
  source: BodySource,
  file: FileHandle,
  packing: 'zstd' | 'gzip',
  maxUnpackedBytes: number,
): Promise<ReceivedBody> {
  const walker = packing === 'zstd' ? walkFrames({ maxUnpackedBytes }) : walkNothing(maxUnpackedBytes);
  const chunkSize = UNPACKED_PIECE_BYTES;
  const decoder = packing === 'zstd' ? createZstdDecompress({ chunkSize }) : createGunzip({ chunkSize });
  decoder.on('error', () => {}); // seen by whoever waits below
  const writing = writePieces(decoder, file, maxUnpackedBytes);
  try {
    // rejects at the first failure on either side, also while a sender hangs
    const [packedBytes, bytes] = await Promise.all([feedFrame(source, walker, decoder), writing]);
    const fault = walker.end();
    if (fault !== null) throw fault;
    if (packing === 'gzip' && decoder.bytesWritten !== packedBytes) throw trailingGzip();
    return { bytes, packedBytes };
  } catch (error) {
    decoder.destroy();
    // no write may be under way when the caller closes the file; what it failed with is known already
    await writing.catch(() => {});
    if (packing === 'gzip' && error instanceof DecoderStopped) throw trailingGzip();
    // the walker says it better, except that what comes after the frame does not matter when the frame is damaged
    const fault = isZstdError(error) && walker.fault?.code !== 'BODY_TRAILING_DATA' ? walker.fault : null;
    throw fault ?? (isEndOfInput(error) ? walker.end() : null) ?? decodingError(error);
  }
}

/** Feeds the decoder the first frame, in pieces whose bounds do not depend on how the body was cut on its way. Answers all bytes read. */
async function feedFrame(source: BodySource, walker: FrameWalker, decoder: Decoder): Promise<number> {
  // one is filled while the decoder works on the other
  const pieces = [Buffer.allocUnsafeSlow(PACKED_PIECE_BYTES), Buffer.allocUnsafeSlow(PACKED_PIECE_BYTES)] as const;
  let piece = 0;
  let filled = 0;
  let decoding: Promise<void> = Promise.resolve();

  const flush = async (): Promise<void> => {
    await decoding;
    decoding = writeTo(decoder, pieces[piece as 0 | 1].subarray(0, filled));
    decoding.catch(() => {}); // awaited before the next piece, and at the end
    piece = 1 - piece;
    filled = 0;
  };

  for (;;) {
    const chunk = await source.next();
    if (chunk === null) break;
    const frame = chunk.subarray(0, walker.push(chunk));
    for (let at = 0; at < frame.length; ) {
      const bytes = Math.min(PACKED_PIECE_BYTES - filled, frame.length - at);
      pieces[piece as 0 | 1].set(frame.subarray(at, at + bytes), filled);
      filled += bytes;
      at += bytes;
      if (filled === PACKED_PIECE_BYTES) await flush();
    }
    // what came before the fault is still decoded, so that the first thing wrong is the one that is told
    if (walker.fault !== null) break;
  }
  if (filled > 0) await flush();
  await decoding;
  if (source.readBytes === 0) throw new SyncError('UPLOAD_EMPTY', 'the upload is empty');
  decoder.end();
  return source.readBytes;
}

class DecoderStopped extends Error {}

async function writePieces(decoder: Decoder, file: FileHandle, maxBytes: number): Promise<number> {
  let bytes = 0;
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  const flush = async (): Promise<void> => {
    const pieces = waiting;
    waiting = [];
    waitingBytes = 0;
    await writeAll(file, pieces);
    pieces.forEach(release);
  };
  for await (const piece of decoder as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > maxBytes) throw tooLarge();
    waiting.push(piece);
    waitingBytes += piece.length;
    if (waitingBytes >= WRITE_BYTES) await flush();
  }
  if (waitingBytes > 0) await flush();
  // a decoder that stops before it has got everything never calls back for the rest
  if (!decoder.writableEnded) throw new DecoderStopped('the decoder ended before its input');
  return bytes;
}

/**
 * Gives an output buffer of the decoder back at once. Left to the garbage collector, buffers pile up to some 60 MiB during
 * a large upload. Only a buffer that the decoder has filled to its last byte: it goes on with a new one then.
 */
function release(piece: Buffer): void {
  const { buffer, byteOffset, byteLength } = piece;
  const filled = buffer.byteLength === UNPACKED_PIECE_BYTES && byteOffset + byteLength === buffer.byteLength;
  if (filled && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Resolves when the decoder has taken all of `piece`, which may be overwritten then. */
function writeTo(decoder: Decoder, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    decoder.write(piece, (error) => (error ? reject(error) : resolve()));
  });
}
