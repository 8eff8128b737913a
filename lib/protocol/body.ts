/** The body of a request, unpacked: small ones in memory, collections and media into a file. */
import { isUtf8 } from 'node:buffer';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import {
  createGunzip,
  createZstdDecompress,
  gunzip,
  zstdDecompress,
  zstdDecompressSync,
  type Gunzip,
  type ZlibOptions,
  type ZstdDecompress,
} from 'node:zlib';
import { SyncError } from '../errors.ts';
import { isFailingDisk, isFullDisk } from '../full-disk.ts';
import { ClientGone } from './client-gone.ts';
import type { BodyClass } from './methods.ts';
import type { PackedBody, SyncRequest } from './request.ts';
import { rawContent, tooLarge, walkFrames, type FrameWalker } from './zstd-frames.ts';

/** Counted in bytes; a body of exactly the limit passes. */
export interface BodyLimits {
  /** A collection upload on the wire. The official server's is `MAX_SYNC_PAYLOAD_MEGS`, 100 MiB by default. */
  maxPackedBytes: number;
  /** A collection upload as a file. The official server's is three times the packed one. */
  maxUnpackedBytes: number;
  /** A media zip, on the wire and unpacked: 25 files, ended by the first one past 2.5 MiB, of at most 100 MiB. */
  maxMediaBytes: number;
  /** A JSON body, on the wire and unpacked. It is held in memory, and a chunk carries 250 notes of any length. */
  maxJsonBytes: number;
  /** What anybody may send without an account, and inputs of a fixed shape. */
  maxSmallBytes: number;
}

/** The unpacked collection stays below 4 GiB, since clients read `anki-original-size` as 32 bits. */
export const DEFAULT_BODY_LIMITS: Readonly<BodyLimits> = {
  maxPackedBytes: 2 * 1024 ** 3,
  maxUnpackedBytes: 4 * 1024 ** 3 - 64 * 1024 ** 2,
  maxMediaBytes: 128 * 1024 ** 2,
  maxJsonBytes: 64 * 1024 ** 2,
  maxSmallBytes: 64 * 1024,
};

/** Packed bytes handed to the decoder at a time: every call is a trip to the thread pool, and clients send 4 KiB pieces. */
const PACKED_PIECE_BYTES = 128 * 1024;
/** Size of the decoder's output buffers. */
const UNPACKED_PIECE_BYTES = 512 * 1024;
const WRITE_BYTES = 256 * 1024;
/** Bodies that are small before and after unpacking cost less than a trip to the thread pool. */
const SYNC_PACKED_BYTES = 16 * 1024;
const SYNC_UNPACKED_BYTES = 256 * 1024;
/**
 * What is still read of a refused body, so that the client, which looks for an answer only once it has sent its body, gets
 * to see the answer. Past that the connection is cut.
 */
const DISCARD_BYTES = 64 * 1024 ** 2;

const decompress = promisify(zstdDecompress);
const unzip = promisify<Buffer, ZlibOptions, Buffer>(gunzip);

type Decoder = ZstdDecompress | Gunzip;

/**
 * Reads and unpacks a body into memory, and checks that it is UTF-8. Parsing is the reader's.
 *
 * Throws BODY_NOT_ZSTD, BODY_TRUNCATED, BODY_TRAILING_DATA, BODY_SIZE_WRONG, BODY_INVALID, BODY_NOT_JSON (400),
 * BODY_TOO_LARGE (413), AUTH_EXPECTED (400, a login without a body), ClientGone.
 */
export async function readJsonBody(request: SyncRequest, limits: BodyLimits): Promise<Buffer> {
  const { maxPackedBytes, maxUnpackedBytes } = limitsOf(request.spec.bodyClass, limits);
  const { packing, bytes } = request.body;
  const arrived = await bytes?.arrived?.();
  const isRaw = arrived !== undefined && (packing ?? 'zstd') === 'zstd' && arrived.length <= Math.min(maxPackedBytes, maxUnpackedBytes);
  const raw = isRaw ? rawContent(arrived) : undefined;
  const json = raw === undefined ? await readPacked(request, arrived, maxPackedBytes, maxUnpackedBytes) : bufferOf(raw);
  if (!isUtf8(json)) throw new SyncError('BODY_NOT_JSON', 'the body is not UTF-8');
  return json;
}

