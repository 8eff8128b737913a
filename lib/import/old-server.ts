/**
 * Where an old community server (`ankisyncd` and its forks) keeps what: found by looking, since each fork moved something.
 *
 * - users: `<folder>/<user>/`, `<folder>/collections/<user>/`, `<folder>/users/<user>/`, each with `collection.anki2` and
 *   `collection.media/`;
 * - passwords: `auth.db` in the folder or beside it, table `auth` with `username` (long ago `user`) and `hash`.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { copyDatabase } from '../storage/sqlite/database-copy.ts';

export interface OldUser {
  name: string;
  /** Absolute; undefined for a user of `auth.db` who never synced. */
  folder: string | undefined;
  /** As it stands in `auth.db`; undefined for a folder without a user there. */
  hash: string | undefined;
}

export interface OldServer {
  authPath: string | undefined;
  /** In the order of their names. */
  users: OldUser[];
}

/** The folder is not what was thought; the message says what was looked for. */
export class OldServerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'OldServerError';
  }
}

/** Whether a data folder was written by an old community server: nobody else names the media folder like this. */
export function looksLikeOldServer(folder: string): boolean {
  if (!isFolder(folder)) return false;
  return [...userFolders(folder).values()].flat().some((path) => isFolder(join(path, 'collection.media')));
}

/**
 * @param scratch a folder for a copy of `auth.db`
 * @throws OldServerError
 */
export function findOldServer(folder: string, options: { authDb?: string | undefined; scratch: string }): OldServer {
  const root = resolve(folder);
  if (!isFolder(root)) throw new OldServerError(`${root} is not a folder`);
  if (existsSync(join(root, 'collection.anki2'))) {
    throw new OldServerError(`${root} is the folder of one user: name the folder above it, ${dirname(root)}`);
  }
  const folders = userFolders(root);
  for (const [name, paths] of folders) {
    if (paths.length > 1) throw new OldServerError(`there are two folders of the user "${name}": ${paths.join(' and ')}; name the right one's parent`);
  }
  const authPath = options.authDb === undefined ? findAuthDb(root) : resolve(options.authDb);
  const hashes = authPath === undefined ? new Map<string, string>() : readAuth(authPath, options.scratch);
  const names = new Set([...folders.keys(), ...hashes.keys()]);
  if (names.size === 0) throw new OldServerError(`no user was found in ${root}: neither <user>/collection.anki2 nor an auth.db`);
  const users = [...names].sort().map((name) => ({ name, folder: folders.get(name)?.[0], hash: hashes.get(name) }));
  return { authPath, users };
}

/** Absolute folders by the name of their user, in composed form, as `auth.db` has it: macOS may hand out the other one. */
function userFolders(root: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const place of ['', 'collections', 'users', join('collections', 'users')]) {
    const parent = join(root, place);
    if (!isFolder(parent)) continue;
    for (const entry of readdirSync(parent)) {
      const path = join(parent, entry);
      if (entry.startsWith('.') || !(existsSync(join(path, 'collection.anki2')) || isFolder(join(path, 'collection.media')))) continue;
      const name = entry.normalize('NFC');
      found.set(name, [...(found.get(name) ?? []), path]);
    }
  }
  return found;
}

function findAuthDb(root: string): string | undefined {
  const above = ['collections', 'users'].includes(basename(root)) ? [dirname(root)] : [];
  const places = [root, join(root, 'collections'), ...above];
  return places.map((place) => join(place, 'auth.db')).find((path) => existsSync(path));
}

function readAuth(path: string, scratch: string): Map<string, string> {
  if (!existsSync(path)) throw new OldServerError(`${path} does not exist`);
  const copy = join(scratch, 'auth.db');
  try {
    copyDatabase(path, copy);
    const db = new Database(copy, { readonly: true });
    try {
      const columns = db.prepare(`SELECT name FROM pragma_table_info('auth')`).pluck().all() as string[];
      const name = columns.find((column) => column === 'username' || column === 'user');
      if (name === undefined || !columns.includes('hash')) throw new OldServerError(`${path} has no table auth with username and hash`);
      const rows = db.prepare(`SELECT "${name}", hash FROM auth`).raw().all() as [unknown, unknown][];
      return new Map(rows.map(([user, hash]) => [String(user).normalize('NFC'), String(hash)]));
    } finally {
      db.close();
    }
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
    throw new OldServerError(`${path} cannot be read (${error.message})`);
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
