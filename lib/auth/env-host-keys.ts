import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import { SyncError } from '../errors.ts';
import type { User } from './authenticator.ts';
import type { EnvUser, EnvUsers } from './env-users.ts';
import { endKeys, type Device, type HostKeys, type IssuedKey } from './host-keys.ts';
import { PasswordHasher } from './password-hash.ts';
import { hashOf } from './sqlite-host-keys.ts';
import type { UserDirectory } from './user-directory.ts';
import type { UsersDatabase } from './users-database.ts';

export interface EnvHostKeysOptions {
  database: UsersDatabase;
  directory: UserDirectory;
  envUsers: EnvUsers;
  /** Holds the keys that we issue. */
  hostKeys: HostKeys;
  /** They are not in the database, so that what ends there does not end them. Default false. */
  isElsewhere?: boolean;
  /** Honour the host keys that the official server gave to the same users, so that a move signs nobody out. Default true. */
  officialKeys?: boolean;
  /** What a changed password ends: all host keys and app passwords of the user, or only the keys that it was used for itself. Default `all`. */
  passwordChangeEnds?: 'all' | 'own';
  hasher?: PasswordHasher;
}

/**
 * Host keys of users from the environment: who was taken out of the environment, or got another password there, is
 * signed out, as on the official server, where the key is made of both.
 *
 * The environment cannot tell that a password changed, so the data folder remembers, slowly hashed, under which one the
 * keys were issued. It is compared at the first use of each user after a start. So that a restart does not cost a slow hash
 * for every user, each key has a seal beside it: the password under the key itself as the secret. Whoever has the data folder has
 * no keys to try passwords with, and whoever has a key has no seal.
 */
export class EnvHostKeys implements HostKeys {
  readonly #options: EnvHostKeysOptions;
  readonly #hasher: PasswordHasher;
  readonly #compared = new Set<string>();
  readonly #comparing = new Map<string, Promise<void>>();

  constructor(options: EnvHostKeysOptions) {
    this.#options = options;
    this.#hasher = options.hasher ?? new PasswordHasher();
  }

  async issue(user: User, device: Device): Promise<string> {
    const known = this.#options.envUsers.user(user.loginName);
    if (known === undefined) throw new SyncError('PASSWORD_WRONG', 'wrong user name or password', { detail: 'not a user of the environment' });
    if (!this.#compared.has(user.id)) await this.#compare(user, known);
    const key = await this.#options.hostKeys.issue(user, device);
    this.#seal(key, known);
    return key;
  }

  resolve(key: string): Promise<User | null> | User | null {
    const official = this.#options.officialKeys === false ? undefined : this.#options.envUsers.userOfOfficialKey(key);
    if (official !== undefined) return this.#userOf(official);
    const user = this.#options.hostKeys.resolve(key);
    return user instanceof Promise ? user.then((each) => this.#checked(key, each)) : this.#checked(key, user);
  }

  async revoke(userId: string, keyId?: string): Promise<number> {
    const { hostKeys, database, isElsewhere = false } = this.#options;
    // with all of them goes that of the official server, of which the database knows
    if (isElsewhere && keyId === undefined) await database.write('revokeKeys', userId, null);
    return hostKeys.revoke(userId, keyId);
  }

  list(userId: string): Promise<IssuedKey[]> {
    return this.#options.hostKeys.list(userId);
  }

  synced(key: string, device: Pick<Device, 'client' | 'address'>): void {
    this.#options.hostKeys.synced?.(key, device);
  }

  async close(): Promise<void> {
    await this.#options.hostKeys.close?.();
  }

  async #userOf(official: EnvUser): Promise<User | null> {
    try {
      const user = await this.#options.directory.userFor(official.loginName);
      // all devices were signed out since: it cannot be told which of them have this one
      return this.#options.database.userById(user.id)?.official_key_ended === 0 ? user : null;
    } catch (error) {
      if (error instanceof SyncError && error.code === 'PASSWORD_WRONG') return null; // disabled
      throw error;
    }
  }

  #checked(key: string, user: User | null): Promise<User | null> | User | null {
    if (user === null) return null;
    const known = this.#options.envUsers.user(user.loginName);
    if (known === undefined) return null;
    if (this.#compared.has(user.id)) return user;
    if (this.#isSealed(key, known)) {
      this.#compared.add(user.id);
      return user;
    }
    return this.#compare(user, known).then(async () => {
      const stillHolds = await this.#options.hostKeys.resolve(key);
      if (stillHolds !== null) this.#seal(key, known);
      return stillHolds;
    });
  }

  /** Only spares a slow hash after the next start: no login or sync waits for it, and without it they are as good. */
  #seal(key: string, { password }: EnvUser): void {
    if (password === undefined || this.#options.isElsewhere === true) return;
    void this.#options.database.write('setEnvironmentSeal', hashOf(key), sealOf(key, password)).catch(() => {});
  }

  #isSealed(key: string, { password }: EnvUser): boolean {
    if (password === undefined) return false;
    const sealed = this.#options.database.environmentSeal(hashOf(key));
    const right = sealOf(key, password);
    return sealed?.length === right.length && timingSafeEqual(Buffer.from(sealed), Buffer.from(right));
  }

  #compare(user: User, known: EnvUser): Promise<void> {
    let running = this.#comparing.get(user.id);
    if (running === undefined) {
      running = this.#endKeysOfAnotherPassword(user, known)
        .then(() => void this.#compared.add(user.id))
        .finally(() => this.#comparing.delete(user.id));
      this.#comparing.set(user.id, running);
    }
    return running;
  }

  async #endKeysOfAnotherPassword(user: User, { phc, password }: EnvUser): Promise<void> {
    const stored = this.#options.database.userById(user.id)?.environment_hash ?? null;
    // of a hash in the environment, a fast hash is enough; of a password, none is
    const fingerprint = phc === undefined ? undefined : `sha256:${hash('sha256', phc, 'base64url')}`;
    const same = stored !== null && (fingerprint === undefined
      ? stored.startsWith('$') && await this.#hasher.verify(password!, stored)
      : stored === fingerprint);
    if (same) return;
    const current = fingerprint ?? await this.#hasher.hash(password!);
    // none remembered: the user comes from another authenticator, and stays signed in
    const ends = stored === null ? 'none' : this.#options.passwordChangeEnds ?? 'all';
    // before the new one is remembered: what is interrupted here is done at the next time
    if (this.#options.isElsewhere === true && ends !== 'none') await endKeys(this.#options.hostKeys, user.id, ends);
    await this.#options.database.write('setEnvironmentHash', user.id, current, ends);
  }
}

function sealOf(key: string, password: string): string {
  return createHmac('sha256', key).update(password).digest('base64url');
}
