import type { MovedObjects } from '../activity.ts';
import type { MetaSource } from '../collection/meta.ts';
import type { CollectionOverview, MediaTotals, UserPlace } from '../storage/storage.ts';
import type { Packed } from '../zstd.ts';

/** Everything the main side may ask of the room that holds a user's data. One call per user at a time. */
export type Call =
  /** Where the collection has more than `maxCollectionBytes`, `meta` says so to the person. With `packs`, the client takes zstd, and a large answer comes packed from the thread. */
  | { step: JsonStep; user: UserPlace; sessionKey: string; body: JsonText; hostKey?: string; packs?: boolean; maxCollectionBytes?: number | undefined }
  | { step: 'abort' | 'expire' | 'settleMedia' | 'release' | 'download' | 'stagingFolder' | 'mediaStagingFolder'; user: UserPlace }
  /** Bytes of the collection as JSON, or null where its store cannot tell. A running sync is ended, as by the upload that this is asked for. */
  | { step: 'collectionBytes'; user: UserPlace }
  /** Into the folder `to`, between two syncs: a running one is BUSY, unless its client has been silent for so long. */
  | { step: 'copy'; user: UserPlace; to: string; patienceMillis: number }
  /** For a page, between two syncs: answers JSON of an `Overview`, or null while a sync runs. */
  | { step: 'overview'; user: UserPlace; days: number }
  /** All cards and media of the user, by their own will: what was there is a snapshot, as after an upload. */
  | { step: 'erase'; user: UserPlace }
  /** Body checked and converted in the lane of its own; the file is consumed. */
  | { step: 'upload'; user: UserPlace; path: string }
  /** A file of the staging folder, or a small zip as it is. */
  | { step: 'uploadChanges'; user: UserPlace; zip: string | Uint8Array; maxTotalBytes?: number };

/** What a page shows of a user's data. */
export interface Overview {
  /** Null: the user has none yet. Left out by stores that cannot tell. */
  collection?: CollectionOverview | null;
  media?: MediaTotals;
}

/** UTF-8. Short ones are strings: bytes travel between threads as a copy of the whole buffer that they are a part of. */
export type JsonText = string | Uint8Array;

/** Longest text, in characters, that is sent to a thread as a string. */
export const MAX_STRING_CHARS = 64 * 1024;

/** Steps whose body is JSON. */
export type JsonStep =
  | 'meta'
  | 'start'
  | 'applyGraves'
  | 'applyChanges'
  | 'chunk'
  | 'applyChunk'
  | 'sanityCheck2'
  | 'finish'
  | 'begin'
  | 'mediaChanges'
  | 'downloadFiles'
  | 'mediaSanity';

/** Text or bytes of an answer, as they are or packed, or a local file the receiver sends and deletes. */
export type Answer =
  /**
   * Never crosses with `release`, which is called once the data are copied, packed or sent: it gives their memory back; nor with `after`,
   * work that the answer need not wait for, but the next call of the user does. `overQuotaBytes`: so large is a collection that is too large.
   * `level`: of zstd, for what the default does not suit.
   */
  | { kind: 'bytes'; data: JsonText; level?: number; overQuotaBytes?: number; metaSource?: MetaSource; moved?: MovedObjects; release?: () => void; after?: () => void }
  | ({ kind: 'packed'; moved?: MovedObjects } & Packed)
  | { kind: 'file'; path: string; bytes: number; moved?: MovedObjects };

/** An answer, and what the main side watches the user's idle time for. */
export interface Outcome {
  answer: Answer;
  /** A sync is running for the user: it ends when its client stays away. */
  syncing: boolean;
  /** Media may still have to be brought to their place: done as soon as the user is idle for a moment. */
  unsettled: boolean;
}

/** Work that belongs to no user's queue: checks and conversions of files that wait in the staging folder. */
export interface LaneCall {
  task: 'prepareUpload';
  path: string;
}

/** How a store is given: an object that runs on the main side, or a module that each worker thread imports. */
export type StoreChoice<T> = T | StoreModule;

export interface StoreModule {
  /** Specifier or URL for `import()`; its default export makes the store from the options. */
  module: string;
  /** Must survive a structured clone. */
  options: unknown;
}

export function isStoreModule(choice: unknown): choice is StoreModule {
  return typeof (choice as StoreModule | null)?.module === 'string';
}

export interface StoreChoices<Collections, Media, Files> {
  collections: StoreChoice<Collections>;
  media: StoreChoice<Media>;
  mediaFiles: StoreChoice<Files>;
}
