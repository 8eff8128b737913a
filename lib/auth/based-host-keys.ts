import { hash } from 'node:crypto';
import type { Authenticator, KeyBasis, User } from './authenticator.ts';
import { endKeys, type Device, type HostKeys, type IssuedKey } from './host-keys.ts';
import type { UsersDatabase } from './users-database.ts';

export interface BasedHostKeysOptions {
  hostKeys: HostKeys;
  authenticator: Authenticator;
  database: UsersDatabase;
  /** What another basis ends: all host keys and app passwords of the user, or only the keys that no app password was used for. Default `all`. */
  passwordChangeEnds?: 'all' | 'own';
}

/** Marks what is remembered here in a column that `EnvHostKeys` uses too. */
const MARK = 'basis:';

/** Host keys as they are, unless the authenticator says what they rest on. */
export function basedHostKeys(options: BasedHostKeysOptions): HostKeys {
  return options.authenticator.keyBasis === undefined ? options.hostKeys : new BasedHostKeys(options);
}

/**
 * Host keys of users who are kept elsewhere, in a file for instance: when what they rest on is another one, or is gone, they end. The
 * data folder remembers the hash of what they rested on, so this holds for what changed while the server was down too.
 */
class BasedHostKeys implements HostKeys {
  readonly #hostKeys: HostKeys;
  readonly #authenticator: Authenticator;
  readonly #database: UsersDatabase;
  readonly #passwordChangeEnds: 'all' | 'own';
  /** Of users, in this run: what was compared last. */
  readonly #compared = new Map<string, string>();
  readonly #comparing = new Map<string, Promise<void>>();

  constructor({ hostKeys, authenticator, database, passwordChangeEnds }: BasedHostKeysOptions) {
    this.#hostKeys = hostKeys;
    this.#authenticator = authenticator;
    this.#database = database;
    this.#passwordChangeEnds = passwordChangeEnds ?? 'all';
  }

  async issue(user: User, device: Device): Promise<string> {
    // what a key that is issued now rests on is remembered before it is there
    await this.#compare(user, basisOf(user, await this.#authenticator.keyBasis!(user.loginName)));
    return this.#hostKeys.issue(user, device);
  }

  resolve(key: string): Promise<User | null> | User | null {
    const user = this.#hostKeys.resolve(key);
    return user instanceof Promise ? user.then((each) => this.#checked(key, each)) : this.#checked(key, user);
  }

  revoke(userId: string, keyId?: string): Promise<number> {
    return this.#hostKeys.revoke(userId, keyId);
  }

  list(userId: string): Promise<IssuedKey[]> {
    return this.#hostKeys.list(userId);
  }

  synced(key: string, device: Pick<Device, 'client' | 'address'>): void {
    this.#hostKeys.synced?.(key, device);
  }

  async close(): Promise<void> {
    await this.#hostKeys.close?.();
  }

  #checked(key: string, user: User | null): Promise<User | null> | User | null {
    if (user === null) return null;
    const basis = this.#authenticator.keyBasis!(user.loginName);
    if (basis instanceof Promise) return basis.then((each) => this.#judged(key, user, basisOf(user, each)));
    return this.#judged(key, user, basisOf(user, basis));
  }

  #judged(key: string, user: User, basis: KeyBasis): Promise<User | null> | User | null {
    if (this.#compared.get(user.id) === markOf(basis)) return basis === null ? null : user;
    return this.#compare(user, basis).then(async () => (basis === null ? null : this.#hostKeys.resolve(key)));
  }

  async #compare(user: User, basis: KeyBasis): Promise<void> {
    // one after the other: two requests may see two versions
    while (this.#comparing.has(user.id)) await this.#comparing.get(user.id);
    const running = this.#endKeysOfAnotherBasis(user, markOf(basis)).finally(() => this.#comparing.delete(user.id));
    this.#comparing.set(user.id, running);
    await running;
  }

  async #endKeysOfAnotherBasis(user: User, mark: string): Promise<void> {
    const stored = this.#database.userById(user.id)?.environment_hash ?? '';
    const known = stored.startsWith(MARK) ? stored : undefined;
    if (known !== mark && !(known === undefined && mark === NONE)) {
      // none remembered: the user comes from another authenticator, and stays signed in
      const ends = known === undefined || known === NONE ? 'none' : mark === NONE ? 'all' : this.#passwordChangeEnds;
      if (ends !== 'none') await endKeys(this.#hostKeys, user.id, ends);
      await this.#database.write('setEnvironmentHash', user.id, mark, ends);
    }
    this.#compared.set(user.id, mark);
  }
}

/** Users whom a provider of single sign-on vouches for are not gone because the file does not know them. */
function basisOf(user: User, basis: KeyBasis): KeyBasis {
  return basis === null && user.provider !== undefined ? undefined : basis;
}

const NONE = `${MARK}none`;

function markOf(basis: KeyBasis): string {
  return typeof basis === 'string' ? `${MARK}${hash('sha256', basis, 'base64url')}` : NONE;
}
