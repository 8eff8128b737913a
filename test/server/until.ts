import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for what happens after an answer, where no event tells of it. The test's own timeout ends a wait in vain. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}