async function readPacked(
  request: SyncRequest,
  arrived: Uint8Array | undefined,
  maxPackedBytes: number,
  maxUnpackedBytes: number,
): Promise<Buffer> {
  const { packing } = request.body;
  const { packed, walker } = await collect(request, arrived, maxPackedBytes, maxUnpackedBytes);
  try {
    if (packing === 'none') return packed;
    if (packing === 'gzip') return await ungzip(packed, maxUnpackedBytes);
    return await unpack(packed, walker, maxUnpackedBytes);
  } catch (error) {
    throw decodingError(error);
  }
}

/** For methods without input, which are sent `{}` or, by clients in Rust, `{"_pad":null}`. An unknown field is refused as the official server does, since it may mean something. */
export async function readEmptyBody(request: SyncRequest, limits: BodyLimits): Promise<void> {
  const text = (await readJsonBody(request, limits)).toString();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new SyncError('BODY_NOT_JSON', 'the body is not JSON');
  }
  if (typeof value !== 'object' || value === null || Object.keys(value).some((key) => key !== '_pad')) {
    throw new SyncError('BODY_INVALID', 'the method takes no input');
  }
}

/** Whether a body has not a single byte on the wire. Reads no further than to the first one, and lets the rest go by. */
export async function isEmptyBody(body: PackedBody): Promise<boolean> {
  const source = openBody(body, Infinity);
  for (let chunk = await source.next(); chunk !== null; chunk = await source.next()) {
    if (chunk.length === 0) continue;
    source.discard();
    return false;
  }
  return true;
}

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

/**
 * Receives and unpacks a body in memory if it is small, sound, zstd, and not too many others are in memory already. Any other is left to
 * `receiveBody`, which takes what was read so far from `begun`, and finds what is wrong with it.
 *
 * Throws BODY_TOO_LARGE, ClientGone.
 */
export async function receiveSmallBody(
  request: SyncRequest,
  limits: BodyLimits,
): Promise<{ bytes: Uint8Array } | { bytes?: undefined; begun: BodySource }> {
  const { maxPackedBytes, maxUnpackedBytes } = limitsOf(request.spec.bodyClass, limits);
  const source = openBody(request.body, maxPackedBytes);
  if ((request.body.packing ?? 'zstd') !== 'zstd' || smallBodies >= MAX_SMALL_BODIES) return { begun: source };
  smallBodies += 1;
  const gathered = new GatheredBytes();
  try {
    const walker = walkFrames({ maxUnpackedBytes });
    let frameBytes = 0;
    for (let chunk = await source.next(); chunk !== null; chunk = await source.next()) {
      frameBytes += walker.push(chunk);
      gathered.add(chunk);
      const isSmall = gathered.bytes <= MAX_SMALL_BYTES && walker.atMostBytes <= MAX_SMALL_BYTES;
      if (!isSmall || walker.fault !== null) return { begun: startingWith(gathered.take(), source) };
    }
    if (walker.end() === null) {
      const unpacked = await unpack(gathered.whole().subarray(0, frameBytes), walker, maxUnpackedBytes).catch(() => undefined);
      if (unpacked !== undefined && unpacked.length > 0) return { bytes: unpacked };
    }
    return { begun: startingWith(gathered.take(), source) };
  } catch (error) {
    source.discard();
    throw error;
  } finally {
    gathered.release();
    smallBodies -= 1;
  }
}

/** Of a media zip: clients stop adding to it past 2.5 MiB. */
const MAX_SMALL_BYTES = 4 * 1024 * 1024;
/** In memory at once. */
const MAX_SMALL_BODIES = 8;
let smallBodies = 0;

/** Memory of bodies that are gathered, used again: to get some MiB from the system for each takes as long as to copy them. */
const keptMemory: Buffer[] = [];
const MAX_KEPT = 2;
/** Less is gathered in memory of its own. */
const LITTLE_BYTES = 64 * 1024;

class GatheredBytes {
  bytes = 0;
  #pieces: Uint8Array[] = [];
  /** Once there is more than a little. */
  #memory: Buffer | undefined;

