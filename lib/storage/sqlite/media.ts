/**
 * The media index as Anki's server keeps it: `<base>/<folder>/media.db`, `user_version` 4.
 * A table of our own remembers what is not settled yet; Anki's server ignores it, so the folder can go back and forth.
 */
import { existsSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { SyncError } from '../../errors.ts';
import { makeFolder, removeFile, replaceFile } from '../files/durable.ts';
import { userFolder } from '../files/user-folder.ts';
import type { JsonArrayText, MediaChange, MediaEntry, MediaStore, MediaTotals, UserPlace } from '../storage.ts';
import { isThere } from './collection-file.ts';
import { copyClosedDatabase } from './database-copy.ts';

export interface SqliteMediaStoreOptions {
  /** Folder of all users. */
  base: string;
  /** Most databases that are open at once; the one that was used longest ago is closed. Default 32. */
  maxOpen?: number;
}

const SCHEMA_VERSION = 4;

/**
 * An index that was lost is begun anew while its files are still there. Devices ask for changes later than the last one that they
 * have seen: what comes now must be later than that, whatever it was.
 */
const USNS_OF_A_LOST_INDEX = 1_000_000;

/** A blob would come as a Buffer of its own, which takes longer than all the rest of a row. */
const ENTRY = 'm.fname AS name, lower(hex(m.csum)) AS sha1, m.size AS bytes, m.usn AS usn';

export default (options: SqliteMediaStoreOptions): MediaStore => new SqliteMediaStore(options);

export class SqliteMediaStore implements MediaStore {
  readonly #base: string;
  readonly #maxOpen: number;
  /** In the order of use. */
  readonly #open = new Map<string, Index>();

  constructor(options: SqliteMediaStoreOptions) {
    this.#base = options.base;
    this.#maxOpen = options.maxOpen ?? 32;
  }

  async totals(user: UserPlace): Promise<MediaTotals> {
    return this.#with(user, (index) => index.totals());
  }

  async changesAfter(user: UserPlace, afterUsn: number, limit: number): Promise<MediaEntry[]> {
    return this.#with(user, (index) => index.changesAfter(afterUsn, limit));
  }

  async changesTextAfter(user: UserPlace, afterUsn: number, limit: number): Promise<JsonArrayText> {
    return this.#with(user, (index) => index.changesTextAfter(afterUsn, limit));
  }

  async entries(user: UserPlace, names: string[]): Promise<MediaEntry[]> {
    return this.#with(user, (index) => index.entries(names));
  }

  async apply(user: UserPlace, changes: MediaChange[]): Promise<number> {
    return this.#with(user, (index) => index.apply(changes));
  }

  async unsettled(user: UserPlace, limit?: number): Promise<MediaChange[]> {
    return this.#with(user, (index) => index.unsettled(limit));
  }

  async unsettledTotals(user: UserPlace): Promise<{ names: number; bytes: number }> {
    return this.#with(user, (index) => index.unsettledTotals());
  }

  async settled(user: UserPlace, changes?: MediaChange[]): Promise<void> {
    this.#with(user, (index) => index.settled(changes));
  }

  async forget(user: UserPlace, names: string[]): Promise<void> {
    this.#with(user, (index) => index.forget(names));
  }

  async copyTo(user: UserPlace, path: string): Promise<boolean> {
    await this.release(user);
    const index = join(userFolder(this.#base, user), 'media.db');
    if (!existsSync(index)) return false;
    await copyClosedDatabase(index, path);
    return true;
  }

  async release(user: UserPlace): Promise<void> {
    this.#open.get(user.folder)?.close();
    this.#open.delete(user.folder);
  }

  async close(): Promise<void> {
    for (const index of this.#open.values()) index.close();
    this.#open.clear();
  }

  /** Tells a damaged index from a damaged collection, and lets go of it: somebody will put another one in its place. */
  #with<Result>(user: UserPlace, use: (index: Index) => Result): Result {
    try {
      return use(this.#index(user));
    } catch (error) {
      if (!isDamage(error)) throw error;
      try {
        this.#open.get(user.folder)?.close();
      } catch {
        // the damage was told
      }
      this.#open.delete(user.folder);
      throw new SyncError('MEDIA_INDEX_DAMAGED', 'the media index is damaged', {
        cause: error,
        detail: `${join(userFolder(this.#base, user), 'media.db')}: ${(error as Error).message}; restore it from a backup, `
          + 'or stop the server and move it away: devices then send their media again',
      });
    }
  }

  #index(user: UserPlace): Index {
    let index = this.#open.get(user.folder);
    if (index === undefined) {
      const folder = userFolder(this.#base, user);
      makeFolder(folder);
      const path = join(folder, 'media.db');
      if (!isThere(path)) createIndexFile(path, hasMedia(folder) ? USNS_OF_A_LOST_INDEX : 0);
      requireSoundIndex(path);
      index = new Index(path);
    }
    this.#open.delete(user.folder);
    this.#open.set(user.folder, index);
    for (const [folder, oldest] of this.#open) {
      if (this.#open.size <= this.#maxOpen) break;
      oldest.close();
      this.#open.delete(folder);
    }
    return index;
  }
}

/** One open `media.db`. */
class Index {
  readonly #db: Database.Database;
  readonly #totals: Database.Statement<[], MediaTotals>;
  readonly #setTotals: Database.Statement<[number, number, number]>;
  readonly #entry: Database.Statement<[string], MediaEntry>;
  readonly #setEntry: Database.Statement<[string, Buffer, number, number, number]>;
  readonly #removeEntry: Database.Statement<[string]>;
  readonly #changesAfter: Database.Statement<[number, number], MediaEntry>;
  readonly #changesTextAfter: Database.Statement<[number, number], string>;
  readonly #unsettled: Database.Statement<[number], MediaEntry>;
  readonly #unsettledTotals: Database.Statement<[], { names: number; bytes: number }>;
  readonly #unsettledSize: Database.Statement<[string, number], number>;
  readonly #setUnsettled: Database.Statement<[string, number]>;
  readonly #removeUnsettled: Database.Statement<[]>;
  readonly #removeOneUnsettled: Database.Statement<[string]>;
  /** What was written last of `changesTextAfter`, until something changes. */
  #page: { afterUsn: number; limit: number; text: JsonArrayText } | undefined;
  /** Counted once, and kept since: nobody else has the index open. Undefined when it must be counted. */
  #totalUnsettled: { names: number; bytes: number } | undefined;

  constructor(path: string) {
    const db = openIndex(path);
    this.#db = db;
    this.#totals = db.prepare(
      'SELECT last_usn AS lastUsn, total_bytes AS totalBytes, total_nonempty_files AS fileCount FROM meta',
    );
    this.#setTotals = db.prepare('UPDATE meta SET last_usn = ?, total_bytes = ?, total_nonempty_files = ?');
    this.#entry = db.prepare(`SELECT ${ENTRY} FROM media m WHERE fname = ?`);
    this.#setEntry = db.prepare('INSERT OR REPLACE INTO media (fname, csum, size, usn, mtime) VALUES (?, ?, ?, ?, ?)');
    this.#removeEntry = db.prepare('DELETE FROM media WHERE fname = ?');
    this.#changesAfter = db.prepare(`SELECT ${ENTRY} FROM media m WHERE usn > ? ORDER BY usn LIMIT ?`);
    this.#changesTextAfter = db.prepare<[number, number], string>(
      `SELECT json_group_array(json_array(fname, usn, sha1)) FROM
        (SELECT fname, usn, iif(size = 0, '', lower(hex(csum))) AS sha1 FROM media WHERE usn > ? ORDER BY usn LIMIT ?)`,
    ).pluck();
    // an entry of another usn was written by Anki's server since: its file is newer than what we had staged
    const unsettled = 'FROM anki_sync_unsettled u JOIN media m ON m.fname = u.fname AND m.usn = u.usn';
    // in the order of the index, which ends at the limit: thousands may wait
    this.#unsettled = db.prepare(
      `SELECT ${ENTRY} FROM media m INDEXED BY ix_usn CROSS JOIN anki_sync_unsettled u ON u.fname = m.fname AND u.usn = m.usn
        WHERE m.usn >= (SELECT min(usn) FROM anki_sync_unsettled) ORDER BY m.usn LIMIT ?`,
    );
    this.#unsettledTotals = db.prepare(`SELECT count(*) AS names, coalesce(sum(m.size), 0) AS bytes ${unsettled}`);
    this.#unsettledSize = db.prepare<[string, number], number>(`SELECT m.size ${unsettled} WHERE u.fname = ? AND u.usn = ?`).pluck();
    this.#setUnsettled = db.prepare('INSERT OR REPLACE INTO anki_sync_unsettled (fname, usn) VALUES (?, ?)');
    this.#removeUnsettled = db.prepare('DELETE FROM anki_sync_unsettled');
    this.#removeOneUnsettled = db.prepare('DELETE FROM anki_sync_unsettled WHERE fname = ?');
  }

  totals(): MediaTotals {
    return this.#totals.get()!;
  }

  changesAfter(afterUsn: number, limit: number): MediaEntry[] {
    return this.#changesAfter.all(afterUsn, limit);
  }

  changesTextAfter(afterUsn: number, limit: number): JsonArrayText {
    if (this.#page?.afterUsn !== afterUsn || this.#page.limit !== limit) {
      this.#page = { afterUsn, limit, text: this.#changesTextAfter.get(afterUsn, limit)! };
    }
    return this.#page.text;
  }

  entries(names: string[]): MediaEntry[] {
    return names.flatMap((name) => this.#entry.get(name) ?? []);
  }

  apply(changes: MediaChange[]): number {
    const mtimeSecs = Math.floor(Date.now() / 1000);
    const unsettled = this.unsettledTotals();
    this.#totalUnsettled = undefined;
    const last = this.#transaction(() => {
      let { lastUsn, totalBytes, fileCount } = this.totals();
      for (const change of changes) {
        const old = this.#entry.get(change.name);
        const oldBytes = old?.bytes ?? 0;
        const waiting = old === undefined ? undefined : this.#unsettledSize.get(old.name, old.usn);
        unsettled.names += waiting === undefined ? 1 : 0;
        unsettled.bytes += (change.deleted === true ? 0 : change.bytes) - (waiting ?? 0);
        if (change.deleted === true) {
          if (old === undefined || oldBytes === 0) throw new Error('a media file to be deleted is not in the index');
          this.#setEntry.run(change.name, Buffer.from(old.sha1, 'hex'), 0, ++lastUsn, mtimeSecs);
          fileCount -= 1;
          totalBytes -= oldBytes;
        } else {
          this.#setEntry.run(change.name, Buffer.from(change.sha1, 'hex'), change.bytes, ++lastUsn, mtimeSecs);
          fileCount += oldBytes === 0 ? 1 : 0;
          totalBytes += change.bytes - oldBytes;
        }
        this.#setUnsettled.run(change.name, lastUsn);
      }
      // totals that an older server left wrong must not go below zero: Anki's server reads them as unsigned
      this.#setTotals.run(lastUsn, Math.max(0, totalBytes), Math.max(0, fileCount));
      return lastUsn;
    });
    this.#totalUnsettled = unsettled;
    return last;
  }

  unsettled(limit = -1): MediaChange[] {
    return this.#unsettled.all(limit).map(({ name, sha1, bytes }) => (bytes === 0 ? { name, deleted: true } : { name, sha1, bytes }));
  }

  unsettledTotals(): { names: number; bytes: number } {
    return { ...(this.#totalUnsettled ??= this.#unsettledTotals.get()!) };
  }

  settled(changes: MediaChange[] | undefined): void {
    const left = changes === undefined ? undefined : without(this.unsettledTotals(), changes);
    this.#totalUnsettled = undefined;
    // need not survive a loss of power, since settling again changes nothing: spare the fsync
    this.#db.pragma('synchronous = NORMAL');
    try {
      this.#transaction(() => {
        if (changes === undefined) this.#removeUnsettled.run();
        else for (const { name } of changes) this.#removeOneUnsettled.run(name);
      });
    } finally {
      this.#db.pragma('synchronous = FULL');
    }
    this.#totalUnsettled = left;
  }

  forget(names: string[]): void {
    this.#totalUnsettled = undefined;
    this.#transaction(() => {
      let { lastUsn, totalBytes, fileCount } = this.totals();
      for (const name of names) {
        const old = this.#entry.get(name);
        if (old === undefined || old.bytes === 0) continue;
        this.#removeEntry.run(name);
        totalBytes -= old.bytes;
        fileCount -= 1;
      }
      this.#setTotals.run(lastUsn, Math.max(0, totalBytes), Math.max(0, fileCount));
    });
  }

  close(): void {
    this.#db.close();
  }

  #transaction<Result>(change: () => Result): Result {
    this.#page = undefined;
    return this.#db.transaction(change).immediate();
  }
}

