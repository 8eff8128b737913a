/** Walks a data folder that nobody else uses: users, collections, media, leftovers. Changes nothing. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { isSingleSegment } from '../auth/folder-names.ts';
import { usersDatabasePath } from '../auth/users-schema.ts';
import { importFolder } from '../import/import.ts';
import { lockDataFolder } from '../storage/files/data-folder-lock.ts';
import { copyDatabase } from '../storage/sqlite/database-copy.ts';
import { checkCollection } from './collection.ts';
import { someOf, type Finding } from './finding.ts';
import { checkMedia } from './media.ts';

export interface CheckOptions {
  base: string;
  /** Reads each media file, and each snapshot. */
  deep: boolean;
  /** Login names or folders; all, if empty. */
  only: readonly string[];
  /** Called before each folder, with its place among all. */
  began(about: string, number: number, total: number): void;
  /** After each media file, with `deep`; `ofBytes` are those of all of the user. */
  read?(bytes: number, ofBytes: number): void;
  found(finding: Finding): void;
}

interface Place {
  about: string;
  folder: string;
}

/**
 * Answers how many users were checked.
 *
 * @throws DataFolderInUseError while a server runs on it
 */
export async function checkDataFolder(options: CheckOptions): Promise<number> {
  const base = resolve(options.base);
  const lock = await lockDataFolder(base, 'anki-sync check');
  const scratch = join(base, '.anki-sync', 'check');
  try {
    rmSync(scratch, { recursive: true, force: true });
    mkdirSync(scratch, { recursive: true });
    const users = readUsers(base, scratch, options);
    const places = [...users, ...strangers(base, users, options)].filter(({ about, folder }) => isWanted(options.only, about, folder));
    places.forEach(({ about, folder }, index) => {
      options.began(about, index + 1, places.length);
      const home = join(base, folder);
      const tell = (level: Finding['level'], text: string): void => options.found({ level, about, text });
      if (!existsSync(home)) return;
      checkCollection(home, scratch, options.deep, tell);
      checkMedia(home, scratch, options.deep, tell, options.read);
      const leftover = leftoversOf(home);
      if (leftover.length > 0) tell('note', `left over from a crash, and safe to delete: ${someOf(leftover)}`);
    });
    if (options.only.length === 0) findLeftovers(base, options);
    return places.length;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
    await lock.release();
  }
}

function isWanted(only: readonly string[], about: string, folder: string): boolean {
  return only.length === 0 || only.some((name) => name.normalize('NFC').toLowerCase() === about.toLowerCase() || name === folder);
}

function readUsers(base: string, scratch: string, { found }: CheckOptions): Place[] {
  const path = usersDatabasePath(base);
  if (!existsSync(path)) {
    found({ level: 'note', about: undefined, text: 'there is no database of users: each folder goes to whoever signs in first under its name' });
    return [];
  }
  const copy = join(scratch, 'users.db');
  try {
    copyDatabase(path, copy);
    const db = new Database(copy, { readonly: true });
    try {
      const damage = db.pragma('integrity_check(1)', { simple: true });
      if (damage !== 'ok') throw new Database.SqliteError(String(damage), 'SQLITE_CORRUPT');
      const rows = db.prepare('SELECT login_name, folder FROM users ORDER BY login_name').all() as { login_name: string; folder: string }[];
      const strange = rows.filter(({ folder }) => !/^user=[0-9a-f]{32}$/.test(folder) && !isSingleSegment(folder));
      for (const { login_name: name } of strange) found({ level: 'problem', about: name, text: 'the database of users gives this user a folder that is none' });
      return rows.filter((row) => !strange.includes(row)).map(({ login_name: about, folder }) => ({ about, folder }));
    } finally {
      db.close();
    }
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
    found({ level: 'problem', about: undefined, text: `the database of users (.anki-sync/users.db) is damaged (${error.code}): nobody can sign in; restore it from a backup` });
    return [];
  } finally {
    for (const suffix of ['', '-wal', '-journal', '-shm']) rmSync(copy + suffix, { force: true });
  }
}

/** Folders with somebody's data that belong to no user. */
function strangers(base: string, users: readonly Place[], { found }: CheckOptions): Place[] {
  const known = new Set(users.map(({ folder }) => folder));
  const places = readdirSync(base)
    .filter((name) => !name.startsWith('.') && !known.has(name) && statSync(join(base, name)).isDirectory())
    .filter((name) => ['collection.anki2', 'media.db'].some((file) => existsSync(join(base, name, file))))
    .map((folder) => ({ about: folder, folder }));
  if (users.length > 0) {
    for (const { about } of places) {
      const text = /^user=/.test(about) ? 'a folder of a removed user' : 'a folder without a user: it goes to whoever is added under its name';
      found({ level: 'note', about, text });
    }
  }
  return places;
}

/** Files beside a collection that nothing reads any more. */
function leftoversOf(home: string): string[] {
  return readdirSync(home).filter((name) => /^(collection\.anki2|media\.db)\.(new$|aside-)/.test(name));
}

function findLeftovers(base: string, { found }: CheckOptions): void {
  const note = (text: string): void => found({ level: 'note', about: undefined, text });
  const staging = join(base, '.anki-sync', 'staging');
  if (existsSync(staging) && readdirSync(staging).length > 0) note('unfinished uploads and downloads of a crash are left over: the next start removes them');
  if (existsSync(importFolder(base))) note('an import was cut off: run it again, and it goes on');
}
