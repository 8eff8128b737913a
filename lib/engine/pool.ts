import { availableParallelism } from 'node:os';
import { metaAnswer, overQuota, type MetaSource } from '../collection/meta.ts';
import { SyncError } from '../errors.ts';
import { parseMetaRequest } from '../schema/schema11.ts';
import type { CollectionMeta, UserPlace } from '../storage/storage.ts';
import type { UploadVerdict } from '../storage/sqlite/anki2.ts';
import type { Answer, Call, JsonText, Outcome } from './calls.ts';
import { transferableOfCall } from './crossing.ts';
import { parseJsonBody } from './json-body.ts';
import { Lane } from './lane-pool.ts';
import { asSyncError } from './step-error.ts';
import type { Room, StoreRoom } from './store-room.ts';
import { allModules, type Choices } from './stores.ts';
import { WorkerHandle } from './worker-handle.ts';

export interface EngineOptions {
  stores: Choices;
  /** Worker threads that hold open collections. Default: the cores, at most 4. */
  threads?: number;
  /** A sync without a request for this long is rolled back. Default 5 minutes. */
  syncIdleMillis?: number;
  /** A collection without a request for this long is closed. Default 1 minute. */
  closeIdleMillis?: number;
  /** Users whose data are open at once; the one unused for longest is closed first. While all are in use, one more is answered 503. Default 200. */
  maxOpen?: number;
  /** Requests of one user that may be on the way at once; one more is answered 503. Default 8. */
  maxWaitingPerUser?: number;
  /** JavaScript heap of each thread, MiB. Default 512. */
  threadHeapMib?: number;
  /** Whether what `meta` answered last still holds, as far as others may have a hand in it. Left out, a thread is asked each time. */
  stillHolds?: (user: UserPlace, meta: CollectionMeta) => boolean;
}

/** A user whose data may be open somewhere. */
interface Resident {
  /** Of the latest call. */
  place: UserPlace;
  room: Room;
  tail: Promise<unknown>;
  waiting: number;
  lastUsedMillis: number;
  syncing: boolean;
  expiry: NodeJS.Timeout | undefined;
  unsettled: boolean;
  settling: NodeJS.Timeout | undefined;
  /** Its data are being closed, and no call came since. */
  closing: boolean;
  /** Of the last `meta`, until a step that may change it. */
  metaSource: MetaSource | undefined;
  /** Of the call that is in the room now. */
  callStartedMillis: number | undefined;
}