function without({ names, bytes }: { names: number; bytes: number }, changes: MediaChange[]): { names: number; bytes: number } {
  return { names: names - changes.length, bytes: changes.reduce((left, change) => left - (change.deleted === true ? 0 : change.bytes), bytes) };
}

/**
 * Written beside its place and renamed: neither a crash nor a full disk leaves half of an index, or one that begins at 0. The next change
 * has a later usn than `lastUsn`.
 */
function createIndexFile(path: string, lastUsn: number): void {
  // a log without its index would be replayed into the new one
  for (const suffix of ['-wal', '-journal']) if (existsSync(path + suffix)) renameSync(path + suffix, `${path}.aside-${Date.now()}${suffix}`);
  const temporary = `${path}.new`;
  for (const suffix of ['-journal', '']) removeFile(temporary + suffix);
  const db = new Database(temporary);
  try {
    upgrade(db);
    db.prepare('UPDATE meta SET last_usn = ?').run(lastUsn);
  } finally {
    db.close();
  }
  replaceFile(temporary, path);
}

/** SQLite takes a file of no bytes for a new database; we make ours, and a folder with files has one. */
function requireSoundIndex(path: string): void {
  if (!isThere(path)) return;
  const stat = statSync(path);
  if (!stat.isFile()) throw new DamagedIndex(`it is ${stat.isDirectory() ? 'a folder' : 'no file'}`);
  if (stat.size === 0 && !isThere(`${path}-wal`) && hasMedia(dirname(path))) throw new DamagedIndex('it has no bytes');
}

