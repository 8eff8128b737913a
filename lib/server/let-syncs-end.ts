/** The end of a server as those see it who sync at that moment: what has begun goes on, and what would begin reads why not. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Activity } from '../activity.ts';

export const RESTART_WORDS = 'The sync server is being restarted. Please sync again in a minute.';
/** The rest of the ten seconds until a container is killed is for long requests. */
export const MAX_LET_SYNCS_END_MILLIS = 5_000;
/** Clients send one step right after the other: whoever says nothing for so long has gone away, and the sync is rolled back. */
const SILENT_MILLIS = 3_000;
const LOOK_MILLIS = 25;

/** Resolves when no sync is between two of its steps. One-way syncs are a single request, which closing waits for anyway. */
export async function untilNoSyncGoesOn(activity: () => Pick<Activity, 'syncs' | 'requests'>, maxMillis: number): Promise<void> {
  const giveUpMillis = performance.now() + maxMillis;
  while (goesOn(activity()) && performance.now() < giveUpMillis) await sleep(LOOK_MILLIS);
}

function goesOn({ syncs, requests }: Pick<Activity, 'syncs' | 'requests'>): boolean {
  const atWork = new Set(requests.map(({ user }) => user));
  return syncs.some(({ kind, user, silentMillis }) => (kind === 'normal' || kind === 'media') && (silentMillis < SILENT_MILLIS || atWork.has(user)));
}
