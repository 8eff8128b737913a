import { randomBytes } from 'node:crypto';
import { constants, copyFileSync, existsSync, lstatSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Database, Statement } from 'better-sqlite3';
import { SyncError } from '../../errors.ts';
import { makeFolder, removeFile, replaceFile } from '../files/durable.ts';
import { removeStaged, stagingFolder } from '../files/staging.ts';
import { userFolder } from '../files/user-folder.ts';
import type { CollectionMeta, CollectionOverview, CollectionSession, CollectionStore, ExportedFile, OverviewRequest, UserPlace } from '../storage.ts';
import { closedSchemaVersion, createCollectionFile, hasJournal, isThere, openCollectionFile, schemaVersionOf } from './collection-file.ts';
import { readOverview, USED_BYTES } from './collection-overview.ts';
import { requireRoomToWrite, requireSoundFile } from './collection-room.ts';
import { NEXT_MOD, SqliteCollectionSession, type Remembered } from './collection-session.ts';
import { copyClosedDatabase, enterWalMode } from './database-copy.ts';
import { keepRowCounts, readRowCounts, type CountedState } from './row-counts.ts';
import { dropSnapshotsInUse, listSnapshots, pruneSnapshots, SNAPSHOT_LIMITS, takeSnapshot, type SnapshotLimits } from './snapshots.ts';

export interface SqliteCollectionOptions {
  /** Folder of all users' folders. */
  base: string;
  /** Page cache of each open collection. Default 4096 KiB. */
  cacheKib?: number;
  snapshots?: Partial<SnapshotLimits>;
}

/**
 * Characters of notetypes, decks, presets and tags that stay in memory between two syncs, of all open collections together.
 * Those of a usual collection have less than 100,000; 5,000 decks have two million.
 */
const MAX_REMEMBERED_LENGTH = 8 * 1024 ** 2;

/** An open collection: the connection, its statements by text, and the one running session. */
interface OpenCollection {
  db: Database;
  /** Of the file: somebody may replace it behind our back. */
  inode: number;
  statements: Map<string, Statement>;
  remembered: Remembered;
  session: SqliteCollectionSession | undefined;
}

/**
 * One `collection.anki2` per user, laid out as the official server does, in schema 11.
 * Runs in the thread that holds the user; nothing else opens these files while it does.
 */
export class SqliteCollectionStore implements CollectionStore {
  #base: string;
  #cacheKib: number;
  #snapshots: SnapshotLimits;
  #open = new Map<string, OpenCollection>();

  constructor(options: SqliteCollectionOptions) {
    this.#base = options.base;
    this.#cacheKib = options.cacheKib ?? 4096;
    this.#snapshots = { ...SNAPSHOT_LIMITS, ...options.snapshots };
  }

