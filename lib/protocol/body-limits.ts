/** How large a body may be, on the wire and unpacked. */
import type { BodyClass } from './methods.ts';

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

/** A media zip of at most this is held in memory: clients stop adding to it past 2.5 MiB. */
export const MAX_SMALL_ZIP_BYTES = 4 * 1024 * 1024;

export function limitsOf(bodyClass: BodyClass, limits: BodyLimits): { maxPackedBytes: number; maxUnpackedBytes: number } {
  if (bodyClass === 'collection') return limits;
  const max = bodyClass === 'media' ? limits.maxMediaBytes : bodyClass === 'json' ? limits.maxJsonBytes : limits.maxSmallBytes;
  return { maxPackedBytes: max, maxUnpackedBytes: max };
}
