import type { User } from '../auth/authenticator.ts';
import type { Overview } from '../engine/calls.ts';
import { SyncError } from '../errors.ts';
import type { AccountRoom } from './room.ts';

/** What a page shows in place of numbers. */
export type Unknown = 'syncing' | 'failed';

/** Of one user, asked in the user's own thread, and only when no sync runs. */
export async function overviewOf({ engine, holdsData }: AccountRoom, user: User, days: number): Promise<Overview | Unknown> {
  if (!holdsData) return {};
  const place = placeOf(user);
  if (engine.isAtWork(place)) return 'syncing';
  try {
    const answer = await engine.run({ step: 'overview', user: place, days });
    const text = answer.kind === 'bytes' ? answer.data : '';
    return (JSON.parse(typeof text === 'string' ? text : Buffer.from(text).toString()) as Overview | null) ?? 'syncing';
  } catch (error) {
    if (error instanceof SyncError && error.code === 'BUSY') return 'syncing';
    if (error instanceof SyncError && (error.code === 'COLLECTION_DAMAGED' || error.code === 'MEDIA_INDEX_DAMAGED')) return 'failed';
    throw error;
  }
}

export function placeOf(user: User): { userId: string; folder: string } {
  return { userId: user.id, folder: user.folder };
}
