import { closeSync, constants, copyFileSync, openSync, statSync, writeSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import Database from 'better-sqlite3';
import { hasJournal } from './collection-file.ts';

/** Somebody else writes to the files that are being copied. */
export class DatabaseInUseError extends Error {
  constructor(path: string) {
    super(`${path} changed while it was read: another program has it open`);
    this.name = 'DatabaseInUseError';
  }
}

/**
 * Copies a SQLite database with the log that a crash left beside it, and writes the log back into the copy, which is then
 * one file by itself, closed. The original is only read, as plain files: this process must not have it open, since closing
 * a descriptor of a file drops all of the process's locks on it, and nobody else may write to it.
 *
 * @throws DatabaseInUseError, and what SQLite throws for a file that is no database
 */
export function copyDatabase(from: string, to: string): void {
  const before = stampsOf(from);
  for (const { suffix } of before) copyFileSync(from + suffix, to + suffix, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  if (JSON.stringify(stampsOf(from)) !== JSON.stringify(before)) throw new DatabaseInUseError(from);
  const db = new Database(to, { fileMustExist: true, timeout: 0 });
  try {
    // no file for shared memory
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('wal_checkpoint(TRUNCATE)');
    db.pragma('journal_mode = DELETE');
  } finally {
    db.close();
  }
}

/** As `copyDatabase`, for a database that was closed by its only user a moment ago: without holding up the thread. */
export async function copyClosedDatabase(from: string, to: string): Promise<void> {
  if (hasJournal(from)) return copyDatabase(from, to);
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  leaveWalMode(to);
}

/** Clients before 2.1.45 cannot open a WAL file. */
function leaveWalMode(path: string): void {
  setFormatVersion(path, 1);
}

/** Of a closed database that will be opened in WAL mode: SQLite itself would change the header with a journal, and sync four times. */
export function enterWalMode(path: string): void {
  setFormatVersion(path, 2);
}

/** Bytes 18 and 19 of the header say 1, "rollback journal", or 2, "WAL" (SQLite file format, section 1.3). */
function setFormatVersion(path: string, version: 1 | 2): void {
  const fd = openSync(path, 'r+');
  try {
    writeSync(fd, Uint8Array.of(version, version), 0, 2, 18);
  } finally {
    closeSync(fd);
  }
}

function stampsOf(path: string): { suffix: string; bytes: number; mtimeMillis: number }[] {
  return ['', '-wal', '-journal'].flatMap((suffix) => {
    const stat = statSync(path + suffix, { throwIfNoEntry: suffix === '' });
    return stat === undefined ? [] : [{ suffix, bytes: stat.size, mtimeMillis: stat.mtimeMs }];
  });
}