  add(chunk: Uint8Array): void {
    const start = this.bytes;
    this.bytes += chunk.length;
    if (this.#memory === undefined && this.bytes > LITTLE_BYTES && this.bytes <= MAX_SMALL_BYTES) {
      this.#memory = keptMemory.pop() ?? Buffer.allocUnsafeSlow(MAX_SMALL_BYTES);
      let at = 0;
      for (const piece of this.#pieces) {
        this.#memory.set(piece, at);
        at += piece.length;
      }
      this.#pieces = [];
    }
    if (this.#memory !== undefined && this.bytes <= MAX_SMALL_BYTES) this.#memory.set(chunk, start);
    else this.#pieces.push(chunk);
  }

  /** Good until `release`. */
  whole(): Buffer {
    if (this.#memory !== undefined) return this.#memory.subarray(0, this.bytes);
    return this.#pieces.length === 1 ? bufferOf(this.#pieces[0]!) : Buffer.concat(this.#pieces);
  }

  /** For good. */
  take(): Uint8Array[] {
    const rest = this.#pieces.reduce((sum, { length }) => sum + length, 0);
    const taken = [...(this.#memory === undefined ? [] : [this.#memory.subarray(0, this.bytes - rest)]), ...this.#pieces];
    this.#memory = undefined;
    this.#pieces = [];
    return taken;
  }

  release(): void {
    if (this.#memory !== undefined && keptMemory.length < MAX_KEPT) keptMemory.push(this.#memory);
    this.#memory = undefined;
    this.#pieces = [];
  }
}

/** The bytes that were read already, and then the rest. */
function startingWith(pieces: Uint8Array[], rest: BodySource): BodySource {
  let unread = pieces.reduce((sum, { length }) => sum + length, 0);
  return {
    async next() {
      const piece = pieces.shift();
      if (piece === undefined) return rest.next();
      unread -= piece.length;
      return piece;
    },
    get readBytes() {
      return rest.readBytes - unread;
    },
    discard: () => rest.discard(),
  };
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

export async function writeAll(file: FileHandle, pieces: Uint8Array[]): Promise<void> {
  try {
    let left = pieces;
    for (;;) {
      let { bytesWritten } = await file.writev(left);
      const rest: Uint8Array[] = [];
      for (const piece of left) {
        if (bytesWritten < piece.length) rest.push(piece.subarray(bytesWritten));
        bytesWritten = Math.max(0, bytesWritten - piece.length);
      }
      if (rest.length === 0) return;
      left = rest;
    }
  } catch (error) {
    throw diskError(error);
  }
}

/** Resolves when the decoder has taken all of `piece`, which may be overwritten then. */
function writeTo(decoder: Decoder, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    decoder.write(piece, (error) => (error ? reject(error) : resolve()));
  });
}

/** The whole body as it came; of zstd, the first frame. */
async function collect(
  request: SyncRequest,
  arrived: Uint8Array | undefined,
  maxPackedBytes: number,
  maxUnpackedBytes: number,
): Promise<{ packed: Buffer; walker: FrameWalker }> {
  const source = openBody(request.body, maxPackedBytes, arrived);
  const walker = (request.body.packing ?? 'zstd') === 'zstd' ? walkFrames({ maxUnpackedBytes }) : walkNothing(maxUnpackedBytes);
  const pieces: Uint8Array[] = [];
  try {
    for (;;) {
      const chunk = await source.next();
      if (chunk === null) break;
      const bytes = walker.push(chunk);
      if (walker.fault !== null) throw walker.fault;
      if (bytes > 0) pieces.push(bytes === chunk.length ? chunk : chunk.subarray(0, bytes));
    }
    // the words of the official server to a login without credentials
    if (source.readBytes === 0 && !request.spec.needsHostKey) throw new SyncError('AUTH_EXPECTED', 'expected auth');
    const fault = walker.end();
    if (fault !== null) throw fault;
  } catch (error) {
    source.discard();
    throw error;
  }
  return { packed: pieces.length === 1 ? bufferOf(pieces[0]!) : Buffer.concat(pieces), walker };
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

async function unpack(packed: Buffer, walker: FrameWalker, maxUnpackedBytes: number): Promise<Buffer> {
  const expectedBytes = walker.contentBytes ?? walker.atMostBytes;
  const options = {
    maxOutputLength: Math.max(1, maxUnpackedBytes),
    // one output buffer where it is known how large it must be, and a byte more, since a full one means another round
    chunkSize: Math.min(Math.max(expectedBytes + 1, 1024), MAX_SMALL_BYTES + 1),
  };
  if (packed.length <= SYNC_PACKED_BYTES && walker.atMostBytes <= SYNC_UNPACKED_BYTES) return zstdDecompressSync(packed, options);
  return decompress(packed, options);
}

async function ungzip(packed: Buffer, maxUnpackedBytes: number): Promise<Buffer> {
  const options = { maxOutputLength: Math.max(1, maxUnpackedBytes), info: true };
  // with `info` also the decoder, which counts what it took; the types do not know
  const { buffer, engine } = (await unzip(packed, options)) as unknown as { buffer: Buffer; engine: Gunzip };
  if (engine.bytesWritten !== packed.length) throw trailingGzip();
  return buffer;
}

/** Gzip has no frames to look after: its decoder sees damage and truncation itself. */
function walkNothing(maxUnpackedBytes: number): FrameWalker {
  return { push: (chunk) => chunk.length, fault: null, end: () => null, contentBytes: undefined, atMostBytes: maxUnpackedBytes };
}

function trailingGzip(): SyncError {
  return new SyncError('BODY_TRAILING_DATA', 'the body goes on after its gzip');
}

export interface BodySource {
  /** The next bytes, or null at the end. Throws ClientGone, BODY_TOO_LARGE. */
  next(): Promise<Uint8Array | null>;
  /** Everything `next` gave. */
  readonly readBytes: number;
  /** Lets the rest go by, in the background. */
  discard(): void;
}

/** A phone that walked out of reach sends nothing more, and says nothing either. Clients themselves give up after 30 seconds. */
export const STALLED_MILLIS = 60_000;

function unlessStalled<T>(next: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new ClientGone(new Error('nothing more came for a minute'))), STALLED_MILLIS);
    next.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * Of a body that has arrived already, `arrived` is all. Not `for await`: leaving such a loop early would destroy the request's stream, and with it the connection that the
 * refusal has to go through.
 */
export function openBody(body: PackedBody, maxPackedBytes: number, arrived?: Uint8Array): BodySource {
  const iterator = arrived === undefined ? body.bytes?.[Symbol.asyncIterator]() : undefined;
  const saysTooMuch = (body.contentLength ?? 0) > maxPackedBytes;
  let unread = arrived;
  let readBytes = 0;
  let pending: Promise<IteratorResult<Uint8Array>> | undefined;
  let ended = iterator === undefined;
  let discarding = false;

  const pull = async (): Promise<Uint8Array | null> => {
    if (ended || iterator === undefined) return null;
    pending ??= iterator.next();
    try {
      const result = await unlessStalled(pending);
      if (!result.done) return result.value;
      ended = true;
      return null;
    } catch (error) {
      ended = true;
      // an adapter may know better: a body parser took the bytes
      throw error instanceof SyncError || error instanceof ClientGone ? error : new ClientGone(error);
    } finally {
      pending = undefined;
    }
  };

  return {
    async next() {
      if (saysTooMuch) throw tooLarge();
      const chunk = unread ?? (await pull());
      unread = undefined;
      if (chunk === null || discarding) return null;
      readBytes += chunk.length;
      if (readBytes > maxPackedBytes) throw tooLarge();
      return chunk;
    },
    get readBytes() {
      return readBytes;
    },
    discard() {
      discarding = true;
      const discardRest = async (): Promise<void> => {
        for (let bytes = 0; bytes < DISCARD_BYTES; ) {
          const chunk = await pull();
          if (chunk === null) return;
          bytes += chunk.length;
        }
        await iterator?.return?.();
      };
      discardRest().catch(() => {}); // gone, as most clients are by then
    },
  };
}

export function limitsOf(bodyClass: BodyClass, limits: BodyLimits): { maxPackedBytes: number; maxUnpackedBytes: number } {
  if (bodyClass === 'collection') return limits;
  const max = bodyClass === 'media' ? limits.maxMediaBytes : bodyClass === 'json' ? limits.maxJsonBytes : limits.maxSmallBytes;
  return { maxPackedBytes: max, maxUnpackedBytes: max };
}

function isEndOfInput(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'Z_BUF_ERROR';
}

function isZstdError(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code?.startsWith('ZSTD_error_') === true;
}

/** What Node's zstd says, in our words; other errors stay. */
function decodingError(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (isEndOfInput(error)) return new SyncError('BODY_TRUNCATED', 'the body ended too early', { cause: error });
  if (code === 'ERR_BUFFER_TOO_LARGE') return tooLarge();
  if (code === 'ZSTD_error_memory_allocation') return new SyncError('BUSY', 'out of memory', { cause: error });
  if (isZstdError(error)) return new SyncError('BODY_NOT_ZSTD', 'the zstd frame of the body is damaged', { cause: error });
  if (code === 'Z_DATA_ERROR' || code === 'Z_NEED_DICT') return new SyncError('BODY_INVALID', 'the gzip of the body is damaged', { cause: error });
  return error;
}

export function diskError(error: unknown): unknown {
  if (isFullDisk(error)) return new SyncError('DISK_FULL', 'no space left', { cause: error, retryAfterSecs: 60 });
  if (isFailingDisk(error)) return new SyncError('STORAGE_FAILED', 'the disk cannot be read or written', { cause: error, detail: String(error) });
  return error;
}
