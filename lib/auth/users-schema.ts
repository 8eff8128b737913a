import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, existsSync, linkSync, mkdirSync, openSync, readdirSync, renameSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { removeFile, syncFile, syncFolder } from '../storage/files/durable.ts';
import { shellWord } from '../way-back.ts';
import { loginKey, namesDifferingInCase, normaliseLoginName } from './login-names.ts';
import { UsersError } from './users-error.ts';

/** One entry per version of the database; `user_version` counts those done. Never change one that was released: add another. */
const MIGRATIONS = [
  `CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE users (
     id TEXT PRIMARY KEY,
     login_name TEXT NOT NULL,
     login_key TEXT NOT NULL UNIQUE,          -- login name under the case rule
     folder TEXT NOT NULL UNIQUE,
     folder_fold TEXT NOT NULL,               -- equal where some file system may take two folders for one
     routing_id TEXT NOT NULL UNIQUE,         -- public: the middle part of the user's host keys
     password_hash TEXT,                      -- PHC; null: known from another authenticator
     environment_hash TEXT,                   -- under which password of the environment the keys were issued; see env-host-keys.ts
     disabled INTEGER NOT NULL DEFAULT 0,
     created_secs INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX users_by_folder_fold ON users (folder_fold);
   CREATE TABLE host_keys (
     key_hash TEXT PRIMARY KEY,               -- SHA-256, base64url
     key_id TEXT NOT NULL UNIQUE,
     user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
     client TEXT NOT NULL,
     address TEXT,
     issued_secs INTEGER NOT NULL,
     last_used_day INTEGER NOT NULL           -- days since 1970, UTC
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX host_keys_of_user ON host_keys (user_id);`,
  // HMAC-SHA-256 of the environment's password, base64url; its secret is the host key, which only the client has: see env-host-keys.ts
  'ALTER TABLE host_keys ADD COLUMN environment_seal TEXT;',
  `CREATE TABLE app_passwords (
     id TEXT PRIMARY KEY,
     user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
     name TEXT NOT NULL,
     password_hash TEXT NOT NULL UNIQUE,      -- SHA-256, base64url; see app-passwords.ts
     created_secs INTEGER NOT NULL,
     expires_secs INTEGER,                    -- null: does not end by itself
     last_used_secs INTEGER                   -- null: nobody has signed in with it
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX app_passwords_of_user ON app_passwords (user_id);
   ALTER TABLE host_keys ADD COLUMN app_password_id TEXT REFERENCES app_passwords (id) ON DELETE CASCADE;
   CREATE INDEX host_keys_of_app_password ON host_keys (app_password_id) WHERE app_password_id IS NOT NULL;
   ALTER TABLE host_keys ADD COLUMN expires_secs INTEGER;
   ALTER TABLE host_keys ADD COLUMN last_sync_secs INTEGER;
   ALTER TABLE users ADD COLUMN is_admin INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE users ADD COLUMN provider TEXT; -- who vouched for the user last, where that cannot be asked again; see authenticator.ts
   -- what happened to users and keys, until a server has written it into its log; see audit-log.ts
   CREATE TABLE audit (
     number INTEGER PRIMARY KEY AUTOINCREMENT,
     at_secs INTEGER NOT NULL,
     event TEXT NOT NULL,
     login_name TEXT NOT NULL,
     detail TEXT NOT NULL
   ) STRICT;`,
  `CREATE TABLE page_sessions (
     session_hash TEXT PRIMARY KEY,           -- SHA-256 of the cookie, base64url
     user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
     via TEXT NOT NULL,                       -- password, portal, or oidc:<id of the provider>
     seal TEXT,                               -- HMAC-SHA-256 of what the sign-in rested on; its secret is the cookie: see account/sessions.ts
     signed_in_secs INTEGER NOT NULL,
     used_secs INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX page_sessions_of_user ON page_sessions (user_id);`,
  // who is whose at providers of OpenID Connect; see oidc/subjects.ts
  `CREATE TABLE oidc_subjects (
     issuer TEXT NOT NULL,
     subject TEXT NOT NULL,
     user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
     bound_secs INTEGER NOT NULL,
     signed_in_secs INTEGER NOT NULL,         -- last
     PRIMARY KEY (issuer, subject)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX oidc_subjects_of_user ON oidc_subjects (user_id);
   ALTER TABLE users ADD COLUMN awaits_subject INTEGER NOT NULL DEFAULT 0; -- until then (seconds since 1970), whoever comes next by this name, from a provider, is this user`,
  // 1: what the official server gave the user as a host key is none any more; see env-host-keys.ts
  'ALTER TABLE users ADD COLUMN official_key_ended INTEGER NOT NULL DEFAULT 0;',
  // bytes; null: as for everybody; 0: no limit
  `ALTER TABLE users ADD COLUMN quota_collection_bytes INTEGER;
   ALTER TABLE users ADD COLUMN quota_media_bytes INTEGER;`,
];

