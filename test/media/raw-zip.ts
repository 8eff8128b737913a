/** Zips written byte by byte, so that they may be wrong in every way. */
import { crc32, deflateRawSync } from 'node:zlib';

export interface RawEntry {
  name: string | Buffer;
  /** Unpacked. */
  content: Uint8Array;
  deflate?: boolean;
  /** General purpose bit flags. Default: names are UTF-8. */
  flags?: number;
  /** Compression method that is claimed. */
  method?: number;
  /** Unpacked size that is claimed. */
  claimedBytes?: number;
  claimedCrc32?: number;
  /** Size and checksum follow the data, as some zip writers put them. */
  dataDescriptor?: boolean;
}

export interface RawZipOptions {
  /** Number of entries that is claimed. */
  claimedEntries?: number;
  comment?: Buffer;
}

export function rawZip(entries: RawEntry[], options: RawZipOptions = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const name = Buffer.from(entry.name);
    const data = entry.deflate === true ? deflateRawSync(entry.content) : Buffer.from(entry.content);
    const flags = (entry.flags ?? 0x800) | (entry.dataDescriptor === true ? 8 : 0);
    const method = entry.method ?? (entry.deflate === true ? 8 : 0);
    const checksum = entry.claimedCrc32 ?? crc32(entry.content);
    const bytes = entry.claimedBytes ?? entry.content.length;
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(flags, 2);
    shared.writeUInt16LE(method, 4);
    shared.writeUInt16LE(0x21, 8);
    shared.writeUInt32LE(checksum, 10);
    shared.writeUInt32LE(data.length, 14);
    shared.writeUInt32LE(bytes, 18);
    shared.writeUInt16LE(name.length, 22);
    const local = Buffer.from(shared);
    if (entry.dataDescriptor === true) local.fill(0, 10, 22);
    const descriptor = Buffer.alloc(entry.dataDescriptor === true ? 16 : 0);
    if (entry.dataDescriptor === true) {
      descriptor.writeUInt32LE(0x08074b50, 0);
      shared.copy(descriptor, 4, 10, 22);
    }
    const written = [Buffer.from('PK\x03\x04', 'latin1'), local, name, data, descriptor];
    parts.push(...written);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.from('PK\x01\x02', 'latin1'), Buffer.from([20, 0]), shared, tail, name);
    offset += written.reduce((sum, part) => sum + part.length, 0);
  }
  const directoryBytes = directory.reduce((sum, part) => sum + part.length, 0);
  const comment = options.comment ?? Buffer.alloc(0);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(options.claimedEntries ?? entries.length, 8);
  end.writeUInt16LE(options.claimedEntries ?? entries.length, 10);
  end.writeUInt32LE(directoryBytes, 12);
  end.writeUInt32LE(offset, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...parts, ...directory, end, comment]);
}

/** An upload as clients make it: name and content, or null for a deletion. */
export function uploadZip(changes: [name: string, content: string | Uint8Array | null][], options: { deflate?: boolean } = {}): Buffer {
  const meta = changes.map(([name, content], index) => [name, content === null ? null : String(index)]);
  return rawUpload(JSON.stringify(meta), changes.flatMap(([, content], index) => (content === null ? [] : [entry(String(index), content, options)])), options);
}

/** An upload with any `_meta` and any entries. */
export function rawUpload(meta: string | Uint8Array, entries: RawEntry[] = [], options: { deflate?: boolean } = {}): Buffer {
  return rawZip([...entries, entry('_meta', meta, options)]);
}

export function entry(name: string, content: string | Uint8Array, more: Partial<RawEntry> = {}): RawEntry {
  return { name, content: Buffer.from(content as string), ...more };
}
