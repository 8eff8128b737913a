import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

const GIVE_UP_MILLIS = 15_000;

/** Waits for what happens after an answer, where no event tells of it. */
export async function until(condition: () => boolean): Promise<void> {
  const giveUpAt = Date.now() + GIVE_UP_MILLIS;
  while (!condition()) {
    assert.ok(Date.now() < giveUpAt, `in vain: ${condition.toString()}`);
    await sleep(5);
  }
}