export interface FirstStartOptions {
  /** Whose writes these are, for the log: `the command line`. Default: nobody's name. */
  by?: string;
  /** Whether `Bob` and `bob` are two users. Fixed at first start; left out, the folders and names that are there decide. */
  caseSensitive?: boolean;
  /** Login names known from elsewhere, for instance the environment. */
  names?: readonly string[];
}

export function usersDatabasePath(base: string): string {
  return join(base, '.anki-sync', 'users.db');
}

/**
 * Opens the one connection of this process that writes; makes or migrates the database first. Blocks: for the thread only.
 *
 * @throws UsersError DATABASE_TOO_NEW, DATABASE_DAMAGED, DATABASE_UNUSABLE, CASE_RULE_FIXED, NAMES_CLASH
 */
export function openForWriting(base: string, options: FirstStartOptions): { db: Database.Database; caseSensitive: boolean } {
  const path = usersDatabasePath(base);
  try {
    return opened(path, base, options);
  } catch (error) {
    throw inWords(error, path, base);
  }
}

/** Whoever reads this has started the server or a command: what is damaged, and what to do. */
function inWords(error: unknown, path: string, base: string): unknown {
  const { code = '', message } = error as { code?: string; message: string };
  const cause = `${path}: ${code}, ${message}`;
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) {
    return new UsersError('DATABASE_DAMAGED', `the database of users is damaged (${cause}): move it away, with ${path}-wal if that is there, `
      + `and bring the users back from a backup: anki-sync restore --all --from BACKUP --base ${shellWord(base)}`);
  }
  if (/^(SQLITE_(READONLY|IOERR|CANTOPEN|PERM)|E(ROFS|ACCES|PERM|IO|NOTDIR|ISDIR)$)/.test(code)) {
    return new UsersError('DATABASE_UNUSABLE', `the database of users cannot be read and written (${cause}): look at the disk, and at who owns the file`);
  }
  return error;
}

