/** The two zips of media sync: what clients upload, and what they download. */
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, createWriteStream, openSync, writeSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32 } from 'node:zlib';
import yauzl from 'yauzl';
import yazl from 'yazl';
import { SyncError } from '../errors.ts';
import { readFully } from '../storage/files/read-fully.ts';
import type { FileRange } from '../storage/storage.ts';
import { MAX_FILE_BYTES, MAX_META_BYTES } from './limits.ts';
import { storedZip } from './stored-zip.ts';

/** Entries of a zip that we are willing to list. A client's has 26 at most. */
const MAX_ENTRIES = 1000;
/** The most that one zip may unpack to: clients stop adding past 2.5 MiB, and one file has at most 100 MiB. */
const MAX_UNPACKED_BYTES = 256 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const STORED = 0;
const DEFLATED = 8;

/**
 * Reads at once, without a trip through the thread pool for every few bytes: listing a zip takes two reads per entry.
 * The steps run in worker threads.
 */
class FileReader extends yauzl.RandomAccessReader {
  readonly #descriptor: number;
  readonly path: string;

  constructor(path: string) {
    super();
    this.path = path;
    this.#descriptor = openSync(path, 'r');
  }

  readInto(buffer: Buffer, position: number): void {
    if (!readFully(this.#descriptor, buffer, position)) throw new Error('the file ends early');
  }

  override read(buffer: Buffer, offset: number, length: number, position: number, callback: (error: Error | null) => void): void {
    try {
      this.readInto(buffer.subarray(offset, offset + length), position);
    } catch (error) {
      callback(error as Error);
      return;
    }
    callback(null);
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return createReadStream(this.path, { start, end: end - 1 });
  }

  /** yauzl's own `close` comes only when it has read to the end. */
  closeFile(): void {
    closeSync(this.#descriptor);
  }
}

/** Bytes of an upload that are what the zip declares. */
export interface VerifiedFile extends FileRange {
  sha1: string;
}

/** The zip of `uploadChanges`, open for reading. Everything that is wrong with it is a `MEDIA_ZIP_INVALID`. */
export class UploadZip {
  readonly #reader: FileReader;
  readonly #zip: yauzl.ZipFile;
  readonly #entries: Map<string, yauzl.Entry>;
  readonly #unpackedPath: string;
  /** Open once a compressed entry was met. */
  #unpacked: number | undefined;
  #unpackedBytes = 0;
  /** Of all entries that were read. */
  #totalBytes = 0;

  private constructor(reader: FileReader, zip: yauzl.ZipFile, entries: Map<string, yauzl.Entry>, unpackedPath: string) {
    this.#unpackedPath = unpackedPath;
    this.#reader = reader;
    this.#zip = zip;
    this.#entries = entries;
  }

  /** Compressed entries are unpacked into a new file at `unpackedPath`, one behind the other. */
  static async open(path: string, unpackedPath: string): Promise<UploadZip> {
    const { size } = await stat(path);
    const reader = new FileReader(path);
    try {
      // names are decoded by us: as keys they may look like paths, and yauzl would refuse the whole zip
      const zip = await yauzl.fromRandomAccessReaderPromise(reader, size, { autoClose: false, decodeStrings: false });
      zip.on('error', () => {});
      return new UploadZip(reader, zip, await listEntries(zip), unpackedPath);
    } catch (error) {
      reader.closeFile();
      throw zipError(error);
    }
  }

  /** What `_meta` says. Longer than 50 KiB it is refused: Anki's server cuts it there, and then cannot parse it. */
  async meta(): Promise<string> {
    const chunks: Buffer[] = [];
    await this.#read('_meta', MAX_META_BYTES, (chunk) => chunks.push(Buffer.from(chunk)));
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
    } catch (error) {
      throw zipError(error);
    }
  }

  /** Checks one entry, and tells where its bytes lie: in the zip itself, as all of today's clients store them, or unpacked. */
  async verify(name: string): Promise<VerifiedFile> {
    const hash = createHash('sha1');
    const offset = this.#unpackedBytes;
    const unpacked = this.#entries.get(name)?.compressionMethod === DEFLATED;
    const bytes = await this.#read(name, MAX_FILE_BYTES, (chunk) => {
      hash.update(chunk);
      if (unpacked) this.#append(chunk);
    });
    if (bytes === 0) throw new SyncError('MEDIA_ZIP_INVALID', 'the zip has an empty file');
    const sha1 = hash.digest('hex');
    if (unpacked) return { path: this.#unpackedPath, offset, bytes, sha1 };
    return { path: this.#reader.path, offset: await this.#dataStart(this.#entries.get(name)!), bytes, sha1 };
  }

  close(): void {
    this.#reader.closeFile();
    if (this.#unpacked !== undefined) closeSync(this.#unpacked);
  }

  #append(chunk: Buffer): void {
    this.#unpacked ??= openSync(this.#unpackedPath, 'wx');
    for (let written = 0; written < chunk.length; ) written += writeSync(this.#unpacked, chunk, written);
    this.#unpackedBytes += chunk.length;
  }

  async #dataStart(entry: yauzl.Entry): Promise<number> {
    return (await this.#zip.readLocalFileHeaderPromise(entry, { minimal: true })).fileDataStart;
  }

  /** Hands out the unpacked bytes, checked against the size and checksum that the zip declares. */
  async #read(name: string, maxBytes: number, take: (chunk: Buffer) => void): Promise<number> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new SyncError('MEDIA_ZIP_INVALID', 'the zip lacks an entry that it names');
    if (entry.isEncrypted() || (entry.compressionMethod !== STORED && entry.compressionMethod !== DEFLATED)) {
      throw new SyncError('MEDIA_ZIP_INVALID', 'the zip has an entry that is encrypted or compressed in an unknown way');
    }
    // yauzl stops a stream that unpacks to more than was declared
    this.#totalBytes += entry.uncompressedSize;
    if (entry.uncompressedSize > maxBytes || this.#totalBytes > MAX_UNPACKED_BYTES) {
      throw new SyncError('MEDIA_ZIP_INVALID', 'the zip unpacks to too much');
    }
    let bytes = 0;
    let checksum = 0;
    try {
      for await (const chunk of this.#chunks(entry)) {
        bytes += chunk.length;
        checksum = crc32(chunk, checksum);
        take(chunk);
      }
    } catch (error) {
      throw zipError(error);
    }
    if (bytes !== entry.uncompressedSize || checksum !== entry.crc32) throw new SyncError('MEDIA_ZIP_INVALID', 'the zip is damaged');
    return bytes;
  }

  /** Unpacked bytes. A chunk is good until the next one is asked for. */
  async *#chunks(entry: yauzl.Entry): AsyncGenerator<Buffer> {
    if (entry.compressionMethod === DEFLATED) {
      yield* (await this.#zip.openReadStreamPromise(entry)) as AsyncIterable<Buffer>;
      return;
    }
    const start = await this.#dataStart(entry);
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, entry.uncompressedSize));
    for (let done = 0; done < entry.uncompressedSize; ) {
      const part = chunk.subarray(0, entry.uncompressedSize - done);
      this.#reader.readInto(part, start + done);
      yield part;
      done += part.length;
    }
  }
}

