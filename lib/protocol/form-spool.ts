/**
 * Where the data of a form waits until it is known whose it is. Anki 2.1.28 to 2.1.56 send the file before the host key, a
 * whole collection too, so it must be taken from anybody; but not much from those who never showed a key.
 */
import { open, rm, type FileHandle } from 'node:fs/promises';
import { SyncError } from '../errors.ts';
import { diskError, writeAll } from './disk-writes.ts';

/** Small bodies never touch the disk. */
const MEMORY_BYTES = 64 * 1024;
/** Of each request, counted by no limit: signing in and `meta` stay possible when the limits are used up. */
const FREE_BYTES = 4 * 1024;
/** Of everybody together from whose address no valid key came yet. A client shows its key in `meta` before it sends anything large. */
const STRANGERS_BYTES = 16 * 1024 ** 2;
/** How many addresses are remembered, the latest ones. */
const MAX_ADDRESSES = 10_000;
/** What is still read past the limit, to find the key of a client that is then told why its upload is refused. */
const BEYOND_BYTES = 64 * 1024 ** 2;
const READ_BYTES = 256 * 1024;

export interface SpooledData {
  /** On the wire. */
  readonly bytes: number;
  /** More came than the limit allows, and nothing was kept. */
  readonly tooLarge: boolean;
  /** May be read once. */
  read(): AsyncIterable<Uint8Array>;
  /** Gives memory, file and share of the limits back. */
  release(): Promise<void>;
}

export interface FormSpoolOptions {
  /** A new path on a disk with room for uploads. */
  newPath: () => string;
  /** Of all waiting data together. */
  maxBytes: number;
}

export class FormSpool {
  #options: FormSpoolOptions;
  #known = new Set<string>();
  #waitingBytes = 0;
  #strangersBytes = 0;

  constructor(options: FormSpoolOptions) {
    this.#options = options;
  }

  /** A valid key, or a right password, came from this address. */
  know(address: string | undefined): void {
    const name = address ?? '';
    this.#known.delete(name);
    this.#known.add(name);
    if (this.#known.size > MAX_ADDRESSES) this.#known.delete(this.#known.values().next().value!);
  }

  /**
   * Takes in what `next` gives until it gives null.
   *
   * Throws BUSY (503) when too much waits already, BODY_TOO_LARGE (413), DISK_FULL (503), and what `next` throws.
   */
  async take(next: () => Promise<Uint8Array | null>, from: { address: string | undefined; maxBytes: number }): Promise<SpooledData> {
    const waiting = new Waiting(this.#options.newPath, this.#share(!this.#known.has(from.address ?? '')));
    try {
      for (let piece = await next(); piece !== null; piece = await next()) {
        waiting.bytes += piece.length;
        if (waiting.bytes > from.maxBytes + BEYOND_BYTES) throw new SyncError('BODY_TOO_LARGE', 'the body exceeds the size limit');
        if (waiting.bytes > from.maxBytes) await waiting.drop();
        else await waiting.add(piece);
      }
      return waiting;
    } catch (error) {
      await waiting.release();
      throw error;
    }
  }

  #share(stranger: boolean): Share {
    let mine = 0;
    const change = (bytes: number): void => {
      mine += bytes;
      this.#waitingBytes += bytes;
      if (stranger) this.#strangersBytes += bytes;
    };
    return {
      take: (bytes) => {
        if (this.#waitingBytes + bytes > this.#options.maxBytes) throw new SyncError('BUSY', 'too many uploads at once');
        if (stranger && this.#strangersBytes + bytes > STRANGERS_BYTES) {
          const detail = 'a client of version 10 or older, from an address that is new';
          throw new SyncError('BUSY', 'too much data before a host key', { detail });
        }
        change(bytes);
      },
      giveBack: () => change(-mine),
    };
  }
}

/** What one request has of the limits. */
interface Share {
  take(bytes: number): void;
  giveBack(): void;
}

class Waiting implements SpooledData {
  bytes = 0;
  tooLarge = false;
  #newPath: () => string;
  #share: Share;
  #pieces: Uint8Array[] = [];
  #piecesBytes = 0;
  #takenBytes = 0;
  #file: FileHandle | undefined;
  #path: string | undefined;

  constructor(newPath: () => string, share: Share) {
    this.#newPath = newPath;
    this.#share = share;
  }

  async add(piece: Uint8Array): Promise<void> {
    const owedBytes = this.bytes - FREE_BYTES - this.#takenBytes;
    if (owedBytes > 0) {
      this.#share.take(owedBytes);
      this.#takenBytes += owedBytes;
    }
    // pieces are views of the connection's buffers, which go on to be used
    this.#pieces.push(Buffer.from(piece));
    this.#piecesBytes += piece.length;
    if (this.#piecesBytes > MEMORY_BYTES) await this.#flush();
  }

  async drop(): Promise<void> {
    if (this.tooLarge) return;
    await this.release();
    this.tooLarge = true;
  }

  async *read(): AsyncGenerator<Uint8Array> {
    if (this.#file !== undefined) {
      const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
      for (let position = 0; ; ) {
        const { bytesRead } = await this.#file.read(buffer, 0, READ_BYTES, position);
        if (bytesRead === 0) break;
        position += bytesRead;
        yield Buffer.from(buffer.subarray(0, bytesRead));
      }
    }
    yield* this.#pieces;
  }

  async release(): Promise<void> {
    this.#share.giveBack();
    this.#pieces = [];
    this.#piecesBytes = 0;
    await this.#file?.close().catch(() => {});
    this.#file = undefined;
    if (this.#path !== undefined) await rm(this.#path, { force: true }).catch(() => {});
  }

  async #flush(): Promise<void> {
    try {
      this.#path ??= this.#newPath();
      this.#file ??= await open(this.#path, 'wx+', 0o600);
    } catch (error) {
      throw diskError(error);
    }
    await writeAll(this.#file, this.#pieces);
    this.#pieces = [];
    this.#piecesBytes = 0;
  }
}