  async meta(user: UserPlace): Promise<CollectionMeta> {
    requireRoomToWrite(this.#folder(user));
    const collection = await this.#opened(user);
    if (collection.session !== undefined) throw new Error('meta while a session runs would see what it wrote');
    const [mod, scm, usn, empty, schedVer, offset, bytes] = statement(
      collection,
      `SELECT mod, scm, usn, NOT EXISTS (SELECT 1 FROM cards), conf ->> '$.schedVer', json_type(conf, '$.creationOffset'), ${USED_BYTES} FROM col`,
    )
      .raw()
      .get() as [number, number, number, number, number | null, string | null, number];
    return {
      modifiedMillis: mod,
      schemaModifiedMillis: scm,
      usn,
      empty: empty === 1,
      v2Scheduler: Number(schedVer ?? 1) >= 2,
      v2Timezone: offset === 'integer' || offset === 'real',
      bytes,
      inode: collection.inode,
    };
  }

  async begin(user: UserPlace, _sessionKey: string): Promise<CollectionSession> {
    const collection = await this.#opened(user);
    await collection.session?.rollback();
    collection.session = new SqliteCollectionSession(
      collection.db,
      (sql) => statement(collection, sql),
      collection.remembered,
      () => {
        if (!this.#isInPlace(user, collection)) throw new SyncError('SYNC_NOT_ACTIVE', 'the collection was replaced during the sync');
      },
      () => {
        collection.session = undefined;
        this.#forgetWhatIsTooMuch(collection);
      },
    );
    return collection.session;
  }

  async stagingFolder(_user: UserPlace): Promise<string> {
    return stagingFolder(this.#base);
  }

  async importFile(user: UserPlace, path: string): Promise<void> {
    const folder = this.#folder(user);
    const target = this.#path(user);
    this.#close(user.folder);
    this.#replace(folder, target, path);
  }

  async exportFile(user: UserPlace): Promise<ExportedFile> {
    const collection = await this.#opened(user);
    await collection.session?.rollback();
    // closing writes the log back, and syncs it before and the file after: a sync of its own says nothing more
    collection.db.pragma('synchronous = NORMAL');
    try {
      statement(collection, `UPDATE col SET usn = usn + 1, mod = ${NEXT_MOD}`).run({ now: BigInt(Date.now()) });
    } catch (error) {
      collection.db.pragma('synchronous = FULL');
      throw error;
    }
    // Closed first: closing any descriptor of a file drops the process's POSIX locks on it, so no raw copy while SQLite has it open.
    this.#close(user.folder);
    if (hasJournal(this.#path(user))) throw new SyncError('DISK_FULL', 'the log could not be written back');
    const copy = join(stagingFolder(this.#base), `download-${randomBytes(12).toString('hex')}.anki2`);
    try {
      await copyClosedDatabase(this.#path(user), copy);
      return { path: copy, bytes: statSync(copy).size };
    } catch (error) {
      await removeStaged(copy);
      throw error;
    }
  }

  /** A collection that was not opened yet stays as the official server left it, also in the copy. */
  async copyTo(user: UserPlace, path: string): Promise<boolean> {
    if (this.#open.get(user.folder)?.session !== undefined) throw new Error('a copy while a session runs would end it');
    this.#close(user.folder);
    if (!existsSync(this.#path(user))) return false;
    await copyClosedDatabase(this.#path(user), path);
    return true;
  }

  async overview(user: UserPlace, request: OverviewRequest): Promise<CollectionOverview | null> {
    // looking at a page makes no collection
    const path = this.#path(user);
    if (!isThere(path)) return null;
    requireSoundFile(path);
    const bytes = statSync(path).size;
    // to be converted by the next sync, which may take long, and not for a page
    if (!this.#open.has(user.folder) && closedSchemaVersion(path) !== 11) {
      return { cards: undefined, notes: undefined, modifiedMillis: 0, lastSyncMillis: 0, bytes, reviewDays: [] };
    }
    const collection = await this.#opened(user);
    if (collection.session !== undefined) throw new Error('an overview while a session runs would see what it wrote');
    return readOverview((sql) => statement(collection, sql), collection.remembered.rowCounts, request);
  }

  async whereabouts(user: UserPlace): Promise<{ place: string; snapshot?: string }> {
    const newest = listSnapshots(userFolder(this.#base, user))[0];
    return { place: this.#path(user), ...(newest === undefined ? {} : { snapshot: newest.name.replace(/\.anki2$/, '') }) };
  }

  async release(user: UserPlace): Promise<void> {
    this.#close(user.folder);
  }

  async close(): Promise<void> {
    for (const folder of [...this.#open.keys()]) this.#close(folder);
  }

  /** The last one that came goes: it is most likely the large one. */
  #forgetWhatIsTooMuch({ remembered }: OpenCollection): void {
    let length = 0;
    for (const { remembered } of this.#open.values()) if (remembered.json !== undefined) length += remembered.jsonLength ?? 0;
    if (length > MAX_REMEMBERED_LENGTH) delete remembered.json;
  }

  #folder(user: UserPlace): string {
    const folder = userFolder(this.#base, user);
    makeFolder(folder);
    return folder;
  }

  #path(user: UserPlace): string {
    return join(userFolder(this.#base, user), 'collection.anki2');
  }

  async #opened(user: UserPlace): Promise<OpenCollection> {
    const path = this.#path(user);
    let collection = this.#open.get(user.folder);
    if (collection !== undefined) {
      if (this.#isInPlace(user, collection)) return collection;
      this.#close(user.folder);
      setJournalAside(path);
    }
    const folder = this.#folder(user);
    if (!isThere(path)) {
      // a log without its collection would be replayed into the new file
      setJournalAside(path);
      createCollectionFile(path);
    }
    requireSoundFile(path);
    dropSnapshotsInUse(folder, path);
    let db = openCollectionFile(path, this.#cacheKib);
    try {
      if (schemaVersionOf(db) !== 11) {
        db.close();
        await this.#adoptOfficial(folder, path);
        db = openCollectionFile(path, this.#cacheKib);
      }
    } catch (error) {
      if (db.open) db.close();
      throw error;
    }
    collection = { db, inode: lstatSync(path).ino, statements: new Map(), remembered: {}, session: undefined };
    const state = stateOf(collection);
    if (state !== undefined) collection.remembered.rowCounts = readRowCounts(path, state);
    this.#open.set(user.folder, collection);
    return collection;
  }

  /** False where somebody removed or replaced it by hand: commits would go to a file that has no name any more. */
  #isInPlace(user: UserPlace, { inode }: OpenCollection): boolean {
    return lstatSync(this.#path(user), { throwIfNoEntry: false })?.ino === inode;
  }

  /** A collection that the official server left, in its own schema: converted on a copy, the original kept as a snapshot. */
  async #adoptOfficial(folder: string, path: string): Promise<void> {
    const copy = join(stagingFolder(this.#base), `adopt-${randomBytes(12).toString('hex')}.anki2`);
    if (hasJournal(path)) throw new SyncError('INTERNAL', 'the log of the stored collection was not written back');
    try {
      copyFileSync(path, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      // what checks and converts takes 13 MiB of code in each thread, and most servers never meet such a collection
      const { prepareUpload } = await import('./anki2.ts');
      const verdict = prepareUpload(copy);
      if (verdict.verdict !== 'ok') {
        throw new SyncError('COLLECTION_DAMAGED', 'the stored collection cannot be opened', {
          detail: verdict.verdict === 'corrupt' ? verdict.reason : `schema ${verdict.schemaVersion}`,
        });
      }
      this.#replace(folder, path, copy);
    } finally {
      await removeStaged(copy);
    }
  }

  #replace(folder: string, target: string, path: string): void {
    if (!isThere(target)) setJournalAside(target);
    let snapshot: string | undefined;
    if (isThere(target)) {
      if (hasJournal(target)) this.#recover(target);
      snapshot = takeSnapshot(folder, target, Date.now());
    }
    try {
      enterWalMode(path);
      replaceFile(path, target);
    } catch (error) {
      try {
        if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
        this.#replaceAcrossFileSystems(path, target);
      } catch (failure) {
        if (snapshot !== undefined) dropIfInUse(snapshot, target);
        throw failure;
      }
    }
    try {
      if (snapshot !== undefined) pruneSnapshots(folder, this.#snapshots);
    } catch {
      // the upload is done; the next one tries again
    }
  }

  /** A crash left a log beside the old collection. It goes into the snapshot; a log nobody can read stays, moved aside. */
  #recover(path: string): void {
    try {
      const db = openCollectionFile(path, this.#cacheKib);
      try {
        db.pragma('wal_checkpoint(TRUNCATE)');
      } finally {
        db.close();
      }
    } catch (error) {
      if (!/^(SQLITE_(CORRUPT|NOTADB)|COLLECTION_DAMAGED)/.test(String((error as { code?: string }).code))) throw error;
      setJournalAside(path);
    }
    if (hasJournal(path)) throw new SyncError('INTERNAL', 'the log of the old collection is still there');
  }

  #replaceAcrossFileSystems(path: string, target: string): void {
    const near = `${target}.new`;
    removeFile(near);
    copyFileSync(path, near, constants.COPYFILE_EXCL);
    replaceFile(near, target);
    removeFile(path);
  }

  /** Rolls back what runs and closes; SQLite then writes the log back into the file and removes it. */
  #close(folder: string): void {
    const collection = this.#open.get(folder);
    if (collection === undefined) return;
    this.#open.delete(folder);
    if (collection.db.inTransaction) collection.db.exec('ROLLBACK');
    const state = stateOf(collection);
    collection.db.close();
    const path = join(this.#base, folder, 'collection.anki2');
    // what may be there instead is not what was counted
    if (lstatSync(path, { throwIfNoEntry: false })?.ino !== collection.inode) return;
    const { rowCounts } = collection.remembered;
    if (rowCounts !== undefined && state !== undefined) keepRowCounts(path, state, rowCounts);
  }
}

/** Undefined where it cannot be read: whoever needs it next is told why. */
function stateOf(collection: OpenCollection): CountedState | undefined {
  try {
    const [modifiedMillis, usn] = statement(collection, 'SELECT mod, usn FROM col').raw().get() as [number, number];
    return { modifiedMillis, usn };
  } catch {
    return undefined;
  }
}

function statement(collection: OpenCollection, sql: string): Statement {
  let prepared = collection.statements.get(sql);
  if (prepared === undefined) {
    prepared = collection.db.prepare(sql);
    collection.statements.set(sql, prepared);
  }
  return prepared;
}

/**
 * Still a second name of the collection in use; after the rename it is the only one of the old collection. A disk that keeps it must not
 * hide why nothing was replaced: it is dropped when the collection is opened next.
 */
function dropIfInUse(snapshot: string, target: string): void {
  try {
    if (statSync(snapshot).ino === statSync(target).ino) unlinkSync(snapshot);
  } catch {
    // told by the failure before it
  }
}

/** Out of SQLite's sight, but not gone: somebody may still want to look at it. */
function setJournalAside(path: string): void {
  for (const suffix of ['-wal', '-journal']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, `${path}.aside-${Date.now()}${suffix}`);
  }
  removeFile(`${path}-shm`);
}

export default (options: SqliteCollectionOptions): CollectionStore => new SqliteCollectionStore(options);
