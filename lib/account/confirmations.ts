import { hash } from 'node:crypto';

const HOLDS_MILLIS = 10 * 60_000;
const MAX_CONFIRMATIONS = 1000;

/**
 * Browsers whose person has shown a moment ago, by signing in anew at a provider, that it is still them: for ten minutes, in memory alone. A
 * session that began so recently says less: a provider may have let the browser through without asking anybody.
 */
export class Confirmations {
  readonly #now: () => number;
  readonly #untilMillis = new Map<string, number>();

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @param token of the cookie from then on */
  add(token: string): void {
    if (this.#untilMillis.size >= MAX_CONFIRMATIONS) this.#untilMillis.delete(this.#untilMillis.keys().next().value!);
    this.#untilMillis.set(hash('sha256', token), this.#now() + HOLDS_MILLIS);
  }

  has(token: string): boolean {
    return (this.#untilMillis.get(hash('sha256', token)) ?? -Infinity) > this.#now();
  }
}
