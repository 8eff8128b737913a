/** The server's own report of an examination, found in whatever a proxy left of the answer. */
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { ERROR_STATUS, type ErrorCode } from '../errors.ts';
import type { DoctorReport } from './echo.ts';
import type { Answer } from './wire.ts';

const MAX_BYTES = 8 * 1024 * 1024;
const ZSTD_MAGIC = 0xfd2fb528;

export interface FoundReport {
  report: DoctorReport;
  /** Packings that something put round it, from the outside in. */
  recompressed: string[];
  /** Whether the server's own packing is still there. */
  isZstd: boolean;
}

export function reportIn({ status, body }: Answer): FoundReport | undefined {
  if (status !== 200) return undefined;
  const recompressed: string[] = [];
  let bytes = body;
  try {
    for (;;) {
      const outer = packingOf(bytes);
      if (outer === undefined) break;
      recompressed.push(outer.name);
      bytes = outer.unpack(bytes);
    }
    const isZstd = isZstdFrame(bytes);
    if (isZstd) bytes = zstdDecompressSync(bytes, { maxOutputLength: MAX_BYTES });
    const report = parsed(bytes);
    return report === undefined ? brotliReport(body) : { report, recompressed, isZstd };
  } catch {
    return brotliReport(body);
  }
}

/** Brotli has no mark at its beginning. */
function brotliReport(body: Buffer): FoundReport | undefined {
  try {
    const inner = brotli(body);
    const report = parsed(isZstdFrame(inner) ? zstdDecompressSync(inner, { maxOutputLength: MAX_BYTES }) : inner);
    return report === undefined ? undefined : { report, recompressed: ['br'], isZstd: isZstdFrame(inner) };
  } catch {
    return undefined;
  }
}

function brotli(bytes: Buffer): Buffer {
  return brotliDecompressSync(bytes, { maxOutputLength: MAX_BYTES });
}

function isZstdFrame(bytes: Buffer): boolean {
  return bytes.length >= 4 && bytes.readUInt32LE() === ZSTD_MAGIC;
}

function packingOf(bytes: Buffer): { name: string; unpack(bytes: Buffer): Buffer } | undefined {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return { name: 'gzip', unpack: (packed) => gunzipSync(packed, { maxOutputLength: MAX_BYTES }) };
  if (bytes[0] === 0x78 && bytes.length > 2 && bytes.readUInt16BE() % 31 === 0) return { name: 'deflate', unpack: (packed) => inflateSync(packed, { maxOutputLength: MAX_BYTES }) };
  // a frame within a frame: the outer one is a proxy's
  if (isZstdFrame(bytes)) {
    const inner = zstdDecompressSync(bytes, { maxOutputLength: MAX_BYTES });
    if (isZstdFrame(inner)) return { name: 'zstd', unpack: () => inner };
  }
  return undefined;
}

function parsed(bytes: Buffer): DoctorReport | undefined {
  let value: unknown = null;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
  const { doctor, version, timeMillis, path, url, headers, chunked, receivedBytes, bodyMillis } = (value ?? {}) as Partial<DoctorReport>;
  const isReport = doctor === 1 && typeof version === 'string' && typeof timeMillis === 'number' && typeof path === 'string' && typeof url === 'string'
    && Array.isArray(headers) && typeof chunked === 'boolean' && typeof receivedBytes === 'number' && typeof bodyMillis === 'number';
  return isReport ? (value as DoctorReport) : undefined;
}

/** A refusal of our server: its code stands first. */
export function isOurs({ status, body }: Answer, code?: ErrorCode): boolean {
  const found = /^([A-Z]+(?:_[A-Z]+)*)(?:: |$)/.exec(unpacked(body).subarray(0, 200).toString())?.[1] ?? '';
  const known = Object.hasOwn(ERROR_STATUS, found) && ERROR_STATUS[found as ErrorCode] === status;
  return known && (code === undefined || code === found);
}

/** Whatever a proxy packed. As it is where that cannot be undone. */
function unpacked(body: Buffer): Buffer {
  try {
    return packingOf(body)?.unpack(body) ?? body;
  } catch {
    return body;
  }
}
