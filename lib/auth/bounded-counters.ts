import type { RateLimiterMemory } from 'rate-limiter-flexible';

export interface BoundedCountersOptions {
  /** That many in `windowSecs`, and a key is full. */
  points: number;
  windowSecs: number;
  /** At most that many keys are remembered. */
  maxKeys: number;
}

/**
 * Counts by key, in memory. The library remembers as many keys as come, so the oldest are taken out of it: first of those
 * that are not full, or whoever makes up names could free a full one.
 */
export class BoundedCounters {
  readonly #options: BoundedCountersOptions;
  readonly #open = new Set<string>();
  readonly #full = new Set<string>();
  #limiter: Promise<RateLimiterMemory> | undefined;

  constructor(options: BoundedCountersOptions) {
    this.#options = options;
  }

  /** Keys that are remembered. */
  get size(): number {
    return this.#open.size + this.#full.size;
  }

  /** Seconds until a full key is open again; 0 for one that is not full. */
  async secsUntilOpen(key: string): Promise<number> {
    if (!this.#full.has(key)) return 0;
    const found = await (await this.#loaded()).get(key);
    if (found !== null && found.consumedPoints >= this.#options.points && found.msBeforeNext > 0) return Math.ceil(found.msBeforeNext / 1000);
    this.#full.delete(key);
    return 0;
  }

  /** One more. Answers 0, or for one that is too many the seconds until the key is open again. */
  async add(key: string): Promise<number> {
    const { points, maxKeys } = this.#options;
    const counted = await (await this.#loaded()).penalty(key);
    // a window that begins anew is the youngest
    if (counted.isFirstInDuration) this.#unlist(key);
    (counted.consumedPoints >= points ? this.#full : this.#open).add(key);
    if (counted.consumedPoints >= points) this.#open.delete(key);
    while (this.size > maxKeys) {
      const [oldest] = this.#open.size > 0 ? this.#open : this.#full;
      await this.remove(oldest!);
    }
    return counted.consumedPoints > points ? Math.max(1, Math.ceil(counted.msBeforeNext / 1000)) : 0;
  }

  /** One less. */
  async giveBack(key: string): Promise<void> {
    if (!this.#open.has(key) && !this.#full.has(key)) return;
    const counted = await (await this.#loaded()).reward(key);
    // the window ended meanwhile: nothing is there to give back to
    if (counted.consumedPoints <= 0) await this.remove(key);
    else if (counted.consumedPoints < this.#options.points && this.#full.delete(key)) this.#open.add(key);
  }

  async remove(key: string): Promise<void> {
    this.#unlist(key);
    await (await this.#loaded()).delete(key);
  }

  #unlist(key: string): void {
    this.#open.delete(key);
    this.#full.delete(key);
  }

  /** With the first login: a start is faster without the library. */
  #loaded(): Promise<RateLimiterMemory> {
    const { points, windowSecs } = this.#options;
    this.#limiter ??= import('rate-limiter-flexible').then(({ RateLimiterMemory }) => new RateLimiterMemory({ points, duration: windowSecs }));
    return this.#limiter;
  }
}
