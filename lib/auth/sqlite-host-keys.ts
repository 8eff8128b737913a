import { hash, randomBytes } from 'node:crypto';
import { SyncError } from '../errors.ts';
import type { User } from './authenticator.ts';
import type { Device, HostKeys, IssuedKey } from './host-keys.ts';
import type { UsersDatabase } from './users-database.ts';
import type { DeviceSync } from './users-rows.ts';
import { randomId } from './users-writes.ts';

/** `<version>.<routing id of the user>.<256 random bits, base64url>`. */
const KEY_FORM = /^1\.[a-z2-7]{16}\.[A-Za-z0-9_-]{43}$/;
const MAX_CLIENT_CHARS = 200;
const MARK_AFTER_MILLIS = 5_000;
/** Of one device, that often: nobody looks closer, and each write makes readers forget what they have cached. */
const SYNCED_EVERY_SECS = 60;
const SYNCED_AFTER_MILLIS = 15_000;

export interface SqliteHostKeysOptions {
  /** Above this many keys of one user, those unused for `unusedDays` end. Default 100. */
  softLimit?: number;
  /** Default 180. */
  unusedDays?: number;
  /**
   * Above this many, keys in use end too: the least recently used of the client that holds most. Default 1000.
   * Each login makes a key, and a script may log in before every sync; no person has so many devices.
   */
  hardLimit?: number;
  /** Milliseconds since 1970. Default: the clock. */
  now?: () => number;
}

/**
 * Host keys in the data folder. Only their SHA-256 is kept: with 256 random bits nothing slower is needed.
 * The middle part names the user for a router in front of several nodes, and says nothing about name, id or password.
 */
export class SqliteHostKeys implements HostKeys {
  readonly #database: UsersDatabase;
  readonly #options: Required<SqliteHostKeysOptions>;
  readonly #used = new Set<string>();
  #usedDay = 0;
  #timer: NodeJS.Timeout | undefined;
  /** What devices did, until it is written down. */
  readonly #synced = new Map<string, DeviceSync>();
  /** Of those written down in the last minute: when, and what. */
  #writtenDown = new Map<string, DeviceSync>();
  #syncedTimer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #ending = false;

  constructor(database: UsersDatabase, options: SqliteHostKeysOptions = {}) {
    this.#database = database;
    this.#options = { softLimit: 100, unusedDays: 180, hardLimit: 1000, now: Date.now, ...options };
  }

