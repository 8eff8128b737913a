/** Writes the zip of `downloadFiles` in memory: a few stored entries of less than 4 GiB in all (PKWARE's APPNOTE, 4.3). */
import { crc32 } from 'node:zlib';

const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const VERSION = 20;
/** Names are UTF-8. */
const FLAGS = 0x0800;
/** The first day that a zip can say; clients do not look at it. */
const DATE = (1 << 5) | 1;

export interface ZipEntry {
  name: string;
  content: Uint8Array;
}

/** In memory of its own, that may be moved to another thread. */
export function storedZip(entries: readonly ZipEntry[]): Uint8Array {
  const named = entries.map(({ name, content }) => ({ name: Buffer.from(name), content, crc: crc32(content) }));
  const bytes = named.reduce((sum, { name, content }) => sum + LOCAL_BYTES + CENTRAL_BYTES + 2 * name.length + content.length, END_BYTES);
  const zip = Buffer.allocUnsafeSlow(bytes);
  const starts: number[] = [];
  let at = 0;
  for (const { name, content, crc } of named) {
    starts.push(at);
    at = zip.writeUInt32LE(0x04034b50, at);
    at = writeCommon(zip, at, name, content, crc);
    zip.set(name, at);
    zip.set(content, at + name.length);
    at += name.length + content.length;
  }
  const centralStart = at;
  for (const [index, { name, content, crc }] of named.entries()) {
    at = zip.writeUInt32LE(0x02014b50, at);
    at = zip.writeUInt16LE(VERSION, at);
    at = writeCommon(zip, at, name, content, crc);
    // no comment, first disk, no attributes
    zip.fill(0, at, at + 10);
    at = zip.writeUInt32LE(starts[index]!, at + 10);
    zip.set(name, at);
    at += name.length;
  }
  const centralBytes = at - centralStart;
  at = zip.writeUInt32LE(0x06054b50, at);
  at = zip.writeUInt32LE(0, at);
  at = zip.writeUInt16LE(named.length, at);
  at = zip.writeUInt16LE(named.length, at);
  at = zip.writeUInt32LE(centralBytes, at);
  at = zip.writeUInt32LE(centralStart, at);
  zip.writeUInt16LE(0, at);
  return new Uint8Array(zip.buffer);
}

/** What local and central headers have in common; answers where it ends. */
function writeCommon(zip: Buffer, start: number, name: Buffer, content: Uint8Array, crc: number): number {
  let at = zip.writeUInt16LE(VERSION, start);
  at = zip.writeUInt16LE(FLAGS, at);
  at = zip.writeUInt16LE(0, at);
  at = zip.writeUInt16LE(0, at);
  at = zip.writeUInt16LE(DATE, at);
  at = zip.writeUInt32LE(crc, at);
  at = zip.writeUInt32LE(content.length, at);
  at = zip.writeUInt32LE(content.length, at);
  at = zip.writeUInt16LE(name.length, at);
  return zip.writeUInt16LE(0, at);
}
