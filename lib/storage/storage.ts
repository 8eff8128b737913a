/**
 * The plugs behind which data rests: `CollectionStore` (one Anki collection per user), `MediaStore` (the index of a
 * user's media) and `MediaFiles` (their bytes).
 *
 * Rules for all three:
 * - Everything is a promise, so that a database on another machine fits. Calls are set-based: a sync step makes at most
 *   one call per kind of object.
 * - What a resolved promise says is durable MUST survive a loss of power.
 * - A rejected promise MUST leave what was there before the call.
 * - No handle, row id or path of the implementation crosses these lines. Paths that do cross them are of local files
 *   which the caller owns (an upload waiting to be imported, a file to read).
 * - The engine never makes two calls for the same user at the same time, unless a contract says it may.
 *
 * A store is given as an object, and then runs on the main side, or as `{ module, options }`: a module whose default
 * export makes the store from the options. The engine imports it in the worker thread that holds the user.
 * `lib/conformance/` has one suite per plug; every implementation runs it.
 */

/** Where a user's data rests: opaque id, and the one folder name reserved for the user. */
export interface UserPlace {
  readonly userId: string;
  readonly folder: string;
}

/** A 64-bit id: number where JavaScript holds it exactly, else bigint. */
export type Id = number | bigint;

/** Text of a JSON array. Rows leave as text because ids and numbers must arrive exactly as they rest. */
export type JsonArrayText = string;

/** A row that comes in: values in the order of its columns. Integers beyond 2^53 are bigints. */
export type Row = readonly (number | bigint | string)[];

/** Text of one JSON object. */
export type JsonObjectText = string;

/** What `meta` needs. Times in milliseconds since 1970, as in Anki's `col` table. */
export interface CollectionMeta {
  modifiedMillis: number;
  schemaModifiedMillis: number;
  usn: number;
  /** Whether there is no card. */
  empty: boolean;
  /** Config `schedVer` is 2 or more: clients below sync version 9 cannot go on. */
  v2Scheduler: boolean;
  /** Config has `creationOffset`: clients below sync version 10 cannot go on. */
  v2Timezone: boolean;
  /** What a quota counts: the size that the collection needs, without room that deleted cards left. A store that cannot tell leaves it out. */
  bytes?: number;
  /** Of the collection's local file. While it stays, and nothing else is asked for the user, the engine may take this for the next answer too. */
  inode?: number;
}

export interface Graves {
  cards: Id[];
  notes: Id[];
  decks: Id[];
}

/** One notetype, deck or deck config in schema 11 form. `json` holds every key, known or not, exactly. */
export interface NamedObject {
  id: Id;
  name: string;
  mtimeSecs: number;
  usn: number;
  json: JsonObjectText;
}

/** What decides whether an incoming notetype fits the stored one. */
export interface NotetypeShape {
  id: Id;
  name: string;
  mtimeSecs: number;
  fieldCount: number;
  templateCount: number;
  /** Index of the sort field. */
  sortField: number;
}

export type ObjectKind = 'notetypes' | 'decks' | 'deckConfigs';

/** Row kinds in Anki's own order of columns; see `schema/schema11.ts`. */
export type RowKind = 'revlog' | 'cards' | 'notes';

export interface TableCounts {
  cards: number;
  notes: number;
  revlog: number;
  notetypes: number;
  decks: number;
  deckConfigs: number;
}

/** What of a collection is wanted for a page. */
export interface OverviewRequest {
  nowMillis: number;
  /** Days of reviews, today included. 0: none are looked at. */
  days: number;
}

/** One day with reviews. */
export interface ReviewDay {
  /** Days before today; today is 0. A day begins when the collection says so: by its offset from UTC and its rollover hour. */
  daysAgo: number;
  reviews: number;
  /** Spent answering. */
  millis: number;
}

/** What a page shows of a collection. */
export interface CollectionOverview {
  /** Exact, or undefined where counting would take long. */
  cards: number | undefined;
  notes: number | undefined;
  /** The `mod` of the collection: when it last changed. */
  modifiedMillis: number;
  /** When a normal sync or a download last ended here; 0 for never. */
  lastSyncMillis: number;
  /** As in `CollectionMeta`; of a collection that is not open, its file's. */
  bytes: number;
  /** Days with reviews alone, the latest first. */
  reviewDays: ReviewDay[];
}

