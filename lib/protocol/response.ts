/** Results and errors → HttpResponse. */
import { open, type FileHandle } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { finished, Readable } from 'node:stream';
import { promisify } from 'node:util';
import { constants, createZstdCompress, zstdCompress, type ZstdCompress } from 'node:zlib';
import { SyncError } from '../errors.ts';
import type { HttpResponse } from '../http.ts';
import { packed, packingOptions, type Packed } from '../zstd.ts';
import { ClientGone } from './client-gone.ts';
import { SYNC_VERSIONS, type SyncVersion } from './version.ts';
import { rawFrame } from './zstd-frames.ts';

/** An encoder made for so little costs more than the bytes that it saves. */
const RAW_BYTES = 512;
/** Packing these takes less time than a trip to the thread pool. */
const SYNC_BYTES = 64 * 1024;
const READ_BYTES = 512 * 1024;
const PACKED_PIECE_BYTES = 256 * 1024;
/** Of files: the first is small, so that the answer begins at once, and the others have work for each thread. */
const FIRST_PIECE_BYTES = 128 * 1024;
const PIECE_BYTES = 2 * 1024 * 1024;
/** What a thread packs at a time. Smaller ones cost a percent of the size, and some of the time. */
const JOB_BYTES = PIECE_BYTES / 2;
/** Official clients read one frame only, so a second core can help within the frame alone. */
const PACKING_THREADS = availableParallelism() > 1 ? 2 : 0;

/**
 * Level 1, tuned to what collections are made of: of one of 40 MB, half the CPU time of level 3, and 4.5 % more bytes, where plain level 1
 * sends 13 % more.
 */
const COLLECTION_PACKING = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_minMatch]: 5, [constants.ZSTD_c_hashLog]: 15 };

const compress = promisify(zstdCompress);

/** Answers hold keys and cards: nothing on the way may keep them, or pack them again under a header that clients do not know. */
const CACHE_CONTROL = 'no-store, no-transform';

/**
 * An answer from memory: JSON text, a media zip, the bare text that answers an upload, or a small collection, as clients of this version
 * expect it. Version 11 refuses an answer without `anki-original-size`.
 */
export async function packedResponse(version: SyncVersion, result: Uint8Array | string, what: 'answer' | 'collection' = 'answer'): Promise<HttpResponse> {
  const bytes = typeof result === 'string' ? Buffer.from(result) : result;
  if (!SYNC_VERSIONS[version].zstdAnswer) return { status: 200, headers: headersOf(bytes.length), body: bytes };
  if (bytes.length <= RAW_BYTES) return zstdResponse({ data: rawFrame(bytes), unpackedBytes: bytes.length });
  if (bytes.length <= SYNC_BYTES) return zstdResponse(packed(bytes));
  const options = packingOptions(bytes.length);
  const data = await compress(bytes, what === 'collection' ? { ...options, params: COLLECTION_PACKING } : options);
  return zstdResponse({ data, unpackedBytes: bytes.length });
}

/** An answer that was packed where it was made. */
export function zstdResponse({ data: body, unpackedBytes }: Packed): HttpResponse {
  return { status: 200, headers: { ...headersOf(body.length), 'anki-original-size': String(unpackedBytes) }, body };
}

export interface FileResponseOptions {
  /** Called once the file is closed, however it came to that: sent, failed, or nobody there to read it. Removes a temp file. */
  done?: () => void | Promise<void>;
}

/**
 * An answer from a file, read and packed as fast as the client takes it, in memory of about 12 MiB whatever the size.
 * `body` is a Readable: whoever got the response destroys it if it is not read to the end.
 *
 * Rejects if the file cannot be opened or has another size than `bytes`, before anything is sent; `done` was called then.
 */
