import type { Authenticator, User } from '../auth/authenticator.ts';

/**
 * Whether people who signed in by password still may, asked of a directory behind their own visits, as it is for devices (see
 * auth/rechecked-host-keys.ts). As long as nobody can tell, they stay.
 */
export class Recheck {
  readonly #authenticator: Authenticator;
  readonly #gone: (user: User) => Promise<unknown>;
  readonly #dueMillis = new Map<string, number>();
  readonly #asking = new Set<Promise<unknown>>();

  /** @param gone called for a user who may not sign in any more */
  constructor(authenticator: Authenticator, gone: (user: User) => Promise<unknown>) {
    this.#authenticator = authenticator;
    this.#gone = gone;
  }

  visited(user: User): void {
    const { recheckMinutes } = this.#authenticator;
    if (this.#authenticator.stillAllowed === undefined || !(Number(recheckMinutes) > 0)) return;
    const nowMillis = performance.now();
    if (nowMillis < (this.#dueMillis.get(user.id) ?? -Infinity)) return;
    this.#dueMillis.set(user.id, nowMillis + Number(recheckMinutes) * 60_000);
    const asking = this.#ask(user).catch(() => {}).finally(() => this.#asking.delete(asking));
    this.#asking.add(asking);
  }

  async close(): Promise<void> {
    await Promise.all(this.#asking);
  }

  async #ask(user: User): Promise<void> {
    if ((await this.#authenticator.stillAllowed!(user.loginName)) === false) await this.#gone(user);
  }
}
