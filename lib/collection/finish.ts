import type { RunningSync } from './running-sync.ts';

/**
 * `finish`: everything becomes visible and durable in one commit. The usn rises by one and `mod` becomes the answer,
 * even if the sync only fetched; the client stores both.
 * @returns milliseconds.
 */
export async function finish(sync: RunningSync, nowMillis: number): Promise<number> {
  return sync.store.commit(nowMillis);
}
