import { hash } from 'node:crypto';
import type { Html } from './html.ts';

/** What a change has led to, for the page that follows it. */
export interface Notice {
  kind: 'done' | 'failed';
  words: Html;
}

const MAX_NOTICES = 1000;
const KEPT_MILLIS = 10 * 60_000;

/** Shown once, to the browser that made the change. In memory alone: an app password is among them. */
export class Notices {
  readonly #notices = new Map<string, { notice: Notice; untilMillis: number }>();

  leave(token: string, notice: Notice): void {
    const nowMillis = performance.now();
    for (const [key, { untilMillis }] of this.#notices) {
      if (untilMillis > nowMillis && this.#notices.size < MAX_NOTICES) break;
      this.#notices.delete(key);
    }
    const key = hash('sha256', token);
    // the latest stands last
    this.#notices.delete(key);
    this.#notices.set(key, { notice, untilMillis: nowMillis + KEPT_MILLIS });
  }

  take(token: string): Notice | undefined {
    const key = hash('sha256', token);
    const kept = this.#notices.get(key);
    this.#notices.delete(key);
    return kept !== undefined && kept.untilMillis > performance.now() ? kept.notice : undefined;
  }
}