/** Where a name occurs twice, the last entry counts, as for Anki's server. */
async function listEntries(zip: yauzl.ZipFile): Promise<Map<string, yauzl.Entry>> {
  if (zip.entryCount > MAX_ENTRIES) throw new SyncError('MEDIA_ZIP_INVALID', 'the zip has too many entries');
  const entries = new Map<string, yauzl.Entry>();
  for await (const entry of zip.eachEntry()) {
    entries.set(yauzl.getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, true), entry);
  }
  return entries;
}

/** Errors of the operating system are not the client's fault; any other one that reading a zip throws is. */
function zipError(error: unknown): unknown {
  if (error instanceof SyncError || (error as NodeJS.ErrnoException).syscall !== undefined) return error;
  return new SyncError('MEDIA_ZIP_INVALID', 'the body is no zip, or a damaged one', { cause: error, detail: String(error) });
}

export interface FileToSend extends FileRange {
  name: string;
}

/**
 * The zip of `downloadFiles`, whole in memory: entries `0`, `1`, … and `_meta` with their names, all stored. Each file is read
 * once, and shown to `look`. Throws when a file ends early.
 */
export function zipToBytes<F extends FileToSend>(files: readonly F[], look: (file: F, content: Buffer) => void): Uint8Array<ArrayBuffer> {
  const meta = metaOf(files);
  const entries = files.map((file, index) => ({
    name: String(index),
    bytes: file.bytes,
    fill: (place: Buffer) => {
      readRange(file, place);
      look(file, place);
    },
  }));
  return storedZip([...entries, { name: '_meta', bytes: meta.length, fill: (place) => place.set(meta) }]);
}

function readRange({ path, offset }: FileRange, place: Buffer): void {
  const reader = new FileReader(path);
  try {
    reader.readInto(place, offset);
  } finally {
    reader.closeFile();
  }
}

/** The same zip as a file, for what should not lie in memory. Answers its size. */
export async function zipToFile(files: readonly FileToSend[], path: string): Promise<number> {
  const zip = new yazl.ZipFile();
  const output = createWriteStream(path, { flags: 'wx' });
  zip.on('error', (error) => output.destroy(error));
  for (const [index, file] of files.entries()) {
    zip.addReadStreamLazy(String(index), { ...ENTRY_OPTIONS, size: file.bytes }, (callback) => {
      const stream = createReadStream(file.path, { start: file.offset, end: file.offset + file.bytes - 1, highWaterMark: CHUNK_BYTES });
      stream.on('error', (error) => output.destroy(error));
      callback(null, stream);
    });
  }
  end(zip, files);
  try {
    await pipeline(zip.outputStream, output);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
  return output.bytesWritten;
}

const ENTRY_OPTIONS = { compress: false, forceDosTimestamp: true } as const;

function end(zip: yazl.ZipFile, files: readonly FileToSend[]): void {
  zip.addBuffer(metaOf(files), '_meta', ENTRY_OPTIONS);
  zip.end();
}

function metaOf(files: readonly { name: string }[]): Buffer {
  return Buffer.from(JSON.stringify(Object.fromEntries(files.map((file, index) => [String(index), file.name]))));
}
