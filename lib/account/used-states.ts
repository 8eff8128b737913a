/** Longer than a sign-in at a provider may be on its way: see auth/oidc/provider.ts. */
const KEPT_MILLIS = 20 * 60_000;
const MAX_STATES = 10_000;

/**
 * Ways back from a provider that somebody came by: none is used twice, even by whoever keeps an earlier cookie. In memory, as the key is that
 * the cookie is sealed with.
 */
export class UsedStates {
  readonly #now: () => number;
  /** In the order of use. */
  readonly #usedMillis = new Map<string, number>();

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Whether it was not used before. */
  use(state: string): boolean {
    const nowMillis = this.#now();
    for (const [key, usedMillis] of this.#usedMillis) {
      if (usedMillis + KEPT_MILLIS > nowMillis && this.#usedMillis.size < MAX_STATES) break;
      this.#usedMillis.delete(key);
    }
    if (this.#usedMillis.has(state)) return false;
    this.#usedMillis.set(state, nowMillis);
    return true;
  }
}
