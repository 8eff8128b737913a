/** Sync versions: the protocol's own number, sent with every request. Not the schema of a collection. */

export const SYNC_VERSION_MIN = 8;
export const SYNC_VERSION_MAX = 11;

/**
 * 8 (2013): session keys. 9 (2018): the client knows the v2 scheduler. 10 (2020): it knows the new timezone code.
 * 11 (2023, Anki 2.1.57): header and zstd instead of multipart and gzip.
 */
export type SyncVersion = 8 | 9 | 10 | 11;

/** A multipart form never names its version; the official server takes it for the last one that sent such forms. */
export const MULTIPART_SYNC_VERSION: SyncVersion = 10;

export interface SyncVersionTraits {
  /** How the version's own clients pack a request. A header with version 8-10 and a zstd body is answered too. */
  readonly envelope: 'multipart' | 'header';
  /** Whether an answer is a zstd frame with `anki-original-size`, or the bare bytes. */
  readonly zstdAnswer: boolean;
  /** Newest collection schema that the client can open after a download. Schema 11 is good for all of them. */
  readonly newestDownloadSchema: 11 | 18;
}

const MULTIPART: SyncVersionTraits = { envelope: 'multipart', zstdAnswer: false, newestDownloadSchema: 11 };

export const SYNC_VERSIONS: Readonly<Record<SyncVersion, SyncVersionTraits>> = {
  8: MULTIPART,
  9: MULTIPART,
  10: MULTIPART,
  11: { envelope: 'header', zstdAnswer: true, newestDownloadSchema: 18 },
};

export function isSyncVersion(version: number): version is SyncVersion {
  return Object.hasOwn(SYNC_VERSIONS, version);
}
