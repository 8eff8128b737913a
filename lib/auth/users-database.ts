import { resolve as absolute } from 'node:path';
import { Worker } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { SyncError } from '../errors.ts';
import type { User } from './authenticator.ts';
import { diskError } from './disk-error.ts';
import { loginKey } from './login-names.ts';
import { UsersError } from './users-error.ts';
import { USER_COLUMNS, type AuditRow, type PageSessionRow, type UserRow } from './users-rows.ts';
import { usersDatabasePath } from './users-schema.ts';
import type { FirstStartOptions } from './users-schema.ts';
import type { ThreadAnswer, ThreadCall, ThreadData } from './users-thread.ts';
import type { WriteArgs, WriteName, WriteResult } from './users-writes.ts';

export type { UserRow } from './users-rows.ts';

/** What a host key leads to. */
export interface KeyOwner {
  readonly user: User;
  readonly lastUsedDay: number;
  /** Null: does not end by itself. */
  readonly expiresSecs: number | null;
}

export interface KeyRow {
  key_id: string;
  client: string;
  address: string | null;
  issued_secs: number;
  last_used_day: number;
  last_sync_secs: number | null;
  app_password_id: string | null;
  expires_secs: number | null;
}

/** One row of `app_passwords`, without the hash. */
export interface AppPasswordRow {
  id: string;
  user_id: string;
  name: string;
  created_secs: number;
  expires_secs: number | null;
  last_used_secs: number | null;
}

const CACHED_KEYS = 10_000;
const APP_PASSWORD_COLUMNS = 'id, user_id, name, created_secs, expires_secs, last_used_secs';

/** Of the writing thread, which holds one write at a time. */
const THREAD_HEAP_MEGS = 64;

/** A reader waits only while another process recovers the log after a crash: milliseconds. */
const READ_TIMEOUT_MILLIS = 250;

/**
 * `<base>/.anki-sync/users.db`: users and host keys.
 *
 * Writes go to a thread, since each waits for the disk. Reads stay here, on a connection that cannot write: a hop to the
 * thread would cost more than the read, and in WAL mode a reader never waits for a writer. SQLite's `data_version` tells,
 * in 2 µs and on each call, whether anybody (the thread, or the command line in another process) has committed since;
 * only then is the cache of keys dropped. So what another process changes holds from the next request on: whoever has revoked
 * a key, and seen the command end, may count on it.
 */
export class UsersDatabase {
  readonly base: string;
  /** The case rule of the data folder, fixed at first start. */
  readonly caseSensitive: boolean;
  #thread: WriteThread;
  #closed = false;
  #changed: (() => void) | undefined;
  readonly #by: Pick<FirstStartOptions, 'by'>;
  readonly #db: Database.Database;
  readonly #dataVersion: Database.Statement<[], number>;
  readonly #keyOwner: Database.Statement<[string], UserRow & { last_used_day: number; expires_secs: number | null }>;
  readonly #environmentSeal: Database.Statement<[string], string | null>;
  readonly #userById: Database.Statement<[string], UserRow>;
  readonly #userByKey: Database.Statement<[string], UserRow>;
  readonly #users: Database.Statement<[], UserRow>;
  readonly #usersNamed: Database.Statement<[string, number, number], UserRow>;
  readonly #countNamed: Database.Statement<[string], number>;
  readonly #keys: Database.Statement<[string], KeyRow>;
  readonly #appPasswords: Database.Statement<[string], AppPasswordRow>;
  readonly #appPasswordByHash: Database.Statement<[string], AppPasswordRow>;
  readonly #audit: Database.Statement<[], AuditRow>;
  readonly #oidcSignedIn: Database.Statement<[string], number | null>;
  readonly #pageSession: Database.Statement<[string], PageSessionRow>;
  #cache = new Map<string, KeyOwner>();
  #cachedVersion = -1;

  /**
   * @param base the data folder; made if missing
   * @throws UsersError DATABASE_TOO_NEW, CASE_RULE_FIXED, NAMES_CLASH
   */
  static async open(base: string, options: FirstStartOptions = {}): Promise<UsersDatabase> {
    const folder = absolute(base);
    const thread = new WriteThread({ base: folder, options });
    try {
      return new UsersDatabase(folder, thread, await thread.opened, options.by === undefined ? {} : { by: options.by });
    } catch (error) {
      await thread.close();
      throw error;
    }
  }

