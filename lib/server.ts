import type { Account } from './account/account.ts';
import { LastErrors } from './account/last-errors.ts';
import { runningRequest, type Activity } from './activity.ts';
import { DOCTOR_OFF, DoctorEcho } from './doctor/echo.ts';
import { SyncError } from './errors.ts';
import type { HttpRequest, HttpResponse } from './http.ts';
import { landing } from './landing.ts';
import { checkOptions, type CheckedOptions, type LogEntry, type SyncServerOptions } from './options.ts';
import { openSyncRequest } from './protocol/request.ts';
import { errorResponse } from './protocol/response.ts';
import { routeOf } from './protocol/route.ts';
import { redacted } from './redaction.ts';
import { copyUser } from './server/copy-user.ts';
import { given } from './server/given.ts';
import { MAX_LET_SYNCS_END_MILLIS, RESTART_WORDS, untilNoSyncGoesOn } from './server/let-syncs-end.ts';
import { describeFailure, toldSafely } from './server/log-lines.ts';
import { plainText } from './server/plain-text.ts';
import { readinessOf, type Readiness } from './server/readiness.ts';
import { closeRooms, openRooms, type OpenForwarding, type Rooms } from './server/rooms.ts';
import { settleLeft } from './server/settle-left.ts';
import { arrivalOf, type Arrival, type ServerState } from './server/state.ts';
import { SyncLines } from './server/sync-lines.ts';
import { answerToUser } from './server/user-request.ts';
import { REQUESTS, traced } from './tracing.ts';

const NOTHING_OPEN = { openCollections: 0, threads: 0, waitingCalls: 0, waitingUploads: 0 };

/** An Anki sync server as a value: requests in, responses out. Adapters bring it to the web. */
export interface SyncServer {
  /** Answers any request; never rejects. */
  handle(request: HttpRequest): Promise<HttpResponse>;
  /** Resolves when the data folder is locked and open; rejects when it cannot be. */
  readonly ready: Promise<void>;
  /**
   * For backups while users sync: writes the user's collection (`collection.anki2`) and media index (`media.db`), as of one moment
   * between two syncs, into the local folder `to`, and changes nothing. A user who never synced has no collection. A running sync is
   * waited for.
   *
   * Answers whether there is such a user. Rejects with a SyncError: BUSY when syncs go on for minutes.
   */
  copyUser(userId: string, to: string): Promise<boolean>;
  /** What happens now. Empty before the data folder is open. */
  activity(): Activity;
  /** From now on no sync begins, and clients show these words; those that have begun go on. Undefined ends it. */
  maintenance(words: string | undefined): void;
  /**
   * The first part of an orderly end, before whatever listens is closed: from now on `GET /ready` answers 503, so that a load balancer sends
   * nobody any more, no sync begins, and clients show that the server is being restarted, or the words of `maintenance`. Resolves when no
   * sync that has begun goes on, or after `maxMillis`. Default 5000. There is no way back.
   */
  letSyncsEnd(maxMillis?: number): Promise<void>;
  /** Lets running requests end, rolls back unfinished syncs, closes and unlocks everything. */
  close(): Promise<void>;
}

/** @throws TypeError for a wrong option. What is wrong with the data folder rejects `ready`. */
export function createSyncServer(options: SyncServerOptions = {}): SyncServer {
  return new Hall(checkOptions(options));
}

/** The same, with another server in place of collections and media: it answers whatever comes with a host key. See `createGateway`. */
export function createSyncServerInFrontOf(open: OpenForwarding, options: SyncServerOptions): SyncServer {
  return new Hall(checkOptions(options), open);
}

/** The way of one request: route → envelope → host key → body → the user's room → answer; one log line, one catch. */
class Hall implements SyncServer {
  readonly ready: Promise<void>;
  readonly #state: ServerState;
  #rooms: Rooms | undefined;
  readonly #active = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;
  #account: Promise<Account> | undefined;
  readonly #doctor: DoctorEcho | undefined;
  readonly #readiness: Readiness;
  readonly #lastErrors = new LastErrors();
  /** Requests without an answer so far, by their entries of the log, and when they came. */
  readonly #answering = new Map<LogEntry, number>();

