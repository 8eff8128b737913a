import { availableParallelism } from 'node:os';
import { SyncError } from '../errors.ts';
import type { UserPlace } from '../storage/storage.ts';
import type { UploadVerdict } from '../storage/sqlite/anki2.ts';
import type { Answer, Call, Outcome } from './calls.ts';
import { Lane } from './lane-pool.ts';
import { Sessions } from './session.ts';
import { allModules, makeStores, type Choices } from './stores.ts';
import { WorkerHandle } from './worker-handle.ts';

export interface EngineOptions {
  stores: Choices;
  /** Worker threads that hold open collections. Default: the cores, at most 4. */
  threads?: number;
  /** A sync without a request for this long is rolled back. Default 5 minutes. */
  syncIdleMillis?: number;
  /** A collection without a request for this long is closed. Default 1 minute. */
  closeIdleMillis?: number;
  /** Collections held open at once; the one unused for longest closes first. Default 200. */
  maxOpen?: number;
  /** Requests of one user that may wait for one another; one more is answered 503. Default 16. */
  maxWaitingPerUser?: number;
  /** JavaScript heap of each thread, MiB. Default 256. */
  threadHeapMib?: number;
}

/** Where calls of a user run: a worker thread, or the main side. */
interface Room {
  run(call: Call): Promise<Outcome>;
}

/** A user whose data may be open somewhere. */
interface Resident {
  place: UserPlace;
  room: Room;
  tail: Promise<unknown>;
  waiting: number;
  lastUsedMillis: number;
  syncing: boolean;
  expiry: NodeJS.Timeout | undefined;
  unsettled: boolean;
  settling: NodeJS.Timeout | undefined;
}

/** A client sends its media zips one right after the other: this long after the last one, they are brought to their place. */
const SETTLE_IDLE_MILLIS = 2_000;

/**
 * Main side of the rooms: a queue per user, and the one room that holds the user's data. A room is chosen when the data is
 * opened and kept until it is closed, so a user's calls are always in order, and users in other rooms never wait for them.
 */
export class Engine {
  #options: Required<Omit<EngineOptions, 'stores'>>;
  #choices: Choices;
  #lane = new Lane();
  #threads: (ThreadRoom | undefined)[];
  #mainRoom: Promise<MainRoom> | undefined;
  /** In the order of last use. */
  #residents = new Map<string, Resident>();
  #sweep: NodeJS.Timeout;
  #closing = false;

