/** The end of a server as those see it who sync at that moment: what has begun goes on, and what would begin reads why not. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SyncServer } from '../index.ts';

const WORDS = 'The sync server is being restarted. Please sync again in a minute.';
/** The rest of the ten seconds until a container is killed is for long requests. */
const MAX_WAIT_MS = 5_000;
/** Clients send one step right after the other: whoever says nothing for so long has gone away, and the sync is rolled back. */
const SILENT_MS = 3_000;
const LOOK_MS = 25;

/** Returns when no sync is between two of its steps. One-way syncs are a single request, which closing waits for anyway. */
export async function letSyncsEnd(server: Pick<SyncServer, 'activity' | 'maintenance'>): Promise<void> {
  if (server.activity().maintenance === undefined) server.maintenance(WORDS);
  const untilMs = performance.now() + MAX_WAIT_MS;
  while (goesOn(server) && performance.now() < untilMs) await sleep(LOOK_MS);
}

function goesOn(server: Pick<SyncServer, 'activity'>): boolean {
  const { syncs, requests } = server.activity();
  const atWork = new Set(requests.map(({ user }) => user));
  return syncs.some(({ kind, user, silentMillis }) => (kind === 'normal' || kind === 'media') && (silentMillis < SILENT_MS || atWork.has(user)));
}
