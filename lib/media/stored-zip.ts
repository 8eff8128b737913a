/** Writes the zip of `downloadFiles` in memory: a few stored entries of less than 4 GiB in all (PKWARE's APPNOTE, 4.3). */
import { crc32 } from 'node:zlib';
import { takeZipMemory } from './zip-memory.ts';

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
  bytes: number;
  /** Writes the content, of exactly so many bytes, into its place. */
  fill(place: Buffer): void;
}

/** In memory that is to be given back. */
export function storedZip(entries: readonly ZipEntry[]): Uint8Array<ArrayBuffer> {
  const named = entries.map((entry) => ({ ...entry, name: Buffer.from(entry.name), start: 0, crc: 0 }));
  const zipBytes = named.reduce((sum, { name, bytes }) => sum + LOCAL_BYTES + CENTRAL_BYTES + 2 * name.length + bytes, END_BYTES);
  const memory = takeZipMemory(zipBytes);
  const zip = Buffer.from(memory.buffer, 0, zipBytes);
  let at = 0;
  for (const entry of named) {
    const { name, bytes } = entry;
    const contentStart = at + LOCAL_BYTES + name.length;
    const content = zip.subarray(contentStart, contentStart + bytes);
    entry.fill(content);
    entry.start = at;
    entry.crc = crc32(content);
    at = zip.writeUInt32LE(0x04034b50, at);
    at = writeCommon(zip, at, entry);
    zip.set(name, at);
    at = contentStart + bytes;
  }
  const centralStart = at;
  for (const entry of named) {
    at = zip.writeUInt32LE(0x02014b50, at);
    at = zip.writeUInt16LE(VERSION, at);
    at = writeCommon(zip, at, entry);
    // no comment, first disk, no attributes
    zip.fill(0, at, at + 10);
    at = zip.writeUInt32LE(entry.start, at + 10);
    zip.set(entry.name, at);
    at += entry.name.length;
  }
  const centralBytes = at - centralStart;
  at = zip.writeUInt32LE(0x06054b50, at);
  at = zip.writeUInt32LE(0, at);
  at = zip.writeUInt16LE(named.length, at);
  at = zip.writeUInt16LE(named.length, at);
  at = zip.writeUInt32LE(centralBytes, at);
  at = zip.writeUInt32LE(centralStart, at);
  zip.writeUInt16LE(0, at);
  return memory;
}

/** What local and central headers have in common; answers where it ends. */
function writeCommon(zip: Buffer, start: number, { name, bytes, crc }: { name: Buffer; bytes: number; crc: number }): number {
  let at = zip.writeUInt16LE(VERSION, start);
  at = zip.writeUInt16LE(FLAGS, at);
  at = zip.writeUInt16LE(0, at);
  at = zip.writeUInt16LE(0, at);
  at = zip.writeUInt16LE(DATE, at);
  at = zip.writeUInt32LE(crc, at);
  at = zip.writeUInt32LE(bytes, at);
  at = zip.writeUInt32LE(bytes, at);
  at = zip.writeUInt16LE(name.length, at);
  return zip.writeUInt16LE(0, at);
}