class DamagedIndex extends Error {}

function isDamage(error: unknown): boolean {
  if (error instanceof DamagedIndex) return true;
  // SQLITE_ERROR: a database without our tables, or with other ones
  return error instanceof Database.SqliteError && /^SQLITE_(CORRUPT|NOTADB|ERROR$)/.test(error.code);
}

/** Also such that wait to be brought to their places: of a user who has just begun, they may be all. */
function hasMedia(userFolder: string): boolean {
  return ['media', '.anki-sync-media/mapped', '.anki-sync-media/staged'].some((each) => {
    const folder = join(userFolder, each);
    return existsSync(folder) && readdirSync(folder).length > 0;
  });
}

export function openIndex(path: string): Database.Database {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { timeout: 500 });
    // exclusive before WAL, as Anki's server does: no shared memory file, and no second server on the same data
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    // macOS only: there a plain fsync leaves data in the drive's cache
    db.pragma('fullfsync = ON');
    db.pragma('trusted_schema = OFF');
    db.pragma('cache_size = -512');
    upgrade(db);
    return db;
  } catch (error) {
    db?.close();
    throw error;
  }
}

function upgrade(db: Database.Database): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  if (version > SCHEMA_VERSION) {
    throw new SyncError('INTERNAL', 'the media index is of a newer server', { detail: `media.db has user_version ${version}` });
  }
  db.transaction(() => {
    if (version < 3) db.exec(VERSION_3);
    if (version < 4) db.exec(VERSION_4);
    db.exec(OURS);
  }).immediate();
}

