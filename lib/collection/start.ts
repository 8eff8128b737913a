import { DEFAULT_ROLLOVER_HOUR, lacksRollover, needsUnbury, schedulerDay } from '../schema/scheduler-day.ts';
import { parseLossless, stringifyLossless, type Json } from '../schema/json.ts';
import type { CollectionSession, Graves } from '../storage/storage.ts';
import type { RunningSync } from './running-sync.ts';

export interface StartRequest {
  clientUsn: number;
  clientIsNewer: boolean;
  /** Old clients and AnkiDroid's old path send their graves here instead of through `applyGraves`. */
  graves: Graves | null;
}

/**
 * `start`: begins the one transaction of a sync and answers what was deleted here since the client's last sync.
 * As the official server, cards buried on an earlier day come back first, so that both sides agree on queues.
 */
export async function start(
  store: CollectionSession,
  sessionKey: string,
  request: StartRequest,
  nowMillis: number,
): Promise<{ sync: RunningSync; graves: Graves }> {
  const sync: RunningSync = {
    sessionKey,
    store,
    serverUsn: store.usn,
    clientUsn: request.clientUsn,
    clientIsNewer: request.clientIsNewer,
    moved: { up: countOfGraves(request.graves), down: 0 },
  };
  await unburyIfDayRolledOver(store, nowMillis);
  const graves = await store.pendingGraves(sync.clientUsn);
  sync.moved.down += countOfGraves(graves);
  if (request.graves !== null) await store.applyGraves(request.graves, sync.serverUsn);
  return { sync, graves };
}

function countOfGraves(graves: Graves | null): number {
  return graves === null ? 0 : graves.cards.length + graves.notes.length + graves.decks.length;
}

/** What Anki's server writes into the config on this occasion, so that clients get the same one from us. */
async function unburyIfDayRolledOver(store: CollectionSession, nowMillis: number): Promise<void> {
  const config = parseLossless(await store.config()) as { [key: string]: Json };
  const today = schedulerDay({ creationSecs: await store.creationSecs(), nowSecs: Math.floor(nowMillis / 1000), config });
  const changes: { [key: string]: Json } = {};
  if (lacksRollover(config)) changes['rollover'] = DEFAULT_ROLLOVER_HOUR;
  if (needsUnbury(config['lastUnburied'], today)) {
    await store.unburyCards();
    changes['lastUnburied'] = today;
  }
  if (Object.keys(changes).length > 0) await store.setConfig(stringifyLossless({ ...config, ...changes }));
}
