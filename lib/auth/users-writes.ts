import { hash, randomBytes } from 'node:crypto';
import { opendirSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { chooseFolder, foldFolder } from './folder-names.ts';
import { loginKey } from './login-names.ts';
import { UsersError } from './users-error.ts';
import {
  USER_COLUMNS,
  type AuditEvent,
  type DeviceSync,
  type EndedKeys,
  type NewAppPasswordRow,
  type NewKey,
  type NewQuota,
  type OidcSignIn,
  type OidcUser,
  type PageSessionRow,
  type UserRow,
} from './users-rows.ts';

export interface WriteContext {
  db: Database;
  base: string;
  caseSensitive: boolean;
  /** Whose writes these are, for the log: `the command line`; empty for a server. */
  by: string;
}

const SECS_PER_DAY = 86_400;
/** Without a server that tells them, the oldest are forgotten. */
const MAX_AUDIT_ROWS = 10_000;

/** Letters and digits only, in lower case: safe in routing rules, logs and file names. */
export function randomId(chars: number): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  return Array.from(randomBytes(chars), (byte) => alphabet[byte & 31]).join('');
}

/** Every change to the users' database. Each runs in a transaction of its own, in the thread. */
export const WRITES = {
  /** The user of a normalised login name, made if there is none. */
  ensureUser(context: WriteContext, loginName: string, passwordHash: string | null, mustBeNew: boolean): UserRow {
    const { db, base, caseSensitive } = context;
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
    const id = randomId(16);
    db.prepare(`INSERT INTO users (id, login_name, login_key, folder, folder_fold, routing_id, password_hash, created_secs)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
      .run(id, loginName, key, folder, foldFolder(folder), randomId(16), passwordHash, Math.floor(Date.now() / 1000));
    note(context, 'user.added', id, '');
    return find.get(key)!;
  },

  /** Answers how many host keys ended. */
  setPassword(context: WriteContext, userId: string, passwordHash: string, ends: EndedKeys): number {
    const { changes } = context.db.prepare('UPDATE users SET password_hash = ? WHERE id = ?').run(passwordHash, userId);
    if (changes === 0) throw new UsersError('USER_UNKNOWN', 'this user was removed meanwhile');
    note(context, 'password.changed', userId, '');
    // whatever keys are kept: browsers sign in again
    endPageSessions(context, userId);
    return endKeys(context, userId, ends, 'another password');
  },

  /** Same password, newer parameters. Only where the password was not changed since it was checked. */
  rehash({ db }: WriteContext, userId: string, before: string, after: string): void {
    db.prepare('UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?').run(after, userId, before);
  },

  /** Remembers the environment's password, and ends the keys that were issued under another one. Answers how many. */
  setEnvironmentHash(context: WriteContext, userId: string, hash: string, ends: EndedKeys): number {
    context.db.prepare('UPDATE users SET environment_hash = ? WHERE id = ?').run(hash, userId);
    return endKeys(context, userId, ends, 'another password, or gone from where the user came from');
  },

  setDisabled(context: WriteContext, userId: string, disabled: boolean): void {
    if (changeMark(context, 'disabled', userId, disabled)) note(context, disabled ? 'user.disabled' : 'user.enabled', userId, '');
    if (disabled) endPageSessions(context, userId);
  },

  setAdmin(context: WriteContext, userId: string, isAdmin: boolean): void {
    if (changeMark(context, 'is_admin', userId, isAdmin)) note(context, 'user.admin', userId, isAdmin ? 'is an administrator' : 'is no administrator any more');
  },

  /** Null: as for everybody; 0: no limit; left out: as it was. Answers what holds then. */
  setQuota(context: WriteContext, userId: string, { collectionBytes, mediaBytes }: NewQuota): UserRow {
    const { db } = context;
    const set = (column: 'quota_collection_bytes' | 'quota_media_bytes', bytes: number | null | undefined): boolean => bytes !== undefined
      && db.prepare(`UPDATE users SET ${column} = @bytes WHERE id = @userId AND ${column} IS NOT @bytes`).run({ userId, bytes }).changes > 0;
    const changed = [
      ...(set('quota_collection_bytes', collectionBytes) ? [`collection ${limitWords(collectionBytes!)}`] : []),
      ...(set('quota_media_bytes', mediaBytes) ? [`media ${limitWords(mediaBytes!)}`] : []),
    ];
    const row = db.prepare<[string], UserRow>(`SELECT ${USER_COLUMNS} FROM users WHERE id = ?`).get(userId);
    if (row === undefined) throw new UsersError('USER_UNKNOWN', 'this user was removed meanwhile');
    if (changed.length > 0) note(context, 'user.quota', userId, changed.join(', '));
    return row;
  },

  setProvider({ db }: WriteContext, userId: string, provider: string | null): void {
    db.prepare('UPDATE users SET provider = ? WHERE id = ?').run(provider, userId);
  },

  /** Answers how many host keys ended. */
  removeUser(context: WriteContext, userId: string): number {
    const ended = endKeys(context, userId, 'all', 'the user was removed');
    note(context, 'user.removed', userId, '');
    context.db.prepare('DELETE FROM users WHERE id = ?').run(userId);
    return ended;
  },

  addAppPassword(context: WriteContext, { id, userId, name, passwordHash, nowSecs, expiresSecs, maxCount }: NewAppPasswordRow): void {
    const { db } = context;
    const isThere = db.prepare('SELECT 1 FROM users WHERE id = ?').get(userId) !== undefined;
    if (!isThere) throw new UsersError('USER_UNKNOWN', 'this user was removed meanwhile');
    const count = db.prepare<[string], number>('SELECT count(*) FROM app_passwords WHERE user_id = ?').pluck().get(userId)!;
    if (count >= maxCount) throw new UsersError('APP_PASSWORD_INVALID', `one user can have ${maxCount} app passwords: revoke some first`);
    db.prepare('INSERT INTO app_passwords (id, user_id, name, password_hash, created_secs, expires_secs) VALUES (?, ?, ?, ?, ?, ?)')
      .run(id, userId, name, passwordHash, nowSecs, expiresSecs);
    note(context, 'app-password.created', userId, named(id, name));
  },

  /** False when the user has none of this id. Its host keys end with it. */
  removeAppPassword(context: WriteContext, userId: string, id: string): boolean {
    const { db } = context;
    const name = db.prepare<[string, string], string>('SELECT name FROM app_passwords WHERE user_id = ? AND id = ?').pluck().get(userId, id);
    if (name === undefined) return false;
    const ended = db.prepare('DELETE FROM host_keys WHERE app_password_id = ?').run(id).changes;
    db.prepare('DELETE FROM app_passwords WHERE id = ?').run(id);
    note(context, 'app-password.revoked', userId, named(id, name));
    noteEnded(context, userId, ended, 'their app password was revoked');
    return true;
  },

  /** The user of a provider's subject: the one of last time, or a new one, or one who waits for it. */
  oidcUser(context: WriteContext, signIn: OidcSignIn): OidcUser {
    const { db } = context;
    const { issuer, subject, loginName, nowSecs } = signIn;
    const bound = db.prepare<[string, string], UserRow>(`SELECT ${USER_COLUMNS} FROM users
      WHERE id = (SELECT user_id FROM oidc_subjects WHERE issuer = ? AND subject = ?)`).get(issuer, subject);
    if (bound !== undefined) {
      if (bound.disabled !== 0) return { refused: 'disabled' };
      db.prepare('UPDATE oidc_subjects SET signed_in_secs = ? WHERE issuer = ? AND subject = ?').run(nowSecs, issuer, subject);
      return { row: bound };
    }
    const known = db.prepare<[string], UserRow & { awaits_subject: number }>(`SELECT ${USER_COLUMNS}, awaits_subject FROM users WHERE login_key = ?`)
      .get(loginKey(loginName, context.caseSensitive));
    const awaited = known !== undefined && known.awaits_subject > nowSecs;
    if (known === undefined) {
      if (signIn.isTaken && !signIn.linkExisting) return { refused: 'another account' };
      // what is in it belongs to somebody whom this database does not know (any more)
      if (!signIn.linkExisting && hasFolder(context, loginName)) return { refused: 'a folder' };
    } else {
      if (known.disabled !== 0) return { refused: 'disabled' };
      const others = db.prepare<[string], string>('SELECT issuer FROM oidc_subjects WHERE user_id = ?').pluck().all(known.id);
      // two people at one provider are never one person here
      if (!awaited && others.includes(issuer)) return { refused: 'another subject' };
      if (!awaited && !signIn.linkExisting) return { refused: others.length > 0 ? 'another subject' : 'another account' };
      db.prepare('DELETE FROM oidc_subjects WHERE user_id = ? AND issuer = ?').run(known.id, issuer);
      // a browser in which somebody else was this user must not stay so
      endPageSessions(context, known.id);
    }
    const { id } = known ?? WRITES.ensureUser(context, loginName, null, true);
    // one whom a directory knows too goes on being looked up there
    const provider = known === undefined || awaited ? signIn.provider : known.provider;
    db.prepare('UPDATE users SET awaits_subject = 0, provider = ? WHERE id = ?').run(provider, id);
    db.prepare('INSERT INTO oidc_subjects (issuer, subject, user_id, bound_secs, signed_in_secs) VALUES (?, ?, ?, ?, ?)')
      .run(issuer, subject, id, nowSecs, nowSecs);
    note(context, 'user.linked', id, `${signIn.provider}, ${issuer}`);
    return { row: db.prepare<[string], UserRow>(`SELECT ${USER_COLUMNS} FROM users WHERE id = ?`).get(id)! };
  },

  /** Until then, whoever comes next by this user's name, from a provider, is this user; 0 ends that. Answers whether the user was waiting. */
  awaitSubject(context: WriteContext, userId: string, untilSecs: number, nowSecs: number): boolean {
    const { db } = context;
    const before = db.prepare<[string], number>('SELECT awaits_subject FROM users WHERE id = ?').pluck().get(userId);
    if (before === undefined) throw new UsersError('USER_UNKNOWN', 'this user was removed meanwhile');
    db.prepare('UPDATE users SET awaits_subject = ? WHERE id = ?').run(untilSecs, userId);
    const wasWaiting = before > nowSecs;
    const words = untilSecs === 0 ? 'waits no longer' : `waits for a sign-in through a provider, until ${new Date(untilSecs * 1000).toISOString()}`;
    if (untilSecs !== 0 || wasWaiting) note(context, 'user.link', userId, words);
    return wasWaiting;
  },

  markAppPasswordUsed({ db }: WriteContext, id: string, nowSecs: number): void {
    db.prepare('UPDATE app_passwords SET last_used_secs = ? WHERE id = ?').run(nowSecs, id);
  },

  /** Host keys of app passwords that ended by their date: they hold no more, and go with a word. */
  endExpired(context: WriteContext, nowSecs: number): void {
    const owners = context.db.prepare<[number], string>('DELETE FROM host_keys WHERE expires_secs <= ? RETURNING user_id').pluck().all(nowSecs);
    for (const [userId, { length }] of Map.groupBy(owners, (owner) => owner)) {
      noteEnded(context, userId, length, 'their app password ended by its date');
    }
  },

  /** In place of `replacedHash`, if that is given. False as for `addKey`. Above `maxCount` of the user, the oldest end. */
  addPageSession({ db }: WriteContext, session: PageSessionRow, replacedHash: string | null, maxCount: number, passwordMark: string | null): boolean {
    db.prepare('DELETE FROM page_sessions WHERE session_hash = ?').run(replacedHash);
    if (!maySignIn(db, session.user_id, passwordMark)) return false;
    db.prepare(`INSERT INTO page_sessions (session_hash, user_id, via, seal, signed_in_secs, used_secs)
      VALUES (@session_hash, @user_id, @via, @seal, @signed_in_secs, @used_secs)`).run(session);
    db.prepare(`DELETE FROM page_sessions WHERE session_hash IN (
      SELECT session_hash FROM page_sessions WHERE user_id = ? ORDER BY signed_in_secs DESC, used_secs DESC LIMIT -1 OFFSET ?)`)
      .run(session.user_id, maxCount);
    return true;
  },

  /** Also forgets all those that ended by themselves. */
  markPageSessionUsed({ db }: WriteContext, sessionHash: string, nowSecs: number, signedInAfterSecs: number, usedAfterSecs: number): void {
    db.prepare('UPDATE page_sessions SET used_secs = ? WHERE session_hash = ?').run(nowSecs, sessionHash);
    db.prepare('DELETE FROM page_sessions WHERE signed_in_secs <= ? OR used_secs <= ?').run(signedInAfterSecs, usedAfterSecs);
  },

  endPageSession({ db }: WriteContext, sessionHash: string): void {
    db.prepare('DELETE FROM page_sessions WHERE session_hash = ?').run(sessionHash);
  },

  endPageSessions,

  /** What a server has told. */
  forgetAudit({ db }: WriteContext, upTo: number): void {
    db.prepare('DELETE FROM audit WHERE number <= ?').run(upTo);
  },

  /** False when the user is gone or disabled, or has another password, since it was looked at. */
  addKey({ db }: WriteContext, key: NewKey): boolean {
    if (!maySignIn(db, key.userId, key.passwordMark)) return false;
    const today = Math.floor(key.nowSecs / SECS_PER_DAY);
    if (key.appPasswordId !== null && db.prepare('SELECT 1 FROM app_passwords WHERE id = ?').get(key.appPasswordId) === undefined) return false;
    db.prepare(`INSERT INTO host_keys (key_hash, key_id, user_id, client, address, issued_secs, last_used_day, app_password_id, expires_secs)
      VALUES (@keyHash, @keyId, @userId, @client, @address, @nowSecs, @today, @appPasswordId, @expiresSecs)`).run({ ...key, today });
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

  /** Ends one key, or all of the user's, with that of the official server. Answers how many of ours. */
  revokeKeys(context: WriteContext, userId: string, keyId: string | null): number {
    const { db } = context;
    if (keyId === null) db.prepare('UPDATE users SET official_key_ended = 1 WHERE id = ?').run(userId);
    const ended = keyId === null
      ? db.prepare('DELETE FROM host_keys WHERE user_id = ?').run(userId).changes
      : db.prepare('DELETE FROM host_keys WHERE user_id = ? AND key_id = ?').run(userId, keyId).changes;
    noteEnded(context, userId, ended, '');
    return ended;
  },

  markUsed({ db }: WriteContext, keyHashes: string[], day: number): void {
    const mark = db.prepare('UPDATE host_keys SET last_used_day = ? WHERE key_hash = ? AND last_used_day < ?');
    for (const keyHash of keyHashes) mark.run(day, keyHash, day);
  },

  markSynced({ db }: WriteContext, syncs: DeviceSync[]): void {
    const mark = db.prepare(`UPDATE host_keys SET last_sync_secs = @atSecs, address = ifnull(@address, address),
      client = CASE @client WHEN '' THEN client ELSE @client END WHERE key_hash = @keyHash`);
    for (const sync of syncs) mark.run(sync);
  },
};

/** A login takes a while: whoever changes a password to shut somebody out must not leave that one in, who was just signing in. */
function maySignIn(db: Database, userId: string, passwordMark: string | null): boolean {
  const passwordHash = db.prepare<[string], string | null>('SELECT password_hash FROM users WHERE id = ? AND NOT disabled').pluck().get(userId);
  if (passwordHash === undefined) return false;
  return passwordMark === null || (passwordHash !== null && passwordMark === passwordMarkOf(passwordHash));
}

/** See `Device.passwordMark`. */
export function passwordMarkOf(passwordHash: string): string {
  return hash('sha256', passwordHash, 'base64url');
}

function hasFolder({ base, caseSensitive }: WriteContext, loginName: string): boolean {
  const key = loginKey(loginName, caseSensitive);
  return entriesOfFold(base, foldFolder(loginName)).some(({ name, isFolder }) => isFolder && loginKey(name.normalize('NFC'), caseSensitive) === key);
}

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

function limitWords(bytes: number | null): string {
  if (bytes === null) return 'as for everybody';
  return bytes === 0 ? 'without limit' : `${bytes} bytes`;
}

/** Whether it was another before. */
function changeMark({ db }: WriteContext, column: 'disabled' | 'is_admin', userId: string, value: boolean): boolean {
  return db.prepare(`UPDATE users SET ${column} = @mark WHERE id = @userId AND ${column} <> @mark`).run({ userId, mark: value ? 1 : 0 }).changes > 0;
}

function endKeys(context: WriteContext, userId: string, ends: EndedKeys, reason: string): number {
  if (ends === 'none') return 0;
  endPageSessions(context, userId);
  const { db } = context;
  const ended = db.prepare(`DELETE FROM host_keys WHERE user_id = ? ${ends === 'own' ? 'AND app_password_id IS NULL' : ''}`).run(userId).changes;
  if (ends === 'all') {
    const revoked = db.prepare<[string], { id: string; name: string }>('DELETE FROM app_passwords WHERE user_id = ? RETURNING id, name')
      .all(userId);
    for (const { id, name } of revoked) note(context, 'app-password.revoked', userId, `${named(id, name)}, ${reason}`);
  }
  noteEnded(context, userId, ended, reason);
  return ended;
}

function endPageSessions({ db }: WriteContext, userId: string): void {
  db.prepare('DELETE FROM page_sessions WHERE user_id = ?').run(userId);
}

function noteEnded(context: WriteContext, userId: string, count: number, reason: string): void {
  if (count > 0) note(context, 'keys.revoked', userId, `${count} host key${count === 1 ? '' : 's'} ended${reason === '' ? '' : `: ${reason}`}`);
}

/** In the transaction of what it tells: it is told if and only if it happened. */
function note({ db, by }: WriteContext, event: AuditEvent, userId: string, detail: string): void {
  const words = [detail, by === '' ? '' : `by ${by}`].filter((each) => each !== '').join(', ');
  const { lastInsertRowid } = db.prepare(`INSERT INTO audit (at_secs, event, login_name, detail)
    VALUES (?, ?, (SELECT login_name FROM users WHERE id = ?), ?)`).run(Math.floor(Date.now() / 1000), event, userId, words);
  db.prepare('DELETE FROM audit WHERE number <= ?').run(Number(lastInsertRowid) - MAX_AUDIT_ROWS);
}

function named(id: string, name: string): string {
  return `app password ${JSON.stringify(name)} (${id})`;
}

type Tail<T extends unknown[]> = T extends [unknown, ...infer Rest] ? Rest : never;
export type WriteName = keyof typeof WRITES;
export type WriteArgs<N extends WriteName> = Tail<Parameters<(typeof WRITES)[N]>>;
export type WriteResult<N extends WriteName> = ReturnType<(typeof WRITES)[N]>;
