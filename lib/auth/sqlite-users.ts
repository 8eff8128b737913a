import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { AuthenticatedUser, Authenticator, Credentials, User } from './authenticator.ts';
import { endKeys, type HostKeys } from './host-keys.ts';
import { loginNameOrNull, normaliseLoginName } from './login-names.ts';
import { PasswordHasher } from './password-hash.ts';
import type { PasswordHasherOptions } from './password-hash.ts';
import { userOf, type UsersDatabase } from './users-database.ts';
import { UsersError } from './users-error.ts';
import type { EndedKeys, NewQuota, UserRow } from './users-rows.ts';
import { passwordMarkOf } from './users-writes.ts';

const MAX_PASSWORD_BYTES = 1024;

export interface UserEntry extends User {
  disabled: boolean;
  /** False for a user who signs in through another authenticator. */
  hasPassword: boolean;
  createdSecs: number;
  keys: number;
  /** Days since 1970 (UTC) of the last request with a host key; null without keys. */
  lastUsedDay: number | null;
}

export type PasswordVerdict = 'right' | 'wrong' | 'unknown user' | 'disabled' | 'no password';

/** Users with a password in the data folder: authenticator and management. Changes hold at once for every process on the folder. */
export class SqliteUsers implements Authenticator {
  readonly #database: UsersDatabase;
  readonly #hasher: PasswordHasher;
  readonly #passwordChangeEnds: 'all' | 'own';
  readonly #keysElsewhere: HostKeys | undefined;

  /** @param options `keysElsewhere`: host keys that are not in this database */
  constructor(
    database: UsersDatabase,
    options: { hasher?: PasswordHasher; passwordChangeEnds?: 'all' | 'own'; keysElsewhere?: HostKeys } & PasswordHasherOptions = {},
  ) {
    this.#database = database;
    this.#keysElsewhere = options.keysElsewhere;
    this.#passwordChangeEnds = options.passwordChangeEnds ?? 'all';
    this.#hasher = options.hasher ?? new PasswordHasher(options);
  }

  /** @throws SyncError BUSY, AUTH_UNAVAILABLE */
  async authenticate(credentials: Credentials): Promise<AuthenticatedUser | null> {
    const { username, password } = credentials;
    if (!isUsablePassword(password)) return null;
    const name = loginNameOrNull(username);
    const row = name === null ? undefined : this.#database.userByLoginName(name);
    const hash = row?.password_hash ?? null;
    const right = await this.#hasher.verify(password, hash);
    if (!right || row === undefined || hash === null || row.disabled !== 0) return null;
    const current = this.#hasher.isOutdated(hash) ? await this.#rehash(row.id, hash, password) : hash;
    // the user may have been removed, or the password changed, or hashed anew by another login, while the hash was computed
    const now = this.#database.userById(row.id);
    if (now === undefined || now.disabled !== 0) return null;
    return now.password_hash === current ? { loginName: row.login_name, passwordMark: passwordMarkOf(current) } : this.authenticate(credentials);
  }

  /** Whoever has a password here, or was shut out here, does not get in elsewhere. @throws SyncError AUTH_UNAVAILABLE, BUSY */
  decides({ username }: Credentials): boolean {
    const name = loginNameOrNull(username);
    const row = name === null ? undefined : this.#database.userByLoginName(name);
    return row !== undefined && (row.password_hash !== null || row.disabled !== 0);
  }