/** Steps after which `meta` answers the same. */
const KEEP_META: ReadonlySet<Call['step']> = new Set(['begin', 'mediaChanges', 'mediaSanity', 'settleMedia', 'overview']);

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
  #mainRoom: MainRoom | undefined;
  /**
   * By folder, in the order of last use. Two users never share a folder at a time, but one after the other may have it: a user who was
   * removed while a sync ran, and was added again. Only one room may hold what is in it.
   */
  #residents = new Map<string, Resident>();
  /** Requests on the way, by user id. */
  #admitted = new Map<string, number>();
  #sweep: NodeJS.Timeout;
  #closing = false;

  constructor(options: EngineOptions) {
    this.#choices = options.stores;
    this.#options = {
      threads: options.threads ?? Math.min(4, availableParallelism()),
      syncIdleMillis: options.syncIdleMillis ?? 5 * 60_000,
      closeIdleMillis: options.closeIdleMillis ?? 60_000,
      maxOpen: options.maxOpen ?? 200,
      maxWaitingPerUser: options.maxWaitingPerUser ?? 8,
      threadHeapMib: options.threadHeapMib ?? 512,
      stillHolds: options.stillHolds ?? (() => false),
    };
    this.#threads = new Array<ThreadRoom | undefined>(this.#options.threads);
    this.#sweep = setInterval(() => this.#closeIdle(), Math.min(10_000, this.#options.closeIdleMillis)).unref();
  }

  /** @throws SyncError of the step; BUSY when too many calls of this user wait, or too many users are at it; CLOSING after `close`. */
  async run(call: Call): Promise<Answer> {
    // nothing is awaited up to the queue: calls run in the order they came, and a user never gets two rooms
    if (this.#closing) throw new SyncError('CLOSING', 'the server is closing');
    const known = call.step === 'meta' ? this.#knownMeta(call.user) : undefined;
    if (known !== undefined && call.step === 'meta') return metaFromMemory(known, call);
    const resident = this.#residentWithPlace(call.user);
    // the first step of an upload: what checks it can start while it arrives
    if (call.step === 'stagingFolder') this.#lane.expectUpload();
    return this.#enqueue(resident, call);
  }

  /**
   * A place in the user's queue, for one call that must not be refused any more once something else is done.
   *
   * @returns `run`, as above, and `leave`, in any case: it ends the reservation where there was no call.
   * @throws SyncError BUSY, CLOSING
   */
  reserve(place: UserPlace): { run(call: Call): Promise<Answer>; leave(): void } {
    if (this.#closing) throw new SyncError('CLOSING', 'the server is closing');
    const resident = this.#residentWithPlace(place);
    resident.waiting += 1;
    let reserved = true;
    const end = (): void => {
      reserved = false;
      resident.waiting -= 1;
    };
    return {
      run: (call) => {
        const now = this.#resident(call.user);
        if (reserved) end();
        return this.#enqueue(now, call);
      },
      leave: () => {
        if (!reserved) return;
        end();
        this.#afterCall(resident);
      },
    };
  }

  /**
   * Counts a request of a user, from before its body is read until its answer is sent. Nobody has more than a few bodies and
   * answers in memory and on disk at once, and a sync whose next step is still arriving is not taken for abandoned.
   * @returns what ends the count, once.
   * @throws SyncError BUSY
   */
  admit(place: UserPlace): () => void {
    const count = this.#admitted.get(place.userId) ?? 0;
    if (count >= this.#options.maxWaitingPerUser) throw new SyncError('BUSY', 'too many requests of this user are on the way');
    this.#admitted.set(place.userId, count + 1);
    let admitted = true;
    return () => {
      if (!admitted) return;
      admitted = false;
      const left = this.#admitted.get(place.userId)! - 1;
      if (left > 0) this.#admitted.set(place.userId, left);
      else this.#admitted.delete(place.userId);
    };
  }

  /** Whether a sync of the user runs, or a call: a page that only looks does not stand in its way. */
  isAtWork(place: UserPlace): boolean {
    const resident = this.#residents.get(place.folder);
    return resident !== undefined && (resident.syncing || resident.waiting > 0);
  }

  /** What is open and what waits, now. */
  activity(): { openCollections: number; threads: number; waitingCalls: number; waitingUploads: number; longestCallMillis: number } {
    let waitingCalls = 0;
    let longestCallMillis = 0;
    const now = performance.now();
    for (const { waiting, callStartedMillis } of this.#residents.values()) {
      waitingCalls += Math.max(0, waiting - 1);
      if (callStartedMillis !== undefined) longestCallMillis = Math.max(longestCallMillis, now - callStartedMillis);
    }
    const threads = this.#threads.filter((thread) => thread !== undefined).length;
    return { openCollections: this.#residents.size, threads, waitingCalls, waitingUploads: this.#lane.waiting, longestCallMillis };
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
    await this.#mainRoom?.close();
  }

  #residentWithPlace(place: UserPlace): Resident {
    const resident = this.#resident(place);
    if (resident.waiting < this.#options.maxWaitingPerUser) return resident;
    throw new SyncError('BUSY', 'too many requests of this user are waiting');
  }

  #resident(place: UserPlace): Resident {
    let resident = this.#residents.get(place.folder);
    if (resident === undefined) {
      resident = {
        place,
        tail: this.#placeForOne(),
        room: this.#chooseRoom(),
        waiting: 0,
        lastUsedMillis: 0,
        syncing: false,
        expiry: undefined,
        unsettled: false,
        settling: undefined,
        closing: false,
        metaSource: undefined,
        callStartedMillis: undefined,
      };
    } else if (resident.closing) {
      resident.tail = Promise.all([resident.tail, this.#placeForOne()]);
      resident.closing = false;
    }
    if (resident.place.userId !== place.userId) {
      // nothing of the user before lives on: no running sync, nothing that a store keeps by the user's id
      this.#enqueue(resident, { step: 'release', user: resident.place }).catch(() => {});
      resident.place = place;
    }
    this.#residents.delete(place.folder);
    this.#residents.set(place.folder, resident);
    return resident;
  }

  /** Resolves when one more user's data may be opened: at once, or when those of another user are closed. */
  #placeForOne(): Promise<unknown> {
    const open = [...this.#residents.values()].filter(({ closing }) => !closing);
    if (open.length < this.#options.maxOpen) return Promise.resolve();
    const idle = open.find(isIdle);
    if (idle === undefined) throw new SyncError('BUSY', 'too many users are syncing');
    return this.#release(idle);
  }

  /** The commonest request, and all of a sync without changes: answered without a thread where nothing happened since the last one. */
  #knownMeta(place: UserPlace): MetaSource | undefined {
    const resident = this.#residents.get(place.folder);
    const known = resident?.place.userId === place.userId ? resident.metaSource : undefined;
    if (resident === undefined || known === undefined || !this.#options.stillHolds(place, known.collection)) return undefined;
    resident.lastUsedMillis = performance.now();
    this.#residents.delete(place.folder);
    this.#residents.set(place.folder, resident);
    return known;
  }

  #enqueue(resident: Resident, call: Call): Promise<Answer> {
    resident.waiting += 1;
    if (!KEEP_META.has(call.step)) resident.metaSource = undefined;
    clearTimeout(resident.expiry);
    clearTimeout(resident.settling);
    const result = resident.tail.then(async () => {
      resident.callStartedMillis = performance.now();
      try {
        const { answer, syncing, unsettled } = await resident.room.run(call);
        resident.syncing = syncing;
        resident.unsettled = unsettled;
        // with others waiting, one of them may change it
        if (answer.kind === 'bytes' && answer.metaSource !== undefined && resident.waiting === 1) resident.metaSource = answer.metaSource;
        return answer;
      } catch (error) {
        // a failed step has rolled back; a failed request for something else has not, and then the timer below finds nothing to do
        if (error instanceof SyncError && error.code === 'THREAD_LOST') resident.syncing = false;
        throw error;
      } finally {
        resident.waiting -= 1;
        resident.callStartedMillis = undefined;
        resident.lastUsedMillis = performance.now();
        this.#afterCall(resident, call.step);
      }
    });
    resident.tail = result.catch(() => {});
    return result;
  }

  #afterCall(resident: Resident, step?: Call['step']): void {
    if (resident.waiting > 0 || this.#closing) return;
    if (resident.syncing) this.#expireLater(resident);
    if (resident.unsettled) {
      resident.settling = setTimeout(() => {
        // once: what cannot be settled now is tried again when the user's data are closed
        resident.unsettled = false;
        if (resident.waiting === 0 && !this.#closing) this.#enqueue(resident, { step: 'settleMedia', user: resident.place }).catch(() => {});
      }, step === 'settleMedia' ? 0 : SETTLE_IDLE_MILLIS).unref();
    }
  }

  #expireLater(resident: Resident): void {
    resident.expiry = setTimeout(() => {
      if (resident.waiting > 0 || this.#closing) return;
      if (this.#admitted.has(resident.place.userId)) {
        this.#expireLater(resident);
        return;
      }
      resident.syncing = false;
      this.#enqueue(resident, { step: 'expire', user: resident.place }).catch(() => {});
    }, this.#options.syncIdleMillis).unref();
  }

  #closeIdle(): void {
    const before = performance.now() - this.#options.closeIdleMillis;
    for (const resident of this.#residents.values()) {
      if (resident.lastUsedMillis > before) break;
      if (isIdle(resident)) void this.#release(resident);
    }
  }

  /** Keeps the resident until its data are closed: a call that comes meanwhile must find the same room. */
  #release(resident: Resident): Promise<void> {
    resident.closing = true;
    return this.#enqueue(resident, { step: 'release', user: resident.place }).then(
      () => this.#forget(resident),
      (error: unknown) => {
        if (error instanceof SyncError && error.code === 'THREAD_LOST') this.#forget(resident);
        // else still open there: the user stays with this room
        else resident.closing = false;
      },
    );
  }

  #forget(resident: Resident): void {
    if (resident.closing) this.#residents.delete(resident.place.folder);
  }

  #chooseRoom(): Room {
    if (!allModules(this.#choices)) return (this.#mainRoom ??= new MainRoom(this.#choices));
    const counts = new Array<number>(this.#options.threads).fill(0);
    for (const { room } of this.#residents.values()) if (room instanceof ThreadRoom) counts[room.index]! += 1;
    const index = counts.indexOf(Math.min(...counts));
    return (this.#threads[index] ??= new ThreadRoom(index, this.#choices, this.#options.threadHeapMib, () => this.#closedWith(index)));
  }

  /** With a thread, all that it held is closed, and others may have a hand in it until it is opened again. */
  #closedWith(index: number): void {
    for (const resident of this.#residents.values()) {
      if (resident.room instanceof ThreadRoom && resident.room.index === index) resident.metaSource = undefined;
    }
  }
}

function metaFromMemory(source: MetaSource, { body, maxCollectionBytes }: { body: JsonText; maxCollectionBytes?: number | undefined }): Answer {
  try {
    const { syncVersion } = parseMetaRequest(parseJsonBody(body));
    return { kind: 'bytes', data: JSON.stringify(metaAnswer(source, syncVersion, Date.now(), maxCollectionBytes)), ...overQuota(source, maxCollectionBytes) };
  } catch (error) {
    throw asSyncError(error);
  }
}

/** Whether a user's data may be closed now. */
function isIdle({ waiting, syncing }: Resident): boolean {
  return waiting === 0 && !syncing;
}

/** A worker thread; replaced when it dies. What it held open was closed with it, so unfinished syncs are rolled back. */
class ThreadRoom implements Room {
  readonly index: number;
  #choices: Choices;
  #heapMib: number;
  #gone: () => void;
  #worker: WorkerHandle<Call> | undefined;

  /** @param gone called when the thread has ended, whether asked to or not */
  constructor(index: number, choices: Choices, heapMib: number, gone: () => void) {
    this.index = index;
    this.#choices = choices;
    this.#heapMib = heapMib;
    this.#gone = gone;
  }

  run(call: Call): Promise<Outcome> {
    this.#worker ??= new WorkerHandle<Call>({
      file: 'thread',
      data: this.#choices,
      limits: { maxOldGenerationSizeMb: this.#heapMib, maxYoungGenerationSizeMb: 6 },
      gone: () => {
        this.#worker = undefined;
        this.#gone();
      },
    });
    return this.#worker.call<Outcome>(call, transferableOfCall(call));
  }

  async close(): Promise<void> {
    await this.#worker?.close();
  }
}

/** For stores given as objects: their promises need no thread. With modules, the steps' code is loaded in the threads alone. */
class MainRoom implements Room {
  #room: Promise<StoreRoom>;

  constructor(choices: Choices) {
    this.#room = import('./store-room.ts').then(({ StoreRoom }) => new StoreRoom(choices));
  }

  async run(call: Call): Promise<Outcome> {
    const outcome = await (await this.#room).run(call);
    if (outcome.answer.kind === 'bytes') outcome.answer.after?.();
    return outcome;
  }

  async close(): Promise<void> {
    await (await this.#room).close();
  }
}
