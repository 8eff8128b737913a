/** A user's collection and media index, copied while users sync: see `SyncServer.copyUser`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SyncError } from '../errors.ts';
import type { Rooms } from './rooms.ts';
import { placeOf } from './rooms.ts';

/** As the engine's own default. */
const SYNC_IDLE_MILLIS = 5 * 60_000;
const COPY_AGAIN_MILLIS = 250;

export interface CopyOrder {
  userId: string;
  /** A local folder. */
  to: string;
  /** After which a sync without a request is rolled back. */
  syncIdleMillis: number | undefined;
  isClosing(): boolean;
}

/** @throws SyncError BUSY when syncs go on for minutes */
export async function copyUser({ auth, engine }: Rooms, { userId, to, syncIdleMillis, isClosing }: CopyOrder): Promise<boolean> {
  const user = await auth.directory.userById(userId);
  if (user === null) return false;
  const patienceMillis = syncIdleMillis ?? SYNC_IDLE_MILLIS;
  const giveUpMillis = performance.now() + 2 * patienceMillis;
  for (;;) {
    try {
      await engine.run({ step: 'copy', user: placeOf(user), to, patienceMillis });
      return true;
    } catch (error) {
      if (!(error instanceof SyncError) || error.code !== 'BUSY' || performance.now() > giveUpMillis || isClosing()) throw error;
      await sleep(COPY_AGAIN_MILLIS);
    }
  }
}