  /**
   * Adds a user. A folder of that name is adopted with what is in it.
   *
   * @throws UsersError NAME_INVALID, PASSWORD_INVALID, USER_EXISTS, FOLDER_AMBIGUOUS
   */
  async add(username: string, password: string): Promise<{ user: User; folderExisted: boolean }> {
    const name = normaliseLoginName(username);
    checkPassword(password);
    const known = this.#database.userByLoginName(name);
    if (known !== undefined) throw new UsersError('USER_EXISTS', `there is a user "${known.login_name}" already`);
    const user = userOf(await this.#database.write('ensureUser', name, await this.#hasher.hash(password), true));
    return { user, folderExisted: existsSync(join(this.#database.base, user.folder)) };
  }

  /**
   * Adds a user who comes from elsewhere, with a hash in a form that `PasswordHasher` verifies, or without a password.
   *
   * @throws UsersError NAME_INVALID, USER_EXISTS, FOLDER_AMBIGUOUS
   */
  async addWithHash(username: string, hash: string | null): Promise<User> {
    return userOf(await this.#database.write('ensureUser', normaliseLoginName(username), hash, true));
  }

  /**
   * Changes or sets a password. What ends with the old one: by default `all` host keys, and the app passwords; with `own` only the keys of
   * devices that signed in with the password itself; `none` with `keepKeys`.
   *
   * @throws UsersError USER_UNKNOWN, PASSWORD_INVALID
   */
  async setPassword(
    username: string,
    password: string,
    options: { keepKeys?: boolean; ends?: EndedKeys } = {},
  ): Promise<{ user: User; endedKeys: number }> {
    checkPassword(password);
    const row = this.#row(username);
    const hash = await this.#hasher.hash(password);
    const ends = options.keepKeys === true ? 'none' : options.ends ?? this.#passwordChangeEnds;
    const endedHere = await this.#database.write('setPassword', row.id, hash, ends);
    const endedElsewhere = ends === 'none' || this.#keysElsewhere === undefined ? 0 : await endKeys(this.#keysElsewhere, row.id, ends);
    return { user: userOf(row), endedKeys: endedHere + endedElsewhere };
  }

  async list(): Promise<UserEntry[]> {
    return this.#database.users().map((row) => this.#entry(row));
  }

  /** Some of those whose names hold `part`, for a page of them; `count` of all. */
  async search(part: string, limit: number, offset: number): Promise<{ users: UserEntry[]; count: number }> {
    const { rows, count } = this.#database.usersNamed(part, limit, offset);
    return { users: rows.map((row) => this.#entry(row)), count };
  }

  async byId(id: string): Promise<UserEntry | null> {
    const row = this.#database.userById(id);
    return row === undefined ? null : this.#entry(row);
  }

  /**
   * Removes a user and ends all keys. The data stays in `keptFolder` (absolute), and whoever adds the same name again takes it up:
   * delete or rename the folder before a name goes to another person.
   *
   * @throws UsersError USER_UNKNOWN
   */
  async remove(username: string): Promise<{ user: User; endedKeys: number; keptFolder: string | null }> {
    const row = this.#row(username);
    const endedKeys = await this.#database.write('removeUser', row.id);
    const folder = join(this.#database.base, row.folder);
    return { user: userOf(row), endedKeys, keptFolder: existsSync(folder) ? folder : null };
  }

  /** Refuses login and keys until `enable`. Anki for desktop forgets its key meanwhile, and asks for the password. @throws UsersError USER_UNKNOWN */
  async disable(username: string): Promise<User> {
    return this.#setDisabled(username, true);
  }

  /** @throws UsersError USER_UNKNOWN */
  async enable(username: string): Promise<User> {
    return this.#setDisabled(username, false);
  }

  /** Administrators see all users on the account page. @throws UsersError USER_UNKNOWN */
  async setAdmin(username: string, isAdmin: boolean): Promise<User> {
    const row = this.#row(username);
    await this.#database.write('setAdmin', row.id, isAdmin);
    return userOf({ ...row, is_admin: isAdmin ? 1 : 0 });
  }

  /**
   * What this user may have, from the next request on: bytes, 0 for no limit, null for what holds for everybody. What is left out stays.
   *
   * @throws UsersError USER_UNKNOWN, QUOTA_INVALID
   */
  async setQuota(username: string, quota: NewQuota): Promise<User> {
    for (const bytes of [quota.collectionBytes, quota.mediaBytes]) {
      if (bytes != null && !(Number.isSafeInteger(bytes) && bytes >= 0)) throw new UsersError('QUOTA_INVALID', 'a quota is a whole number of bytes');
    }
    return userOf(await this.#database.write('setQuota', this.#row(username).id, quota));
  }

  /** The user of a name. @throws UsersError NAME_INVALID, USER_UNKNOWN */
  named(username: string): User {
    return userOf(this.#row(username));
  }

  /**
   * Whoever signs in next by this name, through a provider of OpenID Connect, is this user, in place of whoever was at that provider; up to
   * that time, and nobody where it is null.
   *
   * @throws UsersError USER_UNKNOWN
   */
  async awaitSubject(username: string, untilSecs: number | null): Promise<{ user: User; wasWaiting: boolean }> {
    const row = this.#row(username);
    const wasWaiting = await this.#database.write('awaitSubject', row.id, untilSecs ?? 0, Math.floor(Date.now() / 1000));
    return { user: userOf(row), wasWaiting };
  }

  /** For the operator, who may know what a client must not. */
  async verify(username: string, password: string): Promise<PasswordVerdict> {
    const row = this.#database.userByLoginName(normaliseLoginName(username));
    if (row === undefined) return 'unknown user';
    if (row.password_hash === null) return 'no password';
    if (!isUsablePassword(password) || !await this.#hasher.verify(password, row.password_hash)) return 'wrong';
    return row.disabled !== 0 ? 'disabled' : 'right';
  }

  #entry(row: UserRow): UserEntry {
    const keys = this.#database.keysOf(row.id);
    return {
      ...userOf(row),
      disabled: row.disabled !== 0,
      hasPassword: row.password_hash !== null,
      createdSecs: row.created_secs,
      keys: keys.length,
      lastUsedDay: keys.length === 0 ? null : Math.max(...keys.map((key) => key.last_used_day)),
    };
  }

  async #setDisabled(username: string, disabled: boolean): Promise<User> {
    const row = this.#row(username);
    await this.#database.write('setDisabled', row.id, disabled);
    return userOf(row);
  }

  async #rehash(userId: string, before: string, password: string): Promise<string> {
    const after = await this.#hasher.hash(password);
    await this.#database.write('rehash', userId, before, after);
    return after;
  }

  #row(username: string): UserRow {
    const name = normaliseLoginName(username);
    const row = this.#database.userByLoginName(name);
    if (row === undefined) throw new UsersError('USER_UNKNOWN', `there is no user "${name}"`);
    return row;
  }
}

function isUsablePassword(password: string): boolean {
  return password !== '' && password.length <= MAX_PASSWORD_BYTES && Buffer.byteLength(password) <= MAX_PASSWORD_BYTES;
}

function checkPassword(password: string): void {
  if (!isUsablePassword(password)) {
    throw new UsersError('PASSWORD_INVALID', password === '' ? 'the password is empty' : `the password is longer than ${MAX_PASSWORD_BYTES} bytes`);
  }
}
