import type { MovedObjects } from '../activity.ts';
import type { CollectionSession, Id, NotetypeShape, RowKind } from '../storage/storage.ts';

/** What the server remembers between `start` and `finish` (rslib's ServerSyncState). */
export interface RunningSync {
  /** Sent with every request of this sync; a request with another one belongs to another device. */
  readonly sessionKey: string;
  readonly store: CollectionSession;
  /** The usn of this sync: what comes in is stored under it. */
  readonly serverUsn: number;
  /** The usn as of the client's last sync: what we hold from there on is news to it. */
  readonly clientUsn: number;
  /** Whether the client's collection has the newer `mod`: the newer side sends its config. */
  readonly clientIsNewer: boolean;
  /** So far, for the log: what came from the client, whether or not it won, and what went to it. */
  readonly moved: MovedObjects;
  /** Set by the first `chunk`; taken from the end. */
  chunkIds?: Record<RowKind, Id[]>;
  /** Brings the rows of the last chunk into the store, once: behind its answer, at the latest before the next step, which fails with them. */
  stored?: () => Promise<void>;
  /** By id; dropped when notetypes change. */
  notetypes?: Map<string, NotetypeShape>;
}

export async function notetypesOf(sync: RunningSync): Promise<Map<string, NotetypeShape>> {
  sync.notetypes ??= new Map((await sync.store.notetypeShapes()).map((shape) => [String(shape.id), shape]));
  return sync.notetypes;
}

/**
 * The usn under which an incoming object is stored: this sync's. Clients send the one of their last `meta`, which is older
 * when another device finished in between; kept, such objects would never reach the other devices, and their sanity checks
 * would fail (the official server does that). -1 stays, so that our own check notices it.
 */
export function storedUsn(sync: RunningSync, sent: number): number {
  return sent === -1 ? -1 : sync.serverUsn;
}