/** Servers before Anki 2.1.57. A deleted name has no checksum. */
const VERSION_3 = `
  CREATE TABLE IF NOT EXISTS media (
    fname text NOT NULL PRIMARY KEY, csum blob, sz int NOT NULL, usn int NOT NULL, deleted int NOT NULL);
  CREATE INDEX IF NOT EXISTS ix_usn ON media (usn);
  CREATE TABLE IF NOT EXISTS meta (usn int NOT NULL, sz int NOT NULL);
  INSERT INTO meta (usn, sz) VALUES (0, 0);
`;

/** Size 0 means deleted; the checksum of deleted files is kept. Entries without one are dropped, as Anki's server does. */
const VERSION_4 = `
  DROP INDEX ix_usn;
  ALTER TABLE media RENAME TO media_3;
  CREATE TABLE media (
    fname text NOT NULL PRIMARY KEY, csum blob NOT NULL, size int NOT NULL, usn int NOT NULL, mtime int NOT NULL);
  INSERT INTO media SELECT fname, csum, sz, usn, deleted FROM media_3 WHERE csum IS NOT NULL;
  DROP TABLE media_3;
  CREATE INDEX ix_usn ON media (usn);
  DROP TABLE meta;
  CREATE TABLE meta (last_usn int NOT NULL, total_bytes int NOT NULL, total_nonempty_files int NOT NULL);
  INSERT INTO meta SELECT coalesce(max(usn), 0), coalesce(sum(size), 0), count(CASE WHEN size > 0 THEN 1 END) FROM media;
  PRAGMA user_version = 4;
`;

const OURS = `
  CREATE TABLE IF NOT EXISTS anki_sync_unsettled (fname text NOT NULL PRIMARY KEY, usn int NOT NULL) WITHOUT ROWID;
`;
