import { setTimeout as sleep } from 'node:timers/promises';

/** For what no event tells of, such as a file that goes away. Rejects after half a minute. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let attempt = 0; !isSo(); attempt++) {
    if (attempt > 3000) throw new Error(`it never came to this: ${isSo}`);
    await sleep(10);
  }
}
