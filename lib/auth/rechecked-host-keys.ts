import type { Authenticator, User } from './authenticator.ts';
import type { Device, HostKeys, IssuedKey } from './host-keys.ts';

/** Many users come at once after a start, and to a directory that is one visitor. */
const AT_ONCE = 2;
/** After a question that nobody could answer. */
const AGAIN_MILLIS = 60_000;

export interface RecheckedHostKeysOptions {
  hostKeys: HostKeys;
  authenticator: Authenticator;
  /** Called when questions begin to stay without an answer, and when they are answered again. */
  tell?: (level: 'info' | 'warn', detail: string) => void;
  /** Milliseconds. Default: a clock that never goes back. */
  now?: () => number;
}

/** Host keys as they are, unless the authenticator says how often to ask again whether their users still may sign in. */
export function recheckedHostKeys(options: RecheckedHostKeysOptions): HostKeys {
  const { stillAllowed, recheckMinutes } = options.authenticator;
  return stillAllowed === undefined || !(Number(recheckMinutes) > 0) ? options.hostKeys : new RecheckedHostKeys(options);
}

/**
 * The keys of a user who may not sign in any more end, some time after. Users are looked up behind their own requests, which wait for nothing:
 * at the first one after a start, then every `recheckMinutes`. As long as nobody can tell, keys hold.
 */
export class RecheckedHostKeys implements HostKeys {
  readonly #hostKeys: HostKeys;
  readonly #authenticator: Authenticator;
  readonly #tell: (level: 'info' | 'warn', detail: string) => void;
  readonly #now: () => number;
  readonly #everyMillis: number;
  readonly #dueMillis = new Map<string, number>();
  readonly #waiting: User[] = [];
  readonly #asking = new Set<Promise<void>>();
  #isAnswered = true;

  constructor({ hostKeys, authenticator, tell, now }: RecheckedHostKeysOptions) {
    this.#hostKeys = hostKeys;
    this.#authenticator = authenticator;
    this.#tell = tell ?? (() => {});
    this.#now = now ?? (() => performance.now());
    this.#everyMillis = Number(authenticator.recheckMinutes) * 60_000;
  }

  async issue(user: User, device: Device): Promise<string> {
    const key = await this.#hostKeys.issue(user, device);
    // a login with an app password may have been let in without an answer
    if (device.appPasswordId === undefined) this.#dueMillis.set(user.id, this.#now() + this.#everyMillis);
    return key;
  }

  resolve(key: string): Promise<User | null> | User | null {
    const user = this.#hostKeys.resolve(key);
    return user instanceof Promise ? user.then((each) => this.#noted(each)) : this.#noted(user);
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
    await this.settle();
    await this.#hostKeys.close?.();
  }

  /** Waits for the questions that are on the way; those that wait are dropped, and come again after the next start. */
  async settle(): Promise<void> {
    this.#waiting.length = 0;
    await Promise.all(this.#asking);
  }

  #noted(user: User | null): User | null {
    // somebody else vouched, who cannot be asked: that the directory does not know the user says nothing
    if (user === null || user.provider !== undefined || this.#now() < (this.#dueMillis.get(user.id) ?? -Infinity)) return user;
    this.#dueMillis.set(user.id, this.#now() + this.#everyMillis);
    this.#waiting.push(user);
    this.#askNext();
    return user;
  }

  #askNext(): void {
    if (this.#asking.size >= AT_ONCE) return;
    const user = this.#waiting.shift();
    if (user === undefined) return;
    const asking = this.#ask(user).finally(() => {
      this.#asking.delete(asking);
      this.#askNext();
    });
    this.#asking.add(asking);
  }

  async #ask(user: User): Promise<void> {
    try {
      const allowed = await this.#authenticator.stillAllowed!(user.loginName);
      if (!this.#isAnswered) this.#tell('info', 'users can be looked up again');
      this.#isAnswered = true;
      if (allowed === false) await this.#hostKeys.revoke(user.id);
    } catch (error) {
      this.#dueMillis.set(user.id, this.#now() + Math.min(AGAIN_MILLIS, this.#everyMillis));
      const { detail, message } = error as { detail?: string; message?: string };
      if (this.#isAnswered) this.#tell('warn', `users cannot be looked up, and keep their keys meanwhile: ${detail ?? message ?? 'no answer'}`);
      this.#isAnswered = false;
    }
  }
}
