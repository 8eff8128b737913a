/** Collections in SQLite files that tell what happens to them, and misbehave for users of some names. Made in a thread. */
import { SqliteCollectionStore } from '../../lib/storage/sqlite/collection.ts';
import type { CollectionMeta, CollectionSession, CollectionStore, UserPlace } from '../../lib/storage/storage.ts';

/** Counters in memory that both sides share. */
export const GATE = 0;
export const WAITING = 1;
export const ROLLBACKS = 2;
export const RELEASES = 3;
export const MADE = 4;
export const FAILURES_LEFT = 5;
export const METAS = 6;

export interface WatchedOptions {
  base: string;
  /** Of `watch`. */
  shared: Int32Array;
}

export function watch(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(7 * Int32Array.BYTES_PER_ELEMENT));
}

/** Lets go of whoever waits in the store. */
export function openGate(shared: Int32Array): void {
  Atomics.store(shared, GATE, 1);
  Atomics.notify(shared, GATE);
}

class WatchedStore extends SqliteCollectionStore {
  #shared: Int32Array;

  constructor({ base, shared }: WatchedOptions) {
    super({ base });
    this.#shared = shared;
  }

  override async meta(user: UserPlace): Promise<CollectionMeta> {
    Atomics.add(this.#shared, METAS, 1);
    if (user.folder === 'fatal') {
      setImmediate(() => {
        throw new Error('nobody catches this');
      });
      return new Promise(() => {});
    }
    if (user.folder === 'slow') {
      Atomics.add(this.#shared, WAITING, 1);
      // as long work in SQLite does, this holds the whole thread
      Atomics.wait(this.#shared, GATE, 0);
    }
    return super.meta(user);
  }

  override async begin(user: UserPlace, sessionKey: string): Promise<CollectionSession> {
    const session = await super.begin(user, sessionKey);
    const rollback = session.rollback.bind(session);
    session.rollback = async () => {
      Atomics.add(this.#shared, ROLLBACKS, 1);
      return rollback();
    };
    return session;
  }

  override async release(user: UserPlace): Promise<void> {
    await super.release(user);
    Atomics.add(this.#shared, RELEASES, 1);
  }
}

export default (options: WatchedOptions): CollectionStore => {
  if (Atomics.sub(options.shared, FAILURES_LEFT, 1) > 0) throw new Error('the store cannot be made yet');
  Atomics.add(options.shared, MADE, 1);
  return new WatchedStore(options);
};
