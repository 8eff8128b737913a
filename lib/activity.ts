/** What happens now, and what a finished sync moved. Pure: whoever has a clock hands in the time, in milliseconds of `performance.now()`. */
import type { LogEntry } from './options.ts';

/** `upload` and `download` are one-way syncs: the whole collection. */
export type SyncKind = 'normal' | 'upload' | 'download' | 'media';

export interface Moved {
  /**
   * Cards, notes, reviews, notetypes, decks, presets, tags, deletions; files of a media sync. A one-way sync counts none, and a normal one
   * tells them when it is finished.
   */
  objects: number;
  /** Of data, unpacked: fewer are on the wire. */
  bytes: number;
}

/** Of a finished sync; `up` is from the client to the server. */
export interface SyncReport {
  kind: SyncKind;
  up: Moved;
  down: Moved;
}

/** Objects that a step brought and took; counted where they are known. */
export interface MovedObjects {
  up: number;
  down: number;
}

export interface RunningRequest {
  /** Method of the protocol, or HTTP method and path. */
  request: string;
  user?: string;
  client?: string;
  address?: string;
  runningMillis: number;
}

export interface UnfinishedSync extends SyncReport {
  user: string;
  client?: string;
  runningMillis: number;
  /** Since its last request. */
  silentMillis: number;
}

export interface Activity {
  /** Requests of which nothing was answered yet. */
  requests: RunningRequest[];
  /** Begun and not finished, and heard of within the last minutes. */
  syncs: UnfinishedSync[];
  /** Users whose data are open. */
  openCollections: number;
  threads: number;
  queues: {
    /** Calls that wait for another one of the same user. */
    users: number;
    /** Logins that wait for their turn. */
    logins: number;
    /** Uploads that are checked, or wait for it. */
    uploads: number;
  };
  /** Why no sync begins now: the words that clients show. */
  maintenance?: string;
}

/** One that has begun. */
export interface Syncing extends SyncReport {
  userId: string;
  user: string;
  client: string | undefined;
  startedMillis: number;
  lastMillis: number;
  /** Once it is over. */
  outcome?: 'done' | 'ended';
}

/** Each sync is told once as begun and once as over. */
export interface SyncHooks {
  began?(sync: Syncing): void;
  ended?(sync: Syncing): void;
}

/** What of a request counts. */
export interface Step {
  method: string;
  receivedBytes?: number;
  sentBytes?: number;
  moved?: MovedObjects;
}

/** The first request of each kind of sync, and the last. A one-way sync is one request. */
const FIRST: Readonly<Record<string, SyncKind>> = { start: 'normal', upload: 'upload', download: 'download', begin: 'media' };
const LAST: ReadonlySet<string> = new Set(['finish', 'mediaSanity', 'upload', 'download']);
const KINDS: Readonly<Record<string, SyncKind>> = {
  ...FIRST, applyGraves: 'normal', applyChanges: 'normal', chunk: 'normal', applyChunk: 'normal', sanityCheck2: 'normal', finish: 'normal',
  mediaChanges: 'media', uploadChanges: 'media', downloadFiles: 'media', mediaSanity: 'media',
};

/** A client that has been silent for so long is not coming back to its sync; a normal one is rolled back by then. */
const SILENT_MILLIS = 5 * 60_000;
const MANY = 1000;

/** Syncs that have begun: per user one of cards and one of media. */
export class Syncs {
  readonly #hooks: SyncHooks;
  readonly #running = { cards: new Map<string, Syncing>(), media: new Map<string, Syncing>() };

  constructor(hooks: SyncHooks = {}) {
    this.#hooks = hooks;
  }

  /** Before a step. Undefined where it belongs to no sync that has begun. */
  arrived(method: string, user: { id: string; loginName: string }, client: string | undefined, nowMillis: number): Syncing | undefined {
    const kind = KINDS[method];
    if (kind === undefined) {
      // both roll back what was running
      if (method === 'meta' || method === 'abort') this.#drop(this.#running.cards.get(user.id));
      return undefined;
    }
    const running = this.#running[kind === 'media' ? 'media' : 'cards'];
    if (FIRST[method] === undefined) return running.get(user.id);
    if (running.size >= MANY) this.#forgetSilent(running, nowMillis);
    const sync: Syncing = {
      kind,
      up: { objects: 0, bytes: 0 },
      down: { objects: 0, bytes: 0 },
      userId: user.id,
      user: user.loginName,
      client,
      startedMillis: nowMillis,
      lastMillis: nowMillis,
    };
    this.#drop(running.get(user.id));
    running.set(user.id, sync);
    this.#hooks.began?.(sync);
    return sync;
  }

  /** After a step that did what it should. @returns the report, once the sync is finished. */
  stepped(sync: Syncing, step: Step, nowMillis: number): SyncReport | undefined {
    sync.lastMillis = nowMillis;
    sync.up.bytes += step.receivedBytes ?? 0;
    sync.down.bytes += step.sentBytes ?? 0;
    sync.up.objects += step.moved?.up ?? 0;
    sync.down.objects += step.moved?.down ?? 0;
    if (!LAST.has(step.method)) return undefined;
    this.#drop(sync, 'done');
    return { kind: sync.kind, up: sync.up, down: sync.down };
  }

  /** A step that failed has rolled back a sync of cards; a media sync begins again. */
  ended(sync: Syncing): void {
    this.#drop(sync);
  }

  #drop(sync: Syncing | undefined, outcome: 'done' | 'ended' = 'ended'): void {
    if (sync === undefined) return;
    const running = this.#running[sync.kind === 'media' ? 'media' : 'cards'];
    if (running.get(sync.userId) === sync) running.delete(sync.userId);
    if (sync.outcome !== undefined) return;
    sync.outcome = outcome;
    this.#hooks.ended?.(sync);
  }

  now(nowMillis: number): UnfinishedSync[] {
    for (const running of [this.#running.cards, this.#running.media]) this.#forgetSilent(running, nowMillis);
    return [...this.#running.cards.values(), ...this.#running.media.values()].map(({ kind, up, down, user, client, startedMillis, lastMillis }) => ({
      kind,
      up: { ...up },
      down: { ...down },
      user,
      ...(client === undefined ? {} : { client }),
      runningMillis: Math.round(nowMillis - startedMillis),
      silentMillis: Math.round(nowMillis - lastMillis),
    }));
  }

  #forgetSilent(running: Map<string, Syncing>, nowMillis: number): void {
    for (const sync of running.values()) {
      // of a one-way sync, all of it is one request
      const isOneRequest = sync.kind === 'upload' || sync.kind === 'download';
      if (!isOneRequest && nowMillis - sync.lastMillis > SILENT_MILLIS) this.#drop(sync);
    }
  }
}

/** The line of a finished sync. */
export function syncEntry(entry: LogEntry, report: SyncReport, ms: number): LogEntry {
  const { user, client, version, address } = entry;
  return {
    level: 'info',
    request: 'sync',
    status: 200,
    ms: Math.round(ms * 10) / 10,
    event: 'sync.done',
    ...(user === undefined ? {} : { user }),
    ...(client === undefined ? {} : { client }),
    ...(version === undefined ? {} : { version }),
    ...(address === undefined ? {} : { address }),
    sync: report,
  };
}

export function runningRequest({ request, user, client, address }: LogEntry, runningMillis: number): RunningRequest {
  return {
    request,
    ...(user === undefined ? {} : { user }),
    ...(client === undefined ? {} : { client }),
    ...(address === undefined ? {} : { address }),
    runningMillis: Math.round(runningMillis),
  };
}