export async function fileResponse(
  version: SyncVersion,
  file: { path: string; bytes: number },
  options: FileResponseOptions = {},
): Promise<HttpResponse & { body: Readable }> {
  let handle: FileHandle | undefined;
  const done = async (): Promise<void> => {
    await handle?.close().catch(() => {});
    await options.done?.();
  };
  try {
    handle = await open(file.path, 'r');
    const { size } = await handle.stat();
    if (size !== file.bytes) throw new Error(`a file to be sent has ${size} bytes instead of ${file.bytes}`);
  } catch (error) {
    await done();
    throw error;
  }
  if (!SYNC_VERSIONS[version].zstdAnswer) {
    const body = Readable.from(piecesOf(handle, file.bytes, () => Buffer.allocUnsafeSlow(READ_BYTES)), { objectMode: false });
    closeWith(body, done);
    return { status: 200, headers: headersOf(file.bytes), body };
  }
  const body = createZstdCompress({
    chunkSize: PACKED_PIECE_BYTES,
    pledgedSrcSize: file.bytes,
    // With threads, a write that does not flush may come back before it took its input. Node's stream takes that for the end,
    // and cuts the frame short. A write that flushes comes back when everything is packed.
    flush: constants.ZSTD_e_flush,
    params: {
      ...COLLECTION_PACKING,
      [constants.ZSTD_c_nbWorkers]: PACKING_THREADS,
      ...(PACKING_THREADS > 0 ? { [constants.ZSTD_c_jobSize]: JOB_BYTES } : {}),
    },
  });
  const packing = packFile(handle, file.bytes, body);
  packing.catch((error: Error) => body.destroy(error));
  closeWith(body, async () => {
    await packing.catch(() => {});
    await done();
  });
  return { status: 200, headers: { ...headersOf(), 'anki-original-size': String(file.bytes) }, body };
}

/**
 * One write at a time, and the end only after the last one was taken: with writes still queued Node's compressor ends the
 * frame twice, and the second, empty frame stays unread in the client's connection.
 */
async function packFile(handle: FileHandle, bytes: number, compressor: ZstdCompress): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  const first = buffer.subarray(0, FIRST_PIECE_BYTES);
  let packedBytes = 0;
  for await (const piece of piecesOf(handle, bytes, (position) => (position === 0 ? first : buffer))) {
    await new Promise<void>((resolve, reject) => {
      // a compressor that is destroyed meanwhile never calls back
      const stop = (): void => reject(new Error('the answer is no longer wanted'));
      compressor.once('close', stop);
      compressor.write(piece, (error) => {
        compressor.off('close', stop);
        if (error) reject(error);
        else resolve();
      });
    });
    packedBytes += piece.length;
    if (compressor.bytesWritten !== packedBytes) throw new Error('the compressor did not take all of its input');
  }
  compressor.end();
}

/** `bufferAt` gives the memory for what stands at a position of the file. */
async function* piecesOf(handle: FileHandle, bytes: number, bufferAt: (position: number) => Buffer): AsyncGenerator<Buffer> {
  for (let position = 0; position < bytes; ) {
    const buffer = bufferAt(position);
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, bytes - position), position);
    if (bytesRead === 0) throw new Error('a file became shorter while it was sent');
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

function closeWith(body: Readable, done: () => Promise<void>): void {
  body.on('error', () => {}); // whoever reads the body sees it; without a reader nobody does
  finished(body, () => void done().catch(() => {}));
}

/**
 * Any error as an answer: below 500 the code and the message; from 500 on the code alone, since clients show the answer and
 * details of a failure are for the log. Whatever is no SyncError is INTERNAL.
 */
export function errorResponse(error: unknown): HttpResponse {
  if (error instanceof ClientGone) return textResponse(499, 'CLIENT_GONE'); // nobody is there to read it
  if (!(error instanceof SyncError)) return textResponse(500, 'INTERNAL');
  const headers: Record<string, string> = {};
  if (error.status === 503 || error.status === 429) headers['retry-after'] = String(error.retryAfterSecs);
  if (error.status === 405) headers['allow'] = 'POST';
  return textResponse(error.status, error.status < 500 ? `${error.code}: ${error.message}` : error.code, headers);
}

function textResponse(status: number, text: string, headers: Record<string, string> = {}): HttpResponse {
  const body = Buffer.from(text);
  return { status, headers: { ...headers, ...headersOf(body.length), 'content-type': 'text/plain; charset=utf-8' }, body };
}

function headersOf(contentLength?: number): Record<string, string> {
  return {
    'content-type': 'application/octet-stream',
    'cache-control': CACHE_CONTROL,
    ...(contentLength === undefined ? {} : { 'content-length': String(contentLength) }),
  };
}