function opened(path: string, base: string, options: FirstStartOptions): { db: Database.Database; caseSensitive: boolean } {
  makeFile(path);
  // SQLite would take it for a new one, and all users would be gone
  if (statSync(path).size === 0) throw Object.assign(new Error('it has no bytes'), { code: 'SQLITE_NOTADB' });
  const db = new Database(path, { timeout: 5000 });
  try {
    useWal(db);
    // WAL's own default forgets the last commits when power is lost; a key that was answered must survive
    db.pragma('synchronous = FULL');
    db.pragma('fullfsync = ON');
    db.pragma('foreign_keys = ON');
    const caseSensitive = db.transaction(() => {
      migrate(db, path);
      return settleCaseRule(db, base, options);
    }).immediate();
    return { db, caseSensitive };
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Password hashes are for the owner's eyes; SQLite gives its `-wal` and `-shm` the rights of the database. */
function makeFile(path: string): void {
  const folder = dirname(path);
  const created = mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (created !== undefined) {
    chmodSync(folder, 0o700);
    for (let made = folder; made.length >= created.length; made = dirname(made)) syncFolder(dirname(made));
  }
  // never opened when it exists: closing a second handle would drop this process's SQLite locks on the file
  if (existsSync(path)) {
    removeUnfinished(path);
    return;
  }
  // made beside its place: an empty file there is always one that was damaged
  const near = `${path}.new-${randomBytes(6).toString('hex')}`;
  closeSync(openSync(near, 'wx', 0o600));
  try {
    const db = new Database(near);
    try {
      db.transaction(() => migrate(db, near))();
    } finally {
      db.close();
    }
    syncFile(near);
    putInPlace(near, path);
  } catch (error) {
    // that of another process will do
    if (!existsSync(path)) throw error;
  } finally {
    removeFile(near);
  }
  syncFolder(folder);
}

/** A database is made in a moment. */
const DEAD_AFTER_MILLIS = 60 * 60_000;

/**
 * What a process left that was killed while it made the database. With the database in its place, nobody needs another one: a process that was
 * held up for an hour goes on with the one that is there.
 */
function removeUnfinished(path: string): void {
  try {
    for (const name of readdirSync(dirname(path)).filter((each) => each.startsWith(`${basename(path)}.new-`))) {
      const left = join(dirname(path), name);
      if (Date.now() - statSync(left).mtimeMs >= DEAD_AFTER_MILLIS) removeFile(left);
    }
  } catch {
    // another process was faster, or the disk refuses: users sign in all the same
  }
}

/** Not over one that another process has made meanwhile. */
function putInPlace(near: string, path: string): void {
  try {
    linkSync(near, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    // a file system without hard links
    renameSync(near, path);
  }
}

/** SQLite's busy timeout does not cover the change to WAL, and two processes may start at once. */
function useWal(db: Database.Database): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let attempt = 1; ; attempt++) {
    try {
      db.pragma('journal_mode = WAL');
      return;
    } catch (error) {
      if (attempt === 100 || !String((error as { code?: string }).code).startsWith('SQLITE_BUSY')) throw error;
      Atomics.wait(pause, 0, 0, 50);
    }
  }
}

function migrate(db: Database.Database, path: string): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  if (version > MIGRATIONS.length) {
    throw new UsersError('DATABASE_TOO_NEW',
      `${path} was written by a newer anki-sync (database version ${version}, this one knows ${MIGRATIONS.length}): start that version, or a newer one`);
  }
  for (const step of MIGRATIONS.slice(version)) db.exec(step);
  db.pragma(`user_version = ${MIGRATIONS.length}`);
}

/** The rule is decided once: a later change would make two users of one, or one of two. */
function settleCaseRule(db: Database.Database, base: string, options: FirstStartOptions): boolean {
  const names = [...new Set((options.names ?? []).map(normaliseLoginName))];
  const stored = db.prepare<[], string>(`SELECT value FROM settings WHERE name = 'case_sensitive'`).pluck().get();
  let rule: boolean;
  if (stored === undefined) {
    const folders = readdirSync(base, { withFileTypes: true })
      .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith('.')).map((entry) => entry.name);
    const clash = namesDifferingInCase(folders)[0] ?? namesDifferingInCase(names)[0];
    if (clash !== undefined && options.caseSensitive === false) {
      throw new UsersError('NAMES_CLASH', `"${clash[0]}" and "${clash[1]}" differ only in case: they cannot be two users where case does not count`);
    }
    rule = options.caseSensitive ?? clash !== undefined;
    const put = db.prepare('INSERT INTO settings (name, value) VALUES (?, ?)');
    put.run('case_sensitive', rule ? '1' : '0');
    put.run('created_secs', String(Math.floor(Date.now() / 1000)));
  } else {
    rule = stored === '1';
    if (options.caseSensitive !== undefined && options.caseSensitive !== rule) {
      throw new UsersError('CASE_RULE_FIXED',
        `user names in this data folder are case-${rule ? 'sensitive' : 'insensitive'} since its first start, and stay so: leave the option caseSensitive out`);
    }
  }
  const byKey = new Map<string, string>();
  for (const name of names) {
    const other = byKey.get(loginKey(name, rule));
    if (other !== undefined) {
      throw new UsersError('NAMES_CLASH', `the users "${other}" and "${name}" differ only in case, which does not count in this data folder: rename one`);
    }
    byKey.set(loginKey(name, rule), name);
  }
  return rule;
}
