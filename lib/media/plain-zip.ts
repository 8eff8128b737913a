/**
 * Reads the zip of `uploadChanges` where it lies in memory and is as plain as today's clients make it: every entry stored, named
 * in ASCII, with nothing before, between or behind. It judges nothing: what is not plain, damaged zips among them, is for
 * `UploadZip`, which takes twenty times as long (PKWARE's APPNOTE, 4.3).
 */
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';

const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
/** Names are UTF-8, and how well the writer wanted to compress. */
const HARMLESS_FLAGS = 0x0806;
const ASCII = /^[\x20-\x7e]*$/;

export interface PlainFile {
  /** In the zip. */
  offset: number;
  bytes: number;
  sha1: string;
}

interface Entry {
  offset: number;
  bytes: number;
  checksum: number;
}

export class PlainZip {
  readonly #zip: Buffer;
  readonly #entries: Map<string, Entry>;

  private constructor(zip: Buffer, entries: Map<string, Entry>) {
    this.#zip = zip;
    this.#entries = entries;
  }

  /** Undefined of a zip that is not plain. */
  static of(bytes: Uint8Array): PlainZip | undefined {
    const zip = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const entries = entriesOf(zip);
    return entries === undefined ? undefined : new PlainZip(zip, entries);
  }

  /** The text of an entry, or undefined where there is none, or it is damaged, too long or no UTF-8. */
  text(name: string, maxBytes: number): string | undefined {
    const content = this.#content(name);
    if (content === undefined || content.length > maxBytes) return undefined;
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
    } catch {
      return undefined;
    }
  }

  /** Undefined where there is no such entry, or it is damaged or empty. */
  file(name: string): PlainFile | undefined {
    const content = this.#content(name);
    if (content === undefined || content.length === 0) return undefined;
    return { offset: this.#entries.get(name)!.offset, bytes: content.length, sha1: hash('sha1', content) };
  }

  #content(name: string): Buffer | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    const content = this.#zip.subarray(entry.offset, entry.offset + entry.bytes);
    return crc32(content) === entry.checksum ? content : undefined;
  }
}

/** By name; of two with the same name the last one counts, as in `UploadZip`. */
function entriesOf(zip: Buffer): Map<string, Entry> | undefined {
  const end = zip.length - END_BYTES;
  if (end < 0 || zip.readUInt32LE(end) !== 0x06054b50) return undefined;
  const count = zip.readUInt16LE(end + 10);
  const start = zip.readUInt32LE(end + 16);
  const isWhole = zip.readUInt32LE(end + 4) === 0 && zip.readUInt16LE(end + 8) === count && zip.readUInt16LE(end + 20) === 0;
  if (!isWhole || count > 100 || start + zip.readUInt32LE(end + 12) !== end) return undefined;
  const entries = new Map<string, Entry>();
  let at = start;
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL_BYTES > end || zip.readUInt32LE(at) !== 0x02014b50) return undefined;
    const flags = zip.readUInt16LE(at + 8);
    const method = zip.readUInt16LE(at + 10);
    const bytes = zip.readUInt32LE(at + 24);
    const nameBytes = zip.readUInt16LE(at + 28);
    // neither extra fields nor a comment
    const isPlain = (flags & ~HARMLESS_FLAGS) === 0 && method === 0 && zip.readUInt32LE(at + 20) === bytes && zip.readUInt32LE(at + 30) === 0;
    const local = zip.readUInt32LE(at + 42);
    if (!isPlain || local + LOCAL_BYTES > start || zip.readUInt32LE(local) !== 0x04034b50) return undefined;
    const offset = local + LOCAL_BYTES + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const next = at + CENTRAL_BYTES + nameBytes;
    if (offset + bytes > start || next > end) return undefined;
    const name = zip.toString('latin1', at + CENTRAL_BYTES, next);
    if (!ASCII.test(name)) return undefined;
    entries.set(name, { offset, bytes, checksum: zip.readUInt32LE(at + 16) });
    at = next;
  }
  return at === end ? entries : undefined;
}
