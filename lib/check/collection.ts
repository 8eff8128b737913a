import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import Database from 'better-sqlite3';
import { prepareUpload } from '../storage/sqlite/anki2.ts';
import { copyDatabase, DatabaseInUseError } from '../storage/sqlite/database-copy.ts';
import { listSnapshots, snapshotsFolder } from '../storage/sqlite/snapshots.ts';
import type { Tell } from './finding.ts';

/**
 * Looks at copies: the collection itself, and a log beside it, stay as they are.
 *
 * @param scratch a folder for the copy, on a disk with room for it
 */
export function checkCollection(userFolder: string, scratch: string, deep: boolean, tell: Tell): void {
  const path = join(userFolder, 'collection.anki2');
  const snapshots = listSnapshots(userFolder);
  if (existsSync(path)) {
    const reason = onCopy(path, scratch, (db, schemaVersion) => {
      if (schemaVersion > 11) tell('note', 'the collection is as the official server left it; it is converted when its user syncs');
      checkStamps(db, tell);
      checkReferences(db, tell);
    });
    if (reason !== undefined) {
      const way = snapshots.length === 0 ? 'restore it from a backup' : 'restore it from a backup, or from a snapshot of an earlier state (anki-sync snapshots)';
      tell('problem', `the collection cannot be used: ${reason}; ${way}`);
    }
  } else if (existsSync(`${path}-wal`) || existsSync(`${path}-journal`)) {
    tell('problem', 'the collection is missing, but a log of it is there');
  } else if (snapshots.length > 0) {
    tell('problem', 'the collection is missing, but there are snapshots of it: restore the newest (anki-sync restore)');
  }
  if (!deep) return;
  for (const { name } of snapshots) {
    const reason = onCopy(join(snapshotsFolder(userFolder), name), scratch, () => {});
    if (reason !== undefined) tell('problem', `the snapshot ${basename(name, '.anki2')} cannot be used: ${reason}`);
  }
}

/** Runs `look` on a converted copy, or answers what is wrong with the file. */
function onCopy(path: string, scratch: string, look: (db: Database.Database, schemaVersion: number) => void): string | undefined {
  const copy = join(scratch, 'collection.anki2');
  try {
    if (path.includes('.snapshots')) copyFileSync(path, copy);
    else copyDatabase(path, copy);
    const verdict = prepareUpload(copy);
    if (verdict.verdict === 'corrupt') return verdict.reason;
    if (verdict.verdict === 'too-new') return `its schema ${verdict.schemaVersion} is of a newer Anki than this version knows`;
    const db = new Database(copy, { readonly: true });
    try {
      look(db, verdict.schemaVersion);
    } finally {
      db.close();
    }
    return undefined;
  } catch (error) {
    if (error instanceof DatabaseInUseError) throw error;
    if (error instanceof Database.SqliteError) return `it is damaged (${error.code})`;
    throw error;
  } finally {
    for (const suffix of ['', '-wal', '-journal', '-shm']) rmSync(copy + suffix, { force: true });
  }
}

const ROWS = { notes: 'note', cards: 'card', revlog: 'review', graves: 'deletion' } as const;
const OBJECTS = { models: 'notetype', decks: 'deck', dconf: 'preset' } as const;

/** Clients fetch what is later than what they have seen: nothing may be later than the collection itself, or not numbered at all. */
function checkStamps(db: Database.Database, tell: Tell): void {
  const count = (sql: string): number => db.prepare(sql).pluck().get() as number;
  const told = (noun: string, from: string, usn: string): void => {
    const late = count(`SELECT count(*) FROM ${from} WHERE ${usn} > (SELECT usn FROM col)`);
    if (late > 0) tell('problem', `${late} of the ${noun}s have a later update sequence number than the collection: devices fetch them at each sync`);
    const unsent = count(`SELECT count(*) FROM ${from} WHERE ${usn} < 0`);
    if (unsent > 0) tell('problem', `${unsent} of the ${noun}s have no update sequence number: syncs fail at the final check until somebody does a one-way sync`);
  };
  for (const [table, noun] of Object.entries(ROWS)) told(noun, table, `${table}.usn`);
  for (const [column, noun] of Object.entries(OBJECTS)) told(noun, `col, json_each(col.${column}) AS each`, `(each.value ->> '$.usn')`);
  told('tag', 'col, json_each(col.tags) AS each', 'each.value');
}

/** What Anki's own "Check Database" repairs; until then, the final check of a sync may fail. */
function checkReferences(db: Database.Database, tell: Tell): void {
  const count = (sql: string): number => db.prepare(sql).pluck().get() as number;
  const cases: [string, number][] = [
    ['cards have no note', count('SELECT count(*) FROM cards WHERE nid NOT IN (SELECT id FROM notes)')],
    ['notes have no card', count('SELECT count(*) FROM notes WHERE id NOT IN (SELECT nid FROM cards)')],
    ['notes have a notetype that is not there', missing(db, 'notes', 'mid', 'models')],
    ['cards are in a deck that is not there', missing(db, 'cards', 'did', 'decks')],
  ];
  for (const [what, number] of cases) if (number > 0) tell(what.startsWith('notes have no card') ? 'note' : 'problem', `${number} ${what}: "Check Database" in Anki repairs that`);
}

function missing(db: Database.Database, table: string, column: string, objects: string): number {
  const sql = `SELECT count(*) FROM ${table} WHERE CAST(${column} AS TEXT) NOT IN (SELECT key FROM col, json_each(col.${objects}))`;
  return db.prepare(sql).pluck().get() as number;
}