  /** @throws SyncError PASSWORD_WRONG when the user was removed or disabled, or got another password, meanwhile */
  async issue(user: User, device: Device): Promise<string> {
    const row = this.#database.userById(user.id);
    if (row === undefined) throw gone();
    const key = `1.${row.routing_id}.${randomBytes(32).toString('base64url')}`;
    const { softLimit, unusedDays, hardLimit, now } = this.#options;
    const added = await this.#database.write('addKey', {
      keyHash: hashOf(key),
      keyId: randomId(12),
      userId: user.id,
      client: device.client.slice(0, MAX_CLIENT_CHARS),
      address: device.address?.slice(0, MAX_CLIENT_CHARS) ?? null,
      appPasswordId: device.appPasswordId ?? null,
      expiresSecs: device.expiresSecs ?? null,
      passwordMark: device.passwordMark ?? null,
      nowSecs: Math.floor(now() / 1000),
      softLimit,
      unusedDays,
      hardLimit,
    });
    if (!added) throw gone();
    return key;
  }

  /** Answers at once. @throws SyncError AUTH_UNAVAILABLE, BUSY */
  resolve(key: string): User | null {
    if (!KEY_FORM.test(key)) return null;
    const keyHash = hashOf(key);
    const owner = this.#database.keyOwner(keyHash);
    if (owner === undefined) return null;
    const nowMillis = this.#options.now();
    if (owner.expiresSecs !== null && owner.expiresSecs * 1000 <= nowMillis) {
      // taken away, with a word in the log; until then it is refused all the same
      this.#endExpired(Math.floor(nowMillis / 1000));
      return null;
    }
    const today = Math.floor(nowMillis / 86_400_000);
    if (owner.lastUsedDay < today) this.#markUsed(keyHash, today);
    return owner.user;
  }

  async revoke(userId: string, keyId?: string): Promise<number> {
    return this.#database.write('revokeKeys', userId, keyId ?? null);
  }

  /** Devices, with what they did in this process up to now. */
  async list(userId: string): Promise<(IssuedKey & { lastUsedDay: number })[]> {
    const nowSecs = Math.floor(this.#options.now() / 1000);
    await this.#writeSynced();
    return this.#database.keysOf(userId).filter((row) => row.expires_secs === null || row.expires_secs > nowSecs).map((row) => ({
      keyId: row.key_id,
      client: row.client,
      address: row.address ?? undefined,
      issuedSecs: row.issued_secs,
      lastUsedDay: row.last_used_day,
      lastSyncSecs: row.last_sync_secs ?? undefined,
      appPasswordId: row.app_password_id ?? undefined,
    }));
  }

  /** On disk some seconds later, with those of other devices; once a minute, unless address or version are others. */
  synced(key: string, { client, address }: Pick<Device, 'client' | 'address'>): void {
    const keyHash = hashOf(key);
    const atSecs = Math.floor(this.#options.now() / 1000);
    const before = this.#synced.get(keyHash) ?? this.#writtenDown.get(keyHash);
    const now = {
      keyHash,
      client: client.slice(0, MAX_CLIENT_CHARS) || (before?.client ?? ''),
      address: address?.slice(0, MAX_CLIENT_CHARS) ?? before?.address ?? null,
      atSecs,
    };
    const isNew = before === undefined || atSecs - before.atSecs >= SYNCED_EVERY_SECS
      || before.client !== now.client || before.address !== now.address;
    if (!isNew && !this.#synced.has(keyHash)) return;
    this.#synced.set(keyHash, now);
    this.#syncedTimer ??= setTimeout(() => void this.#writeSynced(), SYNCED_AFTER_MILLIS).unref();
  }

  /** Writes down what was only remembered. The database stays open: it belongs to whoever opened it. */
  async close(): Promise<void> {
    await Promise.all([this.#flush(), this.#writeSynced()]);
  }

  async #writeSynced(): Promise<void> {
    clearTimeout(this.#syncedTimer);
    this.#syncedTimer = undefined;
    // whoever lists devices while others do waits for the same write
    if (this.#synced.size === 0) return this.#writing;
    const syncs = [...this.#synced.values()];
    this.#synced.clear();
    const leastSecs = Math.floor(this.#options.now() / 1000) - SYNCED_EVERY_SECS;
    this.#writtenDown = new Map([...this.#writtenDown].filter(([, { atSecs }]) => atSecs > leastSecs));
    for (const sync of syncs) this.#writtenDown.set(sync.keyHash, sync);
    // a lost one does no harm; the next sync tells again
    this.#writing = this.#database.write('markSynced', syncs).catch(() => {});
    await this.#writing;
  }

  #endExpired(nowSecs: number): void {
    if (this.#ending) return;
    this.#ending = true;
    void this.#database.write('endExpired', nowSecs).catch(() => {}).finally(() => (this.#ending = false));
  }

  /** Many keys are used first at midnight: one write for those of some seconds, and nobody waits for it. */
  #markUsed(keyHash: string, today: number): void {
    this.#used.add(keyHash);
    this.#usedDay = today;
    this.#timer ??= setTimeout(() => void this.#flush(), MARK_AFTER_MILLIS).unref();
  }

  async #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#used.size === 0) return;
    const keyHashes = [...this.#used];
    this.#used.clear();
    // a lost day does no harm; the next request marks the key again
    await this.#database.write('markUsed', keyHashes, this.#usedDay).catch(() => {});
  }
}

/** What the data folder keeps of a key. */
export function hashOf(key: string): string {
  return hash('sha256', key, 'base64url');
}

function gone(): SyncError {
  return new SyncError('PASSWORD_WRONG', 'wrong user name or password', { detail: 'the user was removed or disabled, or got another password, during the login' });
}
