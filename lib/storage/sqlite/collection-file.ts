import { lstatSync } from 'node:fs';
import Database from 'better-sqlite3';
import { SyncError } from '../../errors.ts';
import { newCollection } from '../../schema/new-collection.ts';
import { removeFile, replaceFile } from '../files/durable.ts';
import type { RowKind } from '../storage.ts';

/** Anki's schema 11, from rslib's `storage/schema11.sql`: what a collection looks like at rest. */
export const SCHEMA_11 = `
CREATE TABLE col (id integer PRIMARY KEY, crt integer NOT NULL, mod integer NOT NULL, scm integer NOT NULL, ver integer NOT NULL,
  dty integer NOT NULL, usn integer NOT NULL, ls integer NOT NULL, conf text NOT NULL, models text NOT NULL, decks text NOT NULL,
  dconf text NOT NULL, tags text NOT NULL);
CREATE TABLE notes (id integer PRIMARY KEY, guid text NOT NULL, mid integer NOT NULL, mod integer NOT NULL, usn integer NOT NULL,
  tags text NOT NULL, flds text NOT NULL, sfld integer NOT NULL, csum integer NOT NULL, flags integer NOT NULL, data text NOT NULL);
CREATE TABLE cards (id integer PRIMARY KEY, nid integer NOT NULL, did integer NOT NULL, ord integer NOT NULL, mod integer NOT NULL,
  usn integer NOT NULL, type integer NOT NULL, queue integer NOT NULL, due integer NOT NULL, ivl integer NOT NULL,
  factor integer NOT NULL, reps integer NOT NULL, lapses integer NOT NULL, left integer NOT NULL, odue integer NOT NULL,
  odid integer NOT NULL, flags integer NOT NULL, data text NOT NULL);
CREATE TABLE revlog (id integer PRIMARY KEY, cid integer NOT NULL, usn integer NOT NULL, ease integer NOT NULL, ivl integer NOT NULL,
  lastIvl integer NOT NULL, factor integer NOT NULL, time integer NOT NULL, type integer NOT NULL);
CREATE TABLE graves (usn integer NOT NULL, oid integer NOT NULL, type integer NOT NULL);
CREATE INDEX ix_notes_usn ON notes (usn);
CREATE INDEX ix_cards_usn ON cards (usn);
CREATE INDEX ix_revlog_usn ON revlog (usn);
CREATE INDEX ix_cards_nid ON cards (nid);
CREATE INDEX ix_cards_sched ON cards (did, queue, due);
CREATE INDEX ix_revlog_cid ON revlog (cid);
CREATE INDEX ix_notes_csum ON notes (csum);
`;

/** Columns in Anki's order, which is also the order of the tuples on the wire. */
export const COLUMNS: Record<RowKind, readonly string[]> = {
  revlog: ['id', 'cid', 'usn', 'ease', 'ivl', 'lastIvl', 'factor', 'time', 'type'],
  cards: ['id', 'nid', 'did', 'ord', 'mod', 'usn', 'type', 'queue', 'due', 'ivl', 'factor', 'reps', 'lapses', 'left', 'odue', 'odid', 'flags', 'data'],
  notes: ['id', 'guid', 'mid', 'mod', 'usn', 'tags', 'flds', 'sfld', 'csum', 'flags', 'data'],
};

/** Kinds of graves in the `type` column. */
export const GRAVE_TYPE = { cards: 0, notes: 1, decks: 2 } as const;

/** Writes a fresh account's collection beside `path` and renames it there: a crash leaves either nothing or all of it. */
export function createCollectionFile(path: string): void {
  const temporary = `${path}.new`;
  removeFile(temporary);
  const db = new Database(temporary);
  try {
    db.pragma('journal_mode = delete');
    db.pragma('page_size = 4096');
    const now = Date.now();
    const fresh = newCollection(now);
    db.transaction(() => {
      db.exec(SCHEMA_11);
      db.prepare('INSERT INTO col VALUES (1, ?, 0, ?, 11, 0, 0, 0, ?, ?, ?, ?, ?)').run(
        fresh.creationSecs,
        now,
        fresh.conf,
        fresh.models,
        fresh.decks,
        fresh.dconf,
        fresh.tags,
      );
    })();
  } finally {
    db.close();
  }
  replaceFile(temporary, path);
}

/**
 * Opens a schema 11 collection for a store that is the only one to use it.
 * `synchronous = FULL`: better-sqlite3's default for WAL is NORMAL, which can lose the last commits with the power.
 * `locking_mode = EXCLUSIVE`, as the official server: no shared-memory file, and nobody else writes behind our back.
 */
export function openCollectionFile(path: string, cacheKib: number): Database.Database {
  const db = new Database(path, { fileMustExist: true, timeout: 0 });
  try {
    db.pragma('trusted_schema = OFF');
    db.pragma('foreign_keys = OFF');
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma(`cache_size = -${cacheKib}`);
    // before anything is written, the mode of the journal included
    schemaVersionOf(db);
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    // macOS only: there a plain fsync leaves data in the drive's cache
    db.pragma('fullfsync = ON');
    // a session does it behind its answer
    db.pragma('wal_autocheckpoint = 0');
    // a sync that touches much may grow the WAL; it is cut back at the next checkpoint
    db.pragma('journal_size_limit = 4194304');
    db.pragma('temp_store = MEMORY');
  } catch (error) {
    db.close();
    throw error;
  }
  return db;
}

/** @throws SyncError COLLECTION_DAMAGED for a sound database that is no collection */
export function schemaVersionOf(db: Database.Database): number {
  try {
    return db.prepare('SELECT ver FROM col').pluck().get() as number;
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code === 'SQLITE_ERROR') throw damaged(`it is no collection (${error.message})`);
    throw error;
  }
}

/** Of a file that nobody in this process has open, without changing anything. */
export function closedSchemaVersion(path: string): number {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: 0 });
  try {
    return schemaVersionOf(db);
  } finally {
    db.close();
  }
}

export function damaged(reason: string): SyncError {
  return new SyncError('COLLECTION_DAMAGED', 'the stored collection cannot be opened', { detail: reason });
}

/** What SQLite leaves beside a database that was not closed. */
export function hasJournal(path: string): boolean {
  return isThere(`${path}-wal`) || isThere(`${path}-journal`);
}

/** Throws where it cannot be known: a disk that fails must not look like an empty one. */
export function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
