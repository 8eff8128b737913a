import { randomBytes } from 'node:crypto';
import { opendirSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { chooseFolder, foldFolder } from './folder-names.ts';
import { loginKey } from './login-names.ts';
import { UsersError } from './users-error.ts';

/** One row of `users`. */
export interface UserRow {
  id: string;
  login_name: string;
  folder: string;
  routing_id: string;
  password_hash: string | null;
  environment_hash: string | null;
  disabled: number;
  created_secs: number;
}

export interface WriteContext {
  db: Database;
  base: string;
  caseSensitive: boolean;
}

export interface NewKey {
  keyHash: string;
  keyId: string;
  userId: string;
  client: string;
  address: string | null;
  nowSecs: number;
  /** Above this many keys of the user, those unused for `unusedDays` end. */
  softLimit: number;
  unusedDays: number;
  /** Above this many, the least recently used of the busiest client end, however recent. */
  hardLimit: number;
}

const SECS_PER_DAY = 86_400;
const USER_COLUMNS = 'id, login_name, folder, routing_id, password_hash, environment_hash, disabled, created_secs';

/** Letters and digits only, in lower case: safe in routing rules, logs and file names. */
export function randomId(chars: number): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  return Array.from(randomBytes(chars), (byte) => alphabet[byte & 31]).join('');
}

/** Every change to the users' database. Each runs in a transaction of its own, in the thread. */
export const WRITES = {
  /** The user of a normalised login name, made if there is none. */
  ensureUser({ db, base, caseSensitive }: WriteContext, loginName: string, passwordHash: string | null, mustBeNew: boolean): UserRow {
    const key = loginKey(loginName, caseSensitive);
    const find = db.prepare<[string], UserRow>(`SELECT ${USER_COLUMNS} FROM users WHERE login_key = ?`);
    const known = find.get(key);
    if (known !== undefined) {
      if (mustBeNew) throw new UsersError('USER_EXISTS', `there is a user "${known.login_name}" already`);
      return known;
    }
    const fold = foldFolder(loginName);
    const taken = db.prepare<[string], string>('SELECT folder FROM users WHERE folder_fold = ?').pluck().all(fold);
    const folder = chooseFolder({ loginName, caseSensitive, entries: entriesOfFold(base, fold), taken });
    db.prepare(`INSERT INTO users (id, login_name, login_key, folder, folder_fold, routing_id, password_hash, created_secs)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
      .run(randomId(16), loginName, key, folder, foldFolder(folder), randomId(16), passwordHash, Math.floor(Date.now() / 1000));
    return find.get(key)!;
  },

  /** Answers how many host keys ended. */
  setPassword({ db }: WriteContext, userId: string, passwordHash: string, keepKeys: boolean): number {
    const { changes } = db.prepare('UPDATE users SET password_hash = ? WHERE id = ?').run(passwordHash, userId);
    if (changes === 0) throw new UsersError('USER_UNKNOWN', 'this user was removed meanwhile');
    return keepKeys ? 0 : endKeys(db, userId);
  },

  /** Same password, newer parameters. Only where the password was not changed since it was checked. */
  rehash({ db }: WriteContext, userId: string, before: string, after: string): void {
    db.prepare('UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?').run(after, userId, before);
  },

  /** Remembers the environment's password, and ends the keys that were issued under another one. Answers how many. */
  setEnvironmentHash({ db }: WriteContext, userId: string, hash: string, keepKeys: boolean): number {
    db.prepare('UPDATE users SET environment_hash = ? WHERE id = ?').run(hash, userId);
    return keepKeys ? 0 : endKeys(db, userId);
  },

  setDisabled({ db }: WriteContext, userId: string, disabled: boolean): void {
    db.prepare('UPDATE users SET disabled = ? WHERE id = ?').run(disabled ? 1 : 0, userId);
  },

  /** Answers how many host keys ended. */
  removeUser({ db }: WriteContext, userId: string): number {
    const ended = endKeys(db, userId);
    db.prepare('DELETE FROM users WHERE id = ?').run(userId);
    return ended;
  },

  /** False when the user is gone or disabled. */
  addKey({ db }: WriteContext, key: NewKey): boolean {
    const active = db.prepare('SELECT 1 FROM users WHERE id = ? AND NOT disabled').get(key.userId);
    if (active === undefined) return false;
    const today = Math.floor(key.nowSecs / SECS_PER_DAY);
    db.prepare('INSERT INTO host_keys (key_hash, key_id, user_id, client, address, issued_secs, last_used_day) VALUES (?, ?, ?, ?, ?, ?, ?)')
      .run(key.keyHash, key.keyId, key.userId, key.client, key.address, key.nowSecs, today);
    const count = (): number => db.prepare<[string], number>('SELECT count(*) FROM host_keys WHERE user_id = ?').pluck().get(key.userId)!;
    if (count() > key.softLimit) {
      db.prepare('DELETE FROM host_keys WHERE user_id = ? AND last_used_day < ?').run(key.userId, today - key.unusedDays);
    }
    const excess = count() - key.hardLimit;
    if (excess > 0) {
      // a script that signs in before every sync pushes out its own keys this way, and not those of the person's phone
      db.prepare(`DELETE FROM host_keys WHERE key_hash IN (
        SELECT key_hash FROM host_keys WHERE user_id = @userId AND key_hash <> @keyHash AND client = (
          SELECT client FROM host_keys WHERE user_id = @userId GROUP BY client ORDER BY count(*) DESC, client LIMIT 1)
        ORDER BY last_used_day, issued_secs LIMIT @excess)`).run({ userId: key.userId, keyHash: key.keyHash, excess });
    }
    return true;
  },

  /** Nothing happens when the key has ended. */
  setEnvironmentSeal({ db }: WriteContext, keyHash: string, seal: string): void {
    db.prepare('UPDATE host_keys SET environment_seal = ? WHERE key_hash = ?').run(seal, keyHash);
  },

  /** Ends one key, or all of the user's. Answers how many. */
  revokeKeys({ db }: WriteContext, userId: string, keyId: string | null): number {
    if (keyId === null) return endKeys(db, userId);
    return db.prepare('DELETE FROM host_keys WHERE user_id = ? AND key_id = ?').run(userId, keyId).changes;
  },

  markUsed({ db }: WriteContext, keyHashes: string[], day: number): void {
    const mark = db.prepare('UPDATE host_keys SET last_used_day = ? WHERE key_hash = ? AND last_used_day < ?');
    for (const keyHash of keyHashes) mark.run(day, keyHash, day);
  },
};

/** One entry at a time: there may be a hundred thousand users. */
function entriesOfFold(base: string, fold: string): { name: string; isFolder: boolean }[] {
  const entries = [];
  const folder = opendirSync(base);
  try {
    for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
      if (foldFolder(entry.name) === fold) entries.push({ name: entry.name, isFolder: entry.isDirectory() || entry.isSymbolicLink() });
    }
  } finally {
    folder.closeSync();
  }
  return entries;
}

function endKeys(db: Database, userId: string): number {
  return db.prepare('DELETE FROM host_keys WHERE user_id = ?').run(userId).changes;
}

type Tail<T extends unknown[]> = T extends [unknown, ...infer Rest] ? Rest : never;
export type WriteName = keyof typeof WRITES;
export type WriteArgs<N extends WriteName> = Tail<Parameters<(typeof WRITES)[N]>>;
export type WriteResult<N extends WriteName> = ReturnType<(typeof WRITES)[N]>;