  constructor(options: EngineOptions) {
    this.#choices = options.stores;
    this.#options = {
      threads: options.threads ?? Math.min(4, availableParallelism()),
      syncIdleMillis: options.syncIdleMillis ?? 5 * 60_000,
      closeIdleMillis: options.closeIdleMillis ?? 60_000,
      maxOpen: options.maxOpen ?? 200,
      maxWaitingPerUser: options.maxWaitingPerUser ?? 16,
      threadHeapMib: options.threadHeapMib ?? 256,
    };
    this.#threads = new Array<ThreadRoom | undefined>(this.#options.threads);
    this.#sweep = setInterval(() => this.#closeIdle(), Math.min(10_000, this.#options.closeIdleMillis)).unref();
  }

  /** @throws SyncError of the step; BUSY when too many calls of this user wait; CLOSING after `close`. */
  async run(call: Call): Promise<Answer> {
    if (this.#closing) throw new SyncError('CLOSING', 'the server is closing');
    const resident = await this.#resident(call.user);
    if (resident.waiting >= this.#options.maxWaitingPerUser) {
      throw new SyncError('BUSY', 'too many requests of this user are waiting');
    }
    return this.#enqueue(resident, call);
  }

  /** Checks and converts an uploaded file in its own lane; nobody's sync waits for it. */
  prepareUpload(path: string): Promise<UploadVerdict> {
    if (this.#closing) return Promise.reject(new SyncError('CLOSING', 'the server is closing'));
    return this.#lane.prepareUpload(path);
  }

  /** Lets running calls end, rolls back unfinished syncs, closes every collection. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    clearInterval(this.#sweep);
    await Promise.all([...this.#residents.values()].map((resident) => resident.tail));
    for (const resident of this.#residents.values()) {
      clearTimeout(resident.expiry);
      clearTimeout(resident.settling);
    }
    this.#residents.clear();
    await this.#lane.close();
    await Promise.all(this.#threads.map((thread) => thread?.close()));
    await (await this.#mainRoom)?.close();
  }

  async #resident(place: UserPlace): Promise<Resident> {
    let resident = this.#residents.get(place.userId);
    if (resident === undefined) {
      const room = await this.#chooseRoom();
      // another call of the same user may have come first while a room was made
      resident = this.#residents.get(place.userId) ?? {
        place,
        room,
        tail: Promise.resolve(),
        waiting: 0,
        lastUsedMillis: 0,
        syncing: false,
        expiry: undefined,
        unsettled: false,
        settling: undefined,
      };
    }
    this.#residents.delete(place.userId);
    this.#residents.set(place.userId, resident);
    return resident;
  }

  #enqueue(resident: Resident, call: Call): Promise<Answer> {
    resident.waiting += 1;
    clearTimeout(resident.expiry);
    clearTimeout(resident.settling);
    const result = resident.tail.then(async () => {
      try {
        const { answer, syncing, unsettled } = await resident.room.run(call);
        resident.syncing = syncing;
        resident.unsettled = unsettled;
        return answer;
      } catch (error) {
        // a failed step has rolled back; a failed request for something else has not, and then the timer below finds nothing to do
        if (error instanceof SyncError && error.code === 'THREAD_LOST') resident.syncing = false;
        throw error;
      } finally {
        resident.waiting -= 1;
        resident.lastUsedMillis = Date.now();
        this.#afterCall(resident);
      }
    });
    resident.tail = result.catch(() => {});
    return result;
  }

  #afterCall(resident: Resident): void {
    if (resident.waiting > 0 || this.#closing) return;
    if (resident.syncing) {
      resident.expiry = setTimeout(() => {
        resident.syncing = false;
        if (resident.waiting === 0 && !this.#closing) this.#enqueue(resident, { step: 'expire', user: resident.place }).catch(() => {});
      }, this.#options.syncIdleMillis).unref();
    }
    if (resident.unsettled) {
      resident.settling = setTimeout(() => {
        // once: what cannot be settled now is tried again when the user's data are closed
        resident.unsettled = false;
        if (resident.waiting === 0 && !this.#closing) this.#enqueue(resident, { step: 'settleMedia', user: resident.place }).catch(() => {});
      }, SETTLE_IDLE_MILLIS).unref();
    }
    if (this.#residents.size > this.#options.maxOpen) this.#closeOldest();
  }

  #closeOldest(): void {
    for (const resident of this.#residents.values()) {
      if (resident.waiting === 0 && !resident.syncing) {
        this.#release(resident);
        return;
      }
    }
  }

  #closeIdle(): void {
    const before = Date.now() - this.#options.closeIdleMillis;
    for (const resident of this.#residents.values()) {
      if (resident.lastUsedMillis > before) break;
      if (resident.waiting === 0 && !resident.syncing) this.#release(resident);
    }
  }

  /** Keeps the resident until its data is closed: a call that comes meanwhile must find the same room. */
  #release(resident: Resident): void {
    this.#enqueue(resident, { step: 'release', user: resident.place }).then(
      () => {
        if (resident.waiting === 0) this.#residents.delete(resident.place.userId);
      },
      // still open there: the user stays with this room
      () => {},
    );
  }

  async #chooseRoom(): Promise<Room> {
    if (!allModules(this.#choices)) {
      this.#mainRoom ??= makeStores(this.#choices).then((stores) => new MainRoom(stores));
      return this.#mainRoom;
    }
    const counts = new Array<number>(this.#options.threads).fill(0);
    for (const { room } of this.#residents.values()) if (room instanceof ThreadRoom) counts[room.index]! += 1;
    const index = counts.indexOf(Math.min(...counts));
    return (this.#threads[index] ??= new ThreadRoom(index, this.#choices, this.#options.threadHeapMib));
  }
}

/** A worker thread; replaced when it dies. What it held open was closed with it, so unfinished syncs are rolled back. */
class ThreadRoom implements Room {
  readonly index: number;
  #choices: Choices;
  #heapMib: number;
  #worker: WorkerHandle<Call> | undefined;

  constructor(index: number, choices: Choices, heapMib: number) {
    this.index = index;
    this.#choices = choices;
    this.#heapMib = heapMib;
  }

  run(call: Call): Promise<Outcome> {
    this.#worker ??= new WorkerHandle<Call>({
      file: 'thread',
      data: this.#choices,
      limits: { maxOldGenerationSizeMb: this.#heapMib },
      gone: () => (this.#worker = undefined),
    });
    return this.#worker.call<Outcome>(call);
  }

  async close(): Promise<void> {
    await this.#worker?.close();
  }
}

/** For stores given as objects: their promises need no thread. */
class MainRoom implements Room {
  #sessions: Sessions;

  constructor(stores: Awaited<ReturnType<typeof makeStores>>) {
    this.#sessions = new Sessions(stores);
  }

  run(call: Call): Promise<Outcome> {
    return this.#sessions.run(call);
  }

  close(): Promise<void> {
    return this.#sessions.close();
  }
}
