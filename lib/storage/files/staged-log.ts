/**
 * Uploads that are staged one behind the other in one file, `staged/<id>.log`: an upload becomes durable by one write at the end of a
 * file that is there already, and one sync of it. A record is the length and the CRC-32 of its list (little endian, 4 bytes each), the
 * list as JSON, and the bytes as they came.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, fdatasync, fdatasyncSync, ftruncateSync, openSync, statSync, writevSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import type { FileRange } from '../storage.ts';
import { syncFolder } from './durable.ts';
import { copyRange } from './hashed-copy.ts';
import { readFully } from './read-fully.ts';

/** One more file than this is begun: what is settled is dropped file by file. */
const MAX_BYTES = 32 * 1024 * 1024;
/** Syncing less takes less time than a trip to the thread pool and back. */
const SYNC_AT_ONCE_BYTES = 256 * 1024;
const PREFIX_BYTES = 8;
/** 25 names fit, however they are escaped. */
const MAX_LIST_BYTES = 256 * 1024;

const dataSynced = promisify(fdatasync);

/** Where the bytes of a name lie: in the upload, or in the log. */
export interface NamedRange {
  name: string;
  sha1: string;
  offset: number;
  bytes: number;
}

export class StagedLog {
  readonly path: string;
  readonly #folder: string;
  #descriptor: number | undefined;
  #bytes = 0;

  constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, `${randomUUID()}.log`);
    this.#descriptor = openSync(this.path, 'wx');
  }

  /** Whether another upload may come into this file. */
  get isOpen(): boolean {
    return this.#descriptor !== undefined && this.#bytes < MAX_BYTES;
  }

  /** Durable once this resolves. A log whose end is in doubt, as this rejected, takes nothing more. */
  async append(whole: Uint8Array, files: readonly NamedRange[]): Promise<(NamedRange & FileRange)[]> {
    const descriptor = this.#descriptor!;
    const start = this.#bytes;
    const list = Buffer.from(JSON.stringify({ bytes: whole.length, files: files.map(({ name, sha1, offset, bytes }) => [name, sha1, offset, bytes]) }));
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32LE(list.length, 0);
    prefix.writeUInt32LE(crc32(list), 4);
    const contentStart = start + PREFIX_BYTES + list.length;
    try {
      writeWhole(descriptor, [prefix, list, whole], start);
      if (whole.length <= SYNC_AT_ONCE_BYTES) fdatasyncSync(descriptor);
      else await dataSynced(descriptor);
      if (start === 0) syncFolder(this.#folder);
    } catch (error) {
      try {
        ftruncateSync(descriptor, start);
      } catch {
        // readers stop at what is not whole
      }
      this.close();
      throw error;
    }
    this.#bytes = contentStart + whole.length;
    return files.map(({ name, sha1, offset, bytes }) => ({ name, sha1, path: this.path, offset: contentStart + offset, bytes }));
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

/**
 * What a log holds, up to the first record that a crash left unfinished: that one was never relied on. Bytes are looked at, since the
 * same bytes may have been sent again and lie whole in another log.
 */
export function readStagedLog(path: string): (NamedRange & FileRange)[] {
  const found: (NamedRange & FileRange)[] = [];
  const { size } = statSync(path);
  const descriptor = openSync(path, 'r');
  try {
    for (let at = 0; at + PREFIX_BYTES <= size; ) {
      const prefix = readWhole(descriptor, at, PREFIX_BYTES);
      const listBytes = prefix?.readUInt32LE(0) ?? 0;
      if (prefix === undefined || listBytes === 0 || listBytes > MAX_LIST_BYTES) break;
      const list = readWhole(descriptor, at + PREFIX_BYTES, listBytes);
      if (list === undefined || crc32(list) !== prefix.readUInt32LE(4)) break;
      const { bytes: wholeBytes, files } = JSON.parse(list.toString()) as { bytes: number; files: [string, string, number, number][] };
      const contentStart = at + PREFIX_BYTES + listBytes;
      for (const [name, sha1, offset, bytes] of files) {
        const range = { name, sha1, path, offset: contentStart + offset, bytes };
        if (copyRange(range, null) === sha1) found.push(range);
      }
      at = contentStart + wholeBytes;
    }
  } finally {
    closeSync(descriptor);
  }
  return found;
}

function writeWhole(descriptor: number, parts: Uint8Array[], start: number): void {
  let left = parts;
  for (let at = start; left.length > 0; ) {
    let written = writevSync(descriptor, left, at);
    at += written;
    left = left.flatMap((part) => {
      const rest = part.subarray(Math.min(written, part.length));
      written = Math.max(0, written - part.length);
      return rest.length > 0 ? [rest] : [];
    });
  }
}

function readWhole(descriptor: number, at: number, bytes: number): Buffer | undefined {
  const whole = Buffer.alloc(bytes);
  return readFully(descriptor, whole, at) ? whole : undefined;
}
