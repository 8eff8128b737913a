/**
 * The folder that a backup is made in, beside its place, and what is left of one that was killed. It is dead when nobody holds the lock in it,
 * which ends with its process (see storage/files/data-folder-lock.ts), and nobody has given a sign of life there for hours: some network file
 * systems only pretend to lock.
 */
import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

/** Stays empty; not opened by anything else in this process, whose locks would be gone. */
const LOCK = '.being-made';
const FORM = /\.partial-[0-9a-f]{8}$/;
const SIGN_MILLIS = 60_000;
const DEAD_AFTER_MILLIS = 6 * 60 * 60_000;

export interface UnfinishedBackup {
  folder: string;
  /** The folder becomes the backup: nothing of ours is left in it. */
  letGo(): void;
}

/** Makes the folder. Where its file system has no locks, nobody will ever take it for dead. */
export function beginBackup(to: string): UnfinishedBackup {
  const folder = `${to}.partial-${randomBytes(4).toString('hex')}`;
  mkdirSync(folder, { mode: 0o700 });
  const path = join(folder, LOCK);
  const db = locked(path, false);
  if (db === undefined) rmSync(path, { force: true });
  const giveSign = (): void => {
    try {
      utimesSync(path, new Date(), new Date());
    } catch {
      // the lock itself does not depend on it
    }
  };
  const timer = db && setInterval(giveSign, SIGN_MILLIS).unref();
  return {
    folder,
    letGo() {
      clearInterval(timer);
      // for the moment between the lock and the folder's end
      if (db?.open === true) giveSign();
      db?.close();
      rmSync(path, { force: true });
    },
  };
}

/** Removes the dead ones of this user of the machine from a folder, whatever backup they were to be. Answers their paths. */
export function removeDeadBackups(folder: string): string[] {
  return namesIn(folder).filter((name) => FORM.test(name)).map((name) => join(folder, name)).filter((path) => {
    try {
      return removedIfDead(path);
    } catch {
      // another process was faster, or the disk refuses: it harms no backup that is made now
      return false;
    }
  });
}

/** None where a process may write, but not read. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function removedIfDead(folder: string): boolean {
  const about = lstatSync(folder);
  // in a folder that others may write to, a name says nothing
  if (!about.isDirectory() || (process.getuid !== undefined && about.uid !== process.getuid())) return false;
  const sign = lstatSync(join(folder, LOCK), { throwIfNoEntry: false });
  if (sign?.isFile() !== true || Date.now() - sign.mtimeMs < DEAD_AFTER_MILLIS) return false;
  const db = locked(join(folder, LOCK), true);
  if (db === undefined) return false;
  db.close();
  // the lock last: what is left of this by a process that is killed too is found again
  rmSync(`${folder}.zip`, { force: true });
  for (const name of readdirSync(folder)) if (name !== LOCK) rmSync(join(folder, name), { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
  return true;
}

/** Undefined where somebody has it, or there are no locks. */
function locked(path: string, fileMustExist: boolean): Database.Database | undefined {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { timeout: 0, fileMustExist });
    db.exec('BEGIN EXCLUSIVE');
    return db;
  } catch {
    db?.close();
    return undefined;
  }
}
