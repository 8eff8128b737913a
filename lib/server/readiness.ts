/** `GET /ready`, for load balancers and monitors: whether a sync would go well now. What is wrong is for the log. */
import type { HttpResponse } from '../http.ts';
import type { LogEntry } from '../options.ts';
import { diskTrouble } from '../storage/files/readiness.ts';
import { plainText } from './plain-text.ts';
import type { Rooms } from './rooms.ts';
import type { ServerState } from './state.ts';

/** How long what was found holds. */
const READY_MILLIS = 2_000;
/** No step of a user takes so long: a full upload is checked in a lane of its own. */
const STUCK_MILLIS = 5 * 60_000;

export type Readiness = (state: Pick<ServerState, 'isEnding'>, rooms: Pick<Rooms, 'engine' | 'forwarding'>, entry: LogEntry) => Promise<HttpResponse>;

export function readinessOf(base: string): Readiness {
  let found: { trouble: Promise<string | undefined>; untilMillis: number } | undefined;
  return async ({ isEnding }, { engine, forwarding }, entry) => {
    if (isEnding) {
      // nothing is wrong, and somebody may ask each second
      entry.detail = 'the server ends';
      return plainText(503, 'not ready');
    }
    const now = performance.now();
    if (found === undefined || found.untilMillis < now) {
      // anybody may ask, and the disk is asked once
      found = { trouble: troubleOf(base, forwarding), untilMillis: now + READY_MILLIS };
    }
    const { longestCallMillis } = engine.activity();
    const stuck = longestCallMillis > STUCK_MILLIS ? `a thread has been at one step for ${Math.round(longestCallMillis / 1000)} s` : undefined;
    const trouble = stuck ?? (await found.trouble);
    if (trouble === undefined) return plainText(200, 'ready');
    entry.level = 'error';
    entry.detail = trouble;
    return plainText(503, 'not ready');
  };
}

async function troubleOf(base: string, forwarding: Rooms['forwarding']): Promise<string | undefined> {
  return (await diskTrouble(base)) ?? forwarding?.trouble();
}