/** A consistent copy of a collection, schema 11, to be sent to a client. */
export interface ExportedFile {
  /** A local file that the caller owns and deletes. */
  path: string;
  bytes: number;
}

/**
 * PLUG CollectionStore.
 *
 * A user who was never seen has a fresh collection: `mod` 0, `usn` 0, empty, with the default deck, preset and stock notetypes.
 *
 * @example the engine, for one normal sync
 * const session = await store.begin(user, sessionKey);
 * const graves = await session.pendingGraves(clientUsn);
 * await session.mergeRows('cards', rows, clientUsn);
 * await session.commit(Date.now()); // from here on, and never before, others see it
 */
export interface CollectionStore {
  /** Committed state only: never what a running session wrote. */
  meta(user: UserPlace): Promise<CollectionMeta>;

  /**
   * Begins the one running session of a user. The engine has ended any earlier one.
   * Nothing of a session MUST be visible to `meta`, `exportFile` or another process before `commit`,
   * and an unfinished session MUST be gone without trace after a crash.
   */
  begin(user: UserPlace, sessionKey: string): Promise<CollectionSession>;

  /** Folder for a file that waits for `importFile`, on the file system where that is cheapest; made if missing. */
  stagingFolder(user: UserPlace): Promise<string>;

  /**
   * Replaces the whole collection by the file at `path`: checked, schema 11, closed, written to disk by the caller.
   * All or nothing; the previous state is kept as a snapshot first (bounded by the store's options). The file is consumed.
   */
  importFile(user: UserPlace, path: string): Promise<void>;

  /** First raises the usn by one and sets `mod` to now, as Anki's server does before each download; then copies a consistent state. */
  exportFile(user: UserPlace): Promise<ExportedFile>;

  /**
   * For backups: writes what is committed to the new local file `path`, in the form of an `.anki2` file, and changes nothing,
   * not even the usn. Answers whether the user has a collection yet. No session is running. A store that cannot leaves it out.
   */
  copyTo?(user: UserPlace, path: string): Promise<boolean>;

  /**
   * For a page: what is committed, at a cost that does not grow with the collection, but with the reviews of those days alone. MUST change
   * nothing. Null: the user has no collection yet. No session is running. A store that cannot leaves it out.
   */
  overview?(user: UserPlace, request: OverviewRequest): Promise<CollectionOverview | null>;

  /** For the log, when the collection cannot be read: where it rests, and the newest snapshot of it that could be restored. */
  whereabouts?(user: UserPlace): Promise<{ place: string; snapshot?: string }>;

  /** Lets go of everything held for one user (file handles, caches). No session is running. */
  release(user: UserPlace): Promise<void>;

  /** Ends all. Running sessions are rolled back. */
  close(): Promise<void>;
}

/**
 * A running normal sync on one collection, in one transaction. After `commit` or `rollback` every call rejects.
 * A call that rejects may have done a part of its work: the engine then rolls back.
 */
export interface CollectionSession {
  /** As of `begin`. */
  readonly usn: number;

  /** Graves with `usn >= sinceUsn` (or `= -1` when `sinceUsn` is -1). */
  pendingGraves(sinceUsn: number): Promise<Graves>;

  /** Removes the objects, if they are there, and adds a grave with `usn` for each, even where nothing was removed. */
  applyGraves(graves: Graves, usn: number): Promise<void>;

  /** Objects with `usn >= sinceUsn`. */
  pendingObjects(kind: ObjectKind, sinceUsn: number): Promise<NamedObject[]>;

  /** Id, name, mtime of all objects of a kind, without their bodies. */
  objectStamps(kind: ObjectKind): Promise<Omit<NamedObject, 'json'>[]>;

  notetypeShapes(): Promise<NotetypeShape[]>;

  /** Adds or replaces whole objects. */
  putObjects(kind: ObjectKind, objects: NamedObject[]): Promise<void>;

  /** Tag names with `usn >= sinceUsn`. */
  pendingTags(sinceUsn: number): Promise<string[]>;
  allTags(): Promise<string[]>;
  addTags(names: string[], usn: number): Promise<void>;