  private constructor(base: string, thread: WriteThread, caseSensitive: boolean, by: Pick<FirstStartOptions, 'by'>) {
    this.base = base;
    this.#by = by;
    this.caseSensitive = caseSensitive;
    this.#thread = thread;
    this.#db = new Database(usersDatabasePath(base), { readonly: true, fileMustExist: true, timeout: READ_TIMEOUT_MILLIS });
    this.#dataVersion = this.#db.prepare<[], number>('PRAGMA data_version').pluck();
    this.#keyOwner = this.#db.prepare(`SELECT ${USER_COLUMNS}, last_used_day, expires_secs
      FROM host_keys JOIN users ON users.id = user_id WHERE key_hash = ? AND NOT disabled`);
    this.#environmentSeal = this.#db.prepare<[string], string | null>('SELECT environment_seal FROM host_keys WHERE key_hash = ?').pluck();
    this.#userById = this.#db.prepare(`SELECT ${USER_COLUMNS} FROM users WHERE id = ?`);
    this.#userByKey = this.#db.prepare(`SELECT ${USER_COLUMNS} FROM users WHERE login_key = ?`);
    this.#users = this.#db.prepare(`SELECT ${USER_COLUMNS} FROM users ORDER BY login_key`);
    this.#usersNamed = this.#db.prepare(`SELECT ${USER_COLUMNS} FROM users WHERE instr(login_key, ?) > 0 ORDER BY login_key LIMIT ? OFFSET ?`);
    this.#countNamed = this.#db.prepare<[string], number>('SELECT count(*) FROM users WHERE instr(login_key, ?) > 0').pluck();
    this.#appPasswords = this.#db.prepare(`SELECT ${APP_PASSWORD_COLUMNS} FROM app_passwords WHERE user_id = ? ORDER BY created_secs, name, id`);
    this.#appPasswordByHash = this.#db.prepare(`SELECT ${APP_PASSWORD_COLUMNS} FROM app_passwords WHERE password_hash = ?`);
    this.#audit = this.#db.prepare('SELECT number, at_secs, event, login_name, detail FROM audit ORDER BY number');
    this.#oidcSignedIn = this.#db.prepare<[string], number | null>('SELECT max(signed_in_secs) FROM oidc_subjects WHERE user_id = ?').pluck();
    this.#pageSession = this.#db.prepare(`SELECT session_hash, user_id, via, seal, signed_in_secs, used_secs
      FROM page_sessions JOIN users ON users.id = user_id WHERE session_hash = ? AND NOT disabled`);
    this.#keys = this.#db.prepare(`SELECT key_id, client, address, issued_secs, last_used_day, last_sync_secs, app_password_id, expires_secs
      FROM host_keys WHERE user_id = ? ORDER BY issued_secs, key_id`);
  }

  /** Runs one write in the thread; it is on disk when the promise resolves. */
  write<N extends WriteName>(name: N, ...args: WriteArgs<N>): Promise<WriteResult<N>> {
    if (this.#closed) return Promise.reject(new SyncError('CLOSING', 'the server is closing'));
    // a thread that died (out of memory, say) is replaced by the next write; its own write was rolled back
    if (this.#thread.gone) this.#thread = new WriteThread({ base: this.base, options: this.#by });
    const written = this.#thread.call(name, args) as Promise<WriteResult<N>>;
    const changed = this.#changed;
    return changed === undefined ? written : written.finally(changed);
  }

  /** One listener, called after each write of this process, and when a key is looked up after a write of another. */
  onChange(listener: () => void): void {
    this.#changed = listener;
  }

  /** The owner of a host key, by the key's hash; undefined when there is none, or the user is disabled. */
  keyOwner(keyHash: string): KeyOwner | undefined {
    return reading(() => {
      this.#lookForChanges();
      const cached = this.#cache.get(keyHash);
      if (cached !== undefined) return cached;
      const row = this.#keyOwner.get(keyHash);
      if (row === undefined) return undefined;
      const owner = { user: Object.freeze(userOf(row)), lastUsedDay: row.last_used_day, expiresSecs: row.expires_secs };
      if (this.#cache.size >= CACHED_KEYS) this.#cache.clear();
      this.#cache.set(keyHash, owner);
      return owner;
    });
  }

  #lookForChanges(): void {
    const version = this.#dataVersion.get()!;
    if (version === this.#cachedVersion) return;
    this.#cache.clear();
    this.#cachedVersion = version;
    if (this.#changed !== undefined) setImmediate(this.#changed);
  }

  /** Null of a key that has none, or has ended. */
  environmentSeal(keyHash: string): string | null {
    return reading(() => this.#environmentSeal.get(keyHash) ?? null);
  }

  userById(id: string): UserRow | undefined {
    return reading(() => this.#userById.get(id));
  }

  /** What was set for this user alone. Asked of SQLite each time. */
  quotaOf(userId: string): User['quota'] {
    const row = this.userById(userId);
    return row === undefined ? undefined : userOf(row).quota;
  }

  /** @param loginName normalised */
  userByLoginName(loginName: string): UserRow | undefined {
    return reading(() => this.#userByKey.get(loginKey(loginName, this.caseSensitive)));
  }

  users(): UserRow[] {
    return reading(() => this.#users.all());
  }

  /** Some of those whose names hold `part`, in the order of names, and how many there are in all. */
  usersNamed(part: string, limit: number, offset: number): { rows: UserRow[]; count: number } {
    const key = loginKey(part.normalize('NFC'), this.caseSensitive);
    return reading(() => ({ rows: this.#usersNamed.all(key, limit, offset), count: this.#countNamed.get(key)! }));
  }

  keysOf(userId: string): KeyRow[] {
    return reading(() => this.#keys.all(userId));
  }

  appPasswordsOf(userId: string): AppPasswordRow[] {
    return reading(() => this.#appPasswords.all(userId));
  }

  appPasswordByHash(passwordHash: string): AppPasswordRow | undefined {
    return reading(() => this.#appPasswordByHash.get(passwordHash));
  }

  /** When the user came from a provider of OpenID Connect last; undefined for one who never did. */
  oidcSignedInSecs(userId: string): number | undefined {
    return reading(() => this.#oidcSignedIn.get(userId) ?? undefined);
  }

  /** Undefined when there is none, or the user is disabled. */
  pageSession(sessionHash: string): PageSessionRow | undefined {
    return reading(() => this.#pageSession.get(sessionHash));
  }

  /** What happened and was not told yet, oldest first. */
  audit(): AuditRow[] {
    return reading(() => this.#audit.all());
  }

  /** Another number after each commit, by whomever. */
  dataVersion(): number {
    return reading(() => this.#dataVersion.get()!);
  }

  /** Waits for running writes. */
  async close(): Promise<void> {
    // the reader first: whoever closes last writes the log back into the database, which belongs in the thread
    this.#closed = true;
    this.#db.close();
    await this.#thread.close();
  }
}

/** The user of a row, without what only this room may know. */
export function userOf(row: UserRow): User {
  return {
    id: row.id,
    loginName: row.login_name,
    folder: row.folder,
    ...(row.provider === null ? {} : { provider: row.provider }),
    ...(row.is_admin === 0 ? {} : { isAdmin: true as const }),
    ...quotaOf(row),
  };
}

function quotaOf({ quota_collection_bytes: maxCollectionBytes, quota_media_bytes: maxMediaBytes }: UserRow): Pick<User, 'quota'> {
  if (maxCollectionBytes === null && maxMediaBytes === null) return {};
  const quota = { ...(maxCollectionBytes === null ? {} : { maxCollectionBytes }), ...(maxMediaBytes === null ? {} : { maxMediaBytes }) };
  return { quota: Object.freeze(quota) };
}

/** Failing to read is never an answer: null would become 403, and clients would throw their keys away. */
function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw diskError(error as { code?: string; message: string });
  }
}

/** The main side of `users-thread.ts`. Keeps the process alive only while a write runs. */
class WriteThread {
  /** The case rule, once the database is open. */
  readonly opened: Promise<boolean>;
  gone = false;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #lastId = 0;
  #closing: Promise<void> | undefined;

  constructor(workerData: ThreadData) {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    this.#worker = new Worker(new URL(`./users-thread.${extension}`, import.meta.url), {
      workerData,
      // the process's own flags would be applied again, and `--input-type` (with `node -e`) refuses to load a file
      execArgv: [],
      // a thread needs none of the process's secrets
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: THREAD_HEAP_MEGS },
    });
    this.#worker.on('message', (answer: ThreadAnswer) => this.#answered(answer));
    // both arrive when the thread dies; the first one tells why
    this.#worker.on('error', (error) => this.#lost(error));
    this.#worker.on('exit', () => this.#lost());
    this.opened = this.#expect(0) as Promise<boolean>;
    this.opened.catch(() => {}); // a replacement's caller waits for its own write only
  }

  call(name: WriteName, args: unknown[]): Promise<unknown> {
    return this.#send({ id: ++this.#lastId, name, args });
  }

  close(): Promise<void> {
    this.#closing ??= this.#send({ id: ++this.#lastId, name: 'close' })
      .then(() => {}, () => {})
      .then(async () => { await this.#worker.terminate(); });
    return this.#closing;
  }

  #send(call: ThreadCall): Promise<unknown> {
    if (this.gone) return Promise.reject(new SyncError('AUTH_UNAVAILABLE', 'the thread of the users has ended'));
    const answer = this.#expect(call.id);
    this.#worker.postMessage(call);
    return answer;
  }

  #expect(id: number): Promise<unknown> {
    this.#worker.ref();
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #answered(answer: ThreadAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if ('value' in answer) waiting?.resolve(answer.value);
    else if ('usersError' in answer) waiting?.reject(new UsersError(answer.usersError.code, answer.usersError.message));
    else waiting?.reject(diskError(answer.failure));
  }

  #lost(error?: unknown): void {
    this.gone = true;
    const lost = new SyncError('AUTH_UNAVAILABLE', 'the thread of the users has ended', { cause: error });
    for (const { reject } of this.#waiting.values()) reject(lost);
    this.#waiting.clear();
  }
}