  constructor(options: CheckedOptions, openForwarding?: OpenForwarding) {
    const tell = toldSafely(options.log);
    this.#state = { options, tell, syncs: new SyncLines(tell), maintenance: undefined, isEnding: false };
    this.#doctor = options.doctor ? new DoctorEcho(options) : undefined;
    this.#readiness = readinessOf(options.base);
    this.ready = openRooms(options, { tell, lost: (words) => this.#lost(words), openForwarding }).then((rooms) => {
      this.#rooms = rooms;
      void settleLeft(options.base, rooms, () => this.#closing !== undefined).catch(() => {});
    });
    // told by each request, and to whoever awaits `ready`
    this.ready.catch(() => {});
  }

  handle(http: HttpRequest): Promise<HttpResponse> {
    const arrival = arrivalOf(http);
    const answering = REQUESTS.hasSubscribers
      ? traced(REQUESTS, { entry: arrival.entry }, () => this.#handle(arrival))
      : this.#handle(arrival);
    return this.#untilAnswered(answering);
  }

  copyUser(userId: string, to: string): Promise<boolean> {
    return this.#untilAnswered(this.#copyUser(userId, to));
  }

  maintenance(words: string | undefined): void {
    this.#state.maintenance = words?.trim() || (this.#state.isEnding ? RESTART_WORDS : undefined);
  }

  activity(): Activity {
    const now = performance.now();
    const { openCollections, threads, waitingCalls, waitingUploads } = this.#rooms?.engine.activity() ?? NOTHING_OPEN;
    return {
      requests: [...this.#answering].map(([entry, startedMillis]) => runningRequest(entry, now - startedMillis)),
      syncs: this.#state.syncs.now(now),
      openCollections,
      threads,
      queues: { users: waitingCalls, logins: this.#rooms?.limits?.waiting ?? 0, uploads: waitingUploads },
      ...given({ maintenance: this.#state.maintenance }),
    };
  }

  letSyncsEnd(maxMillis = MAX_LET_SYNCS_END_MILLIS): Promise<void> {
    this.#state.isEnding = true;
    this.#state.maintenance ??= RESTART_WORDS;
    return untilNoSyncGoesOn(() => this.activity(), maxMillis);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closing waits for it. */
  #untilAnswered<T>(answering: Promise<T>): Promise<T> {
    this.#active.add(answering);
    return answering.finally(() => this.#active.delete(answering));
  }

  /** Nothing is closed: what is still in memory must not come into files that another server works on. */
  #lost(words: string): void {
    this.#closing ??= Promise.resolve();
    this.#state.tell({ level: 'error', request: 'data folder', status: 503, ms: 0, code: 'DATA_FOLDER_IN_USE', detail: words });
  }

  async #close(): Promise<void> {
    this.#doctor?.close();
    await this.ready.catch(() => {});
    await Promise.allSettled(this.#active);
    if (this.#rooms !== undefined) await closeRooms(this.#rooms, await this.#account);
  }

  async #copyUser(userId: string, to: string): Promise<boolean> {
    await this.ready;
    this.#requireOpen();
    const { syncIdleMillis } = this.#state.options;
    return copyUser(this.#rooms!, { userId, to, syncIdleMillis, isClosing: () => this.#closing !== undefined });
  }

  #requireOpen(): void {
    if (this.#closing !== undefined) throw new SyncError('CLOSING', 'the server is closing');
  }

  async #handle(arrival: Arrival): Promise<HttpResponse> {
    const startedMillis = performance.now();
    const { entry } = arrival;
    let response: HttpResponse;
    this.#answering.set(entry, startedMillis);
    try {
      response = await this.#respond(arrival);
    } catch (error) {
      response = errorResponse(error);
      describeFailure(error, entry, this.#state.options.base);
    }
    this.#answering.delete(entry);
    if (entry.detail !== undefined) entry.detail = redacted(entry.detail, arrival.secrets);
    entry.status = response.status;
    entry.ms = Math.round((performance.now() - startedMillis) * 10) / 10;
    this.#lastErrors.note(entry);
    this.#state.tell(entry);
    this.#state.syncs.tellFinished(entry);
    return response;
  }

  async #respond(arrival: Arrival): Promise<HttpResponse> {
    const { http, entry, secrets } = arrival;
    const { options } = this.#state;
    this.#requireOpen();
    const route = routeOf(http.method, http.url);
    if (route.kind === 'landing') return landing(http, options);
    if (this.#rooms === undefined) await this.ready;
    const rooms = this.#rooms!;
    if (route.kind === 'health') return plainText(200, 'ok');
    if (route.kind === 'doctor') {
      if (this.#doctor === undefined) throw new SyncError('METHOD_UNKNOWN', DOCTOR_OFF);
      return this.#doctor.respond(http);
    }
    if (route.kind === 'ready') return this.#readiness(this.#state, rooms, entry);
    if (route.kind === 'account') return (await this.#accountOf(rooms)).respond(http, route.path, entry);

    entry.request = route.method;
    const request = await openSyncRequest(http, route, { spool: rooms.spool, limits: options.limits });
    secrets.push(request.hostKey, request.sessionKey);
    try {
      return await answerToUser(this.#state, rooms, request, arrival);
    } finally {
      await request.release?.();
    }
  }

  /** Pages are for a few people at a time: nothing of them is loaded before somebody asks for one. */
  #accountOf(rooms: Rooms): Promise<Account> {
    const { options, tell } = this.#state;
    const settings = options.account;
    if (settings === undefined) throw new SyncError('PATH_UNKNOWN', 'nothing here');
    this.#account ??= import('./account/open.ts').then(({ openAccount }) => openAccount(rooms, {
      options,
      settings,
      lastErrors: this.#lastErrors,
      tell,
      describe: (error, entry) => describeFailure(error, entry, options.base),
    }));
    // one that could not be opened is tried again by the next request
    this.#account.catch(() => (this.#account = undefined));
    return this.#account;
  }
}