  /** The whole config map as JSON text. */
  config(): Promise<JsonObjectText>;
  /** Replaces the whole config map. */
  setConfig(config: JsonObjectText): Promise<void>;
  /** Creation time of the collection, seconds. */
  creationSecs(): Promise<number>;
  setCreationSecs(secs: number): Promise<void>;

  /** Ids of rows with `usn >= sinceUsn`, in the order of (usn, id). */
  pendingIds(kind: RowKind, sinceUsn: number): Promise<Id[]>;

  /** The rows of these ids, in that order; ids that are gone are left out. A note's `sfld` and `csum` are empty strings, `flags` 0 and `data` empty: clients compute them. */
  rows(kind: RowKind, ids: Id[]): Promise<JsonArrayText>;

  /** About how many bytes of text `rows` would answer for each of these ids, in that order; 0 for one that is gone. Never reads the texts. */
  rowBytes(kind: RowKind, ids: Id[]): Promise<number[]>;

  /**
   * Adds or replaces rows. Who wins (trap 6 of the protocol): a card or note is dropped only when the stored one is
   * pending (`usn >= sinceUsn`, or `= -1` when `sinceUsn` is -1) and its `mod` is equal or newer. A revlog row never overwrites.
   */
  mergeRows(kind: RowKind, rows: readonly Row[], sinceUsn: number): Promise<void>;

  /** `usn` and `mod` (seconds) of those of the notes that exist. */
  noteStamps(ids: Id[]): Promise<{ id: Id; usn: number; mtimeSecs: number }[]>;

  /** Cards buried by hand (queue -3) or by the scheduler (-2) get the queue of their type back; usn and mod stay. */
  unburyCards(): Promise<void>;

  /** A store may keep counts of rows over the syncs. With `anew` it MUST count: asked before a client is told that it has others. */
  counts(anew?: boolean): Promise<TableCounts>;
  /** Whether any object of any table, graves and tags included, has usn -1. */
  hasUnsentObjects(): Promise<boolean>;

  /**
   * Raises the usn by one, sets `mod` and `ls` to `nowMillis`, and makes everything durable and visible. Answers the `mod`,
   * which MUST be above the one before even when the clock went back: clients take an equal `mod` for "no changes". One that is more
   * than five minutes ahead came from a wrong clock, and MUST NOT be kept.
   */
  commit(nowMillis: number): Promise<number>;
  rollback(): Promise<void>;
}

/** One name in a user's media index. */
export interface MediaEntry {
  name: string;
  /** Lower-case hex; of the last bytes also where the file was deleted. */
  sha1: string;
  /** 0 means deleted. */
  bytes: number;
  usn: number;
}

export interface MediaTotals {
  lastUsn: number;
  totalBytes: number;
  /** Not counting deleted names. */
  fileCount: number;
}

/** One accepted change: a file that is staged in `MediaFiles` under its sha1, or a deletion. */
export type MediaChange =
  | { name: string; sha1: string; bytes: number; deleted?: false }
  | { name: string; deleted: true };

/**
 * PLUG MediaStore: the index. It decides nothing; `media/upload.ts` does.
 *
 * Index and files agree after a crash because `apply` also remembers its changes as unsettled, in the same transaction.
 * They may stay unsettled over many calls, since staged files are served like others.
 *
 * @example `media/upload.ts`, for one zip
 * await files.stage(user, staged);
 * const usn = await store.apply(user, changes); // from here on it is so, and a crash cannot undo it
 * @example `media/user-media.ts`, once the user is idle
 * const changes = await store.unsettled(user, 400);
 * await files.settle(user, changes);
 * await store.settled(user, changes);
 * await files.discardStaged(user); // once nothing is unsettled
 */
export interface MediaStore {
  totals(user: UserPlace): Promise<MediaTotals>;
  /** Entries with `usn > afterUsn` in the order of usn, at most `limit`. Deleted ones included. */
  changesAfter(user: UserPlace, afterUsn: number, limit: number): Promise<MediaEntry[]>;
  /**
   * The same as JSON text, `[[name, usn, sha1], …]` with an empty sha1 for a deleted one, where the store can write that faster.
   * The next page is asked for ahead: a store does well to remember the last one that it wrote, as long as nothing changes.
   */
  changesTextAfter?(user: UserPlace, afterUsn: number, limit: number): Promise<JsonArrayText>;
  /** Entries of those of the names that are known, deleted ones included, in any order. */
  entries(user: UserPlace, names: string[]): Promise<MediaEntry[]>;
  /**
   * Applies all changes in their order and in one transaction, each with the next usn, keeps the totals, and remembers
   * them as unsettled. A name may occur twice. A deletion keeps the sha1 of the entry; of a name that is unknown or
   * already deleted it MUST reject. Answers the last usn.
   */
  apply(user: UserPlace, changes: MediaChange[]): Promise<number>;
  /**
   * What was applied since the last `settled`: one change per name, its last, and only those that the index still says.
   * An entry that something else wrote since (another server on the same data) MUST be left out. With `limit`, so many of them:
   * the oldest, where the store knows them.
   */
  unsettled(user: UserPlace, limit?: number): Promise<MediaChange[]>;
  /** How much `unsettled` would hand out, at little cost: it is asked before each upload. */
  unsettledTotals(user: UserPlace): Promise<{ names: number; bytes: number }>;
  /**
   * Takes changes that `unsettled` handed out last from it; empties it where there are none. A loss of power may undo it, since settling
   * again changes nothing.
   */
  settled(user: UserPlace, changes?: MediaChange[]): Promise<void>;
  /**
   * Forgets names whose bytes are gone, without a deletion entry and without a usn, so that the loss does not spread to
   * clients. Names that are unknown or deleted MUST stay as they are.
   */
  forget(user: UserPlace, names: string[]): Promise<void>;
  /** For backups: writes the index to the new local file `path`, in the form of `media.db`. As `CollectionStore.copyTo`. */
  copyTo?(user: UserPlace, path: string): Promise<boolean>;
  release(user: UserPlace): Promise<void>;
  close(): Promise<void>;
}

/** Bytes that lie in a local file, from `offset` on. */
export interface FileRange {
  path: string;
  offset: number;
  bytes: number;
}

/**
 * PLUG MediaFiles: the bytes, addressed by user, name and SHA-1, so that a bucket can hold them.
 * Names are any NFC string of 1 to 255 bytes without `/`, NUL, and not `.` or `..`: where the medium cannot hold a name, the implementation maps it.
 *
 * A client waits for `stage`, but not for `settle`: what needs many writes to become durable belongs into the latter.
 */
export interface MediaFiles {
  /**
   * Local folder for files on their way in (an upload being received) or out (a zip being sent), on the file system where
   * `stage` is cheapest; made if missing. Who puts a file there removes it; what an earlier process left there, the
   * implementation removes.
   */
  stagingFolder(user: UserPlace): Promise<string>;
  /**
   * Keeps bytes durably under (name, sha1), without touching what `read` of an older sha1 finds. They lie in files of the
   * staging folder, often many in one, an uploaded zip. Those files may be taken away; the caller removes what is left of them.
   */
  stage(user: UserPlace, files: ({ name: string; sha1: string } & FileRange)[]): Promise<void>;
  /**
   * As `stage`, of a small upload that is in memory: `offset` counts in `whole`, which may be overwritten when this is done. A store
   * that leaves it out gets uploads as files.
   */
  stageBytes?(user: UserPlace, whole: Uint8Array, files: { name: string; sha1: string; offset: number; bytes: number }[]): Promise<void>;
  /**
   * Makes staged files current, durably and without `stage`d copies, and removes deleted ones: at most one change per name.
   * Idempotent: called again after a crash with the same changes, when some or all of them were done.
   */
  settle(user: UserPlace, changes: MediaChange[]): Promise<void>;
  /** Drops all that was staged. Called when everything that `MediaStore` had unsettled is settled. */
  discardStaged(user: UserPlace): Promise<void>;
  /** A file that is current or staged, or null when its bytes are gone. The range may be read while no other call for the user runs. */
  read(user: UserPlace, name: string, sha1: string): Promise<FileRange | null>;
  /**
   * Whether there is any file of the user's at all. Where the index has files and this says no, a disk is not mounted or a folder
   * was lost: nothing is forgotten then. A store whose files cannot go away all at once leaves it out.
   */
  hasAny?(user: UserPlace): Promise<boolean>;
  release(user: UserPlace): Promise<void>;
  close(): Promise<void>;
}
