import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { finished, Readable } from 'node:stream';
import type { Account } from './account/account.ts';
import { LastErrors } from './account/last-errors.ts';
import { runningRequest, syncEntry, Syncs, type Activity, type Syncing } from './activity.ts';
import { authenticatorFrom } from './auth/authenticator-from.ts';
import type { Authenticator, User } from './auth/authenticator.ts';
import { AuditLog } from './auth/audit-log.ts';
import { auditedHostKeys } from './auth/audited-host-keys.ts';
import { basedHostKeys } from './auth/based-host-keys.ts';
import { chainedAuthenticator } from './auth/chained-authenticator.ts';
import { openBuiltInAuth, type BuiltInAuth } from './auth/built-in.ts';
import type { HostKeys } from './auth/host-keys.ts';
import { recheckedHostKeys } from './auth/rechecked-host-keys.ts';
import { LoginLimits } from './auth/login-limits.ts';
import type { OidcProviders } from './auth/oidc/oidc.ts';
import { oidcProviders } from './auth/oidc/oidc-providers.ts';
import { restingHostKeys } from './auth/oidc/resting-host-keys.ts';
import { sqliteOidcSubjects } from './auth/oidc/subjects.ts';
import { SignIn } from './auth/sign-in.ts';
import type { UserDirectory } from './auth/user-directory.ts';
import type { AuditRow } from './auth/users-writes.ts';
import { withAppPasswords } from './auth/with-app-passwords.ts';
import { MAX_STRING_CHARS, type Answer, type JsonStep } from './engine/calls.ts';
import { Engine } from './engine/pool.ts';
import type { Forwarding } from './gateway/forwarding.ts';
import { DoctorEcho } from './doctor-echo.ts';
import { SyncError } from './errors.ts';
import { inPlainWords, quotaWords } from './plain-words.ts';
import { headerOf, type HttpRequest, type HttpResponse } from './http.ts';
import { landingPage, landingPageHeaders } from './landing.ts';
import { login } from './login.ts';
import { checkOptions, type CheckedOptions, type LogEntry, type SyncServerOptions } from './options.ts';
import { isEmptyBody, readEmptyBody, readJsonBody, receiveBody, receiveSmallBody } from './protocol/body.ts';
import { ClientGone } from './protocol/client-gone.ts';
import { FormSpool } from './protocol/form-spool.ts';
import type { MediaMethod, SyncMethod } from './protocol/methods.ts';
import { openSyncRequest, requireHostKey, requireSessionKey, type SyncRequest } from './protocol/request.ts';
import { errorResponse, fileResponse, packedResponse, zstdResponse } from './protocol/response.ts';
import { routeOf } from './protocol/route.ts';
import { SYNC_VERSIONS } from './protocol/version.ts';
import { redacted } from './redaction.ts';
import { lockDataFolder, type DataFolderLock } from './storage/files/data-folder-lock.ts';
import { diskTrouble } from './storage/files/readiness.ts';
import { clearStaging, removeStaged, stagingFolder } from './storage/files/staging.ts';
import { stillThereIn } from './storage/sqlite/still-there.ts';
import { wayBack } from './way-back.ts';

/** As the engine's own default. */
const SYNC_IDLE_MILLIS = 5 * 60_000;
const COPY_AGAIN_MILLIS = 250;
/** How long an answer to `GET /ready` holds. */
const READY_MILLIS = 2_000;
/** No step of a user takes so long: a full upload is checked in a lane of its own. */
const STUCK_MILLIS = 5 * 60_000;
/** A body that takes longer may have been held back on purpose, by a device that is signed out meanwhile. */
const SLOW_BODY_MILLIS = 1_000;
const NOTHING_OPEN = { openCollections: 0, threads: 0, waitingCalls: 0, waitingUploads: 0 };

/** The words of the official server; clients show them as they are. */
const CORRUPT = 'Your upload was corrupt. Please use Check Database, or restore from backup.';
const TOO_LARGE = 'collection exceeds size limit';
const TOO_NEW = 'This collection was made by a newer Anki than this server knows. Please ask the administrator to update the server.';

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

type OpenForwarding = (caseSensitive: boolean) => Promise<Forwarding>;

/** What opens with the data folder. */
interface Rooms {
  lock: DataFolderLock;
  auth: BuiltInAuth;
  audit: AuditLog;
  authenticator: Authenticator;
  signIn: SignIn;
  limits: LoginLimits | undefined;
  oidc: OidcProviders;
  hostKeys: HostKeys;
  engine: Engine;
  /** Of a gateway alone, whose engine is never asked. */
  forwarding: Forwarding | undefined;
  spool: FormSpool;
}

/** What a device asks for at the end of a sync, or at the beginning of one of media. `meta`, at the beginning of each, tells of it itself. */
const OF_A_SYNC: ReadonlySet<string> = new Set<SyncMethod | MediaMethod>(['finish', 'upload', 'download', 'begin']);

/** Whatever a client does afterwards belongs to a sync that has begun. */
const BEGINS_A_SYNC: ReadonlySet<string> = new Set<SyncMethod | MediaMethod>(['meta', 'begin']);

type Step = (rooms: Rooms, request: SyncRequest, user: User, entry: LogEntry) => Promise<HttpResponse>;

/** The way of one request: route → envelope → host key → body → the user's room → answer; one log line, one catch. */
class Hall implements SyncServer {
  readonly ready: Promise<void>;
  #options: CheckedOptions;
  readonly #openForwarding: OpenForwarding | undefined;
  #rooms: Rooms | undefined;
  #active = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;
  #account: Promise<Account> | undefined;
  readonly #doctor: DoctorEcho;
  readonly #lastErrors = new LastErrors();
  /** Requests without an answer so far, by their entries of the log, and when they came. */
  readonly #answering = new Map<LogEntry, number>();
  readonly #syncs = new Syncs();
  #maintenance: string | undefined;
  /** Lines of finished syncs, which come behind those of their last requests. */
  readonly #finished = new Map<LogEntry, LogEntry>();
  #readiness: { trouble: Promise<string | undefined>; untilMillis: number } | undefined;

  constructor(options: CheckedOptions, openForwarding?: OpenForwarding) {
    this.#options = options;
    this.#openForwarding = openForwarding;
    this.#doctor = new DoctorEcho(options);
    this.ready = this.#open().then((rooms) => {
      this.#rooms = rooms;
    });
    // told by each request, and to whoever awaits `ready`
    this.ready.catch(() => {});
  }

  handle(http: HttpRequest): Promise<HttpResponse> {
    const answering = this.#handle(http);
    this.#active.add(answering);
    return answering.finally(() => this.#active.delete(answering));
  }

  copyUser(userId: string, to: string): Promise<boolean> {
    const copying = this.#copyUser(userId, to);
    this.#active.add(copying);
    return copying.finally(() => this.#active.delete(copying));
  }

  maintenance(words: string | undefined): void {
    this.#maintenance = words === undefined || words.trim() === '' ? undefined : words.trim();
  }

  activity(): Activity {
    const now = performance.now();
    const { openCollections, threads, waitingCalls, waitingUploads } = this.#rooms?.engine.activity() ?? NOTHING_OPEN;
    return {
      requests: [...this.#answering].map(([entry, startedMillis]) => runningRequest(entry, now - startedMillis)),
      syncs: this.#syncs.now(now),
      openCollections,
      threads,
      queues: { users: waitingCalls, logins: this.#rooms?.limits?.waiting ?? 0, uploads: waitingUploads },
      ...given({ maintenance: this.#maintenance }),
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #open(): Promise<Rooms> {
    const { base } = this.#options;
    const lock = await lockDataFolder(base, 'server', { lost: (words) => this.#lost(words) });
    let auth: BuiltInAuth | undefined;
    try {
      clearStaging(base);
      const { caseSensitive, environmentUsers, officialHostKeys, passwordChangeEnds, hostKeys: keysElsewhere } = this.#options;
      auth = await openBuiltInAuth(
        base,
        given({ caseSensitive, environment: environmentUsers, officialKeys: officialHostKeys, passwordChangeEnds, keysElsewhere }),
      );
      const { directory } = auth;
      const others = authenticatorOf(this.#options.authenticator ?? 'local', auth.authenticator);
      const authenticator = this.#options.appPasswords === false ? others : withAppPasswords({ rest: others, database: auth.database });
      const { loginLimits } = this.#options;
      const limits = loginLimits === false ? undefined : new LoginLimits(loginLimits);
      return {
        lock,
        auth,
        audit: new AuditLog(auth.database, (row) => this.#tellAudit(row)),
        authenticator,
        signIn: new SignIn({ authenticator, directory, limits }),
        limits,
        oidc: oidcProviders(this.#options.oidc ?? [], sqliteOidcSubjects(auth.database, authenticator)),
        hostKeys: restingHostKeys({ providers: this.#options.oidc ?? [], database: auth.database, hostKeys: basedHostKeys({
          hostKeys: recheckedHostKeys({
            hostKeys: keysElsewhere === undefined ? auth.hostKeys : auditedHostKeys(keysElsewhere, auth.database, (userId, count) => this.#revoked(directory, userId, count)),
            authenticator,
            tell: (level, detail) => this.#tell({ level, request: 'recheck', status: 0, ms: 0, detail }),
          }),
          authenticator,
          database: auth.database,
          ...given({ passwordChangeEnds }),
        }) }),
        engine: engineOf(this.#options),
        forwarding: await this.#openForwarding?.(auth.database.caseSensitive),
        spool: new FormSpool({
          newPath: () => join(stagingFolder(base), `form-${randomBytes(12).toString('hex')}`),
          maxBytes: 2 * this.#options.limits.maxPackedBytes,
        }),
      };
    } catch (error) {
      await auth?.close();
      await lock.release();
      throw error;
    }
  }

  /** Nothing is closed: what is still in memory must not come into files that another server works on. */
  #lost(words: string): void {
    this.#closing ??= Promise.resolve();
    this.#tell({ level: 'error', request: 'data folder', status: 503, ms: 0, code: 'DATA_FOLDER_IN_USE', detail: words });
  }

  async #close(): Promise<void> {
    this.#doctor.close();
    await this.ready.catch(() => {});
    await Promise.allSettled(this.#active);
    const rooms = this.#rooms;
    if (rooms === undefined) return;
    await rooms.engine.close();
    rooms.forwarding?.close();
    await (await this.#account)?.close();
    await rooms.hostKeys.close?.();
    await rooms.authenticator.close?.();
    await rooms.audit.close();
    await rooms.auth.close();
    await rooms.lock.release();
  }

  async #copyUser(userId: string, to: string): Promise<boolean> {
    await this.ready;
    if (this.#closing !== undefined) throw new SyncError('CLOSING', 'the server is closing');
    const { auth, engine } = this.#rooms!;
    const user = await auth.directory.userById(userId);
    if (user === null) return false;
    const patienceMillis = this.#options.syncIdleMillis ?? SYNC_IDLE_MILLIS;
    const giveUpMillis = performance.now() + 2 * patienceMillis;
    for (;;) {
      try {
        await engine.run({ step: 'copy', user: placeOf(user), to, patienceMillis });
        return true;
      } catch (error) {
        if (!(error instanceof SyncError) || error.code !== 'BUSY' || performance.now() > giveUpMillis || this.#closing !== undefined) throw error;
        await sleep(COPY_AGAIN_MILLIS);
      }
    }
  }

  async #handle(http: HttpRequest): Promise<HttpResponse> {
    const startedMillis = performance.now();
    const entry: LogEntry = { level: 'info', request: `${http.method} ${http.url.split('?', 1)[0]}`, status: 0, ms: 0 };
    if (http.clientAddress !== undefined) entry.address = http.clientAddress;
    const secrets: string[] = [];
    let response: HttpResponse;
    this.#answering.set(entry, startedMillis);
    try {
      response = await this.#respond(http, entry, secrets);
    } catch (error) {
      response = errorResponse(error);
      describe(error, entry, this.#options.base);
    }
    this.#answering.delete(entry);
    if (entry.detail !== undefined) entry.detail = redacted(entry.detail, secrets);
    entry.status = response.status;
    entry.ms = Math.round((performance.now() - startedMillis) * 10) / 10;
    this.#lastErrors.note(entry);
    this.#tell(entry);
    if (this.#finished.size > 0) this.#tellFinished(entry);
    return response;
  }

  #tellFinished(entry: LogEntry): void {
    const line = this.#finished.get(entry);
    this.#finished.delete(entry);
    if (line !== undefined) this.#tell(line);
  }

  async #respond(http: HttpRequest, entry: LogEntry, secrets: string[]): Promise<HttpResponse> {
    if (this.#closing !== undefined) throw new SyncError('CLOSING', 'the server is closing');
    const route = routeOf(http.method, http.url);
    if (route.kind === 'landing') return this.#landing(http);
    if (this.#rooms === undefined) await this.ready;
    const rooms = this.#rooms!;
    if (route.kind === 'health') return plain(200, 'ok');
    if (route.kind === 'doctor') return this.#doctor.respond(http);
    if (route.kind === 'ready') return this.#ready(rooms, entry);
    if (route.kind === 'account') return (await this.#accountOf(rooms)).respond(http, route.path, entry);

    entry.request = route.method;
    const request = await openSyncRequest(http, route, { spool: rooms.spool, limits: this.#options.limits });
    secrets.push(request.hostKey, request.sessionKey);
    try {
      return await this.#answerTo(request, rooms, http, entry, secrets);
    } finally {
      await request.release?.();
    }
  }

  async #answerTo(request: SyncRequest, rooms: Rooms, http: HttpRequest, entry: LogEntry, secrets: string[]): Promise<HttpResponse> {
    entry.version = request.version;
    if (request.client !== '') entry.client = request.client.slice(0, 200);
    if (request.method === 'hostKey') return login(rooms, { request, http, limits: this.#options.limits, entry, secrets });

    // the official server's 403, at which a client asks for the password; who sends nothing at all is no client
    if (request.hostKey === '' && !(await isEmptyBody(request.body))) throw new SyncError('HOST_KEY_UNKNOWN', 'no host key: sign in first');
    requireHostKey(request);
    const user = await rooms.hostKeys.resolve(request.hostKey);
    if (user === null) throw new SyncError('HOST_KEY_UNKNOWN', 'unknown host key: sign in again');
    entry.user = user.loginName;
    rooms.spool.know(http.clientAddress);
    rooms.limits?.know(user.loginName, http.clientAddress);
    requireSessionKey(request);
    if (rooms.forwarding !== undefined) return this.#forward(rooms, rooms.forwarding, { request, http, user, entry, secrets });
    const leave = rooms.engine.admit(placeOf(user));
    let sync: Syncing | undefined;
    try {
      this.#requireNoMaintenance(request);
      sync = this.#syncs.arrived(request.method, user, entry.client, performance.now());
      const response = await this.#steps[request.method](rooms, request, user, entry);
      if (request.receivedBytes !== undefined) entry.receivedBytes = request.receivedBytes;
      entry.sentBytes = Number(response.headers['anki-original-size'] ?? response.headers['content-length']);
      request.sentBytes = entry.sentBytes;
      if (request.sanityFailed === true) [entry.event, entry.level] = ['sanity.bad', 'warn'];
      if (sync !== undefined) this.#stepped(sync, request, response, entry);
      if (OF_A_SYNC.has(request.method)) rooms.hostKeys.synced?.(request.hostKey, deviceAt(entry, ''));
      // a download is on its way until its last byte is read, or its client is gone
      if (response.body instanceof Readable) finished(response.body, leave);
      else leave();
      return response;
    } catch (error) {
      leave();
      if (sync !== undefined && sync.kind !== 'media' && !isTakenOver(error)) this.#syncs.ended(sync);
      return this.#inWords(error, request, entry);
    }
  }

  async #forward(
    rooms: Rooms,
    forwarding: Forwarding,
    { request, http, user, entry, secrets }: { request: SyncRequest; http: HttpRequest; user: User; entry: LogEntry; secrets: string[] },
  ): Promise<HttpResponse> {
    try {
      this.#requireNoMaintenance(request);
      const isStillSignedIn = async (): Promise<boolean> => (await rooms.hostKeys.resolve(request.hostKey))?.id === user.id;
      const response = await forwarding.answer({ request, http, user, secrets, isStillSignedIn });
      const isWell = response.status < 300;
      if (isWell && (request.method === 'meta' || OF_A_SYNC.has(request.method))) rooms.hostKeys.synced?.(request.hostKey, deviceAt(entry, ''));
      if (response.status >= 500) [entry.level, entry.detail] = ['error', 'so says the server behind'];
      return response;
    } catch (error) {
      return this.#inWords(error, request, entry);
    }
  }

  #requireNoMaintenance({ method }: SyncRequest): void {
    if (this.#maintenance !== undefined && BEGINS_A_SYNC.has(method)) throw new SyncError('MAINTENANCE', this.#maintenance);
  }

  /** The answer that the person at the client reads, for failures that have one; throws the others again. */
  #inWords(error: unknown, { method, version }: SyncRequest, entry: LogEntry): Promise<HttpResponse> {
    const words = error instanceof SyncError ? inPlainWords(method, error) : undefined;
    if (words === undefined) throw error;
    describe(error, entry, this.#options.base);
    return packedResponse(version, words);
  }

  /** A method of the protocol without a step does not compile. */
  readonly #steps: Record<Exclude<SyncMethod, 'hostKey'> | MediaMethod, Step> = {
    meta: async (rooms, request, user, entry) => {
      let client = request.client;
      const response = await this.#jsonStep('meta', rooms, request, user, (body) => {
        client = clientVersionIn(body) ?? client;
      });
      rooms.hostKeys.synced?.(request.hostKey, deviceAt(entry, client));
      return response;
    },
    start: (rooms, request, user) => this.#jsonStep('start', rooms, request, user),
    applyGraves: (rooms, request, user) => this.#jsonStep('applyGraves', rooms, request, user),
    applyChanges: (rooms, request, user) => this.#jsonStep('applyChanges', rooms, request, user),
    chunk: (rooms, request, user) => this.#jsonStep('chunk', rooms, request, user),
    applyChunk: (rooms, request, user) => this.#jsonStep('applyChunk', rooms, request, user),
    sanityCheck2: (rooms, request, user) => this.#jsonStep('sanityCheck2', rooms, request, user),
    finish: (rooms, request, user) => this.#jsonStep('finish', rooms, request, user),
    abort: async (rooms, request, user) => {
      await readEmptyBody(request, this.#options.limits);
      return this.#answer(request, await rooms.engine.run({ step: 'abort', user: placeOf(user) }));
    },
    upload: (rooms, request, user, entry) => this.#upload(rooms, request, user, entry),
    download: async (rooms, request, user) => {
      await readEmptyBody(request, this.#options.limits);
      return this.#answer(request, await rooms.engine.run({ step: 'download', user: placeOf(user) }));
    },
    begin: (rooms, request, user) => this.#jsonStep('begin', rooms, request, user),
    mediaChanges: (rooms, request, user) => this.#jsonStep('mediaChanges', rooms, request, user),
    uploadChanges: (rooms, request, user) => this.#uploadChanges(rooms, request, user),
    downloadFiles: (rooms, request, user) => this.#jsonStep('downloadFiles', rooms, request, user),
    mediaSanity: (rooms, request, user) => this.#jsonStep('mediaSanity', rooms, request, user),
  };

  async #jsonStep(step: JsonStep, rooms: Rooms, request: SyncRequest, user: User, heard?: (body: Buffer) => void): Promise<HttpResponse> {
    try {
      const askedMillis = performance.now();
      const body = await readJsonBody(request, this.#options.limits);
      if (performance.now() - askedMillis > SLOW_BODY_MILLIS) await this.#stillSignedIn(rooms, request, user);
      heard?.(body);
      request.receivedBytes = body.length;
      const { sessionKey, hostKey } = request;
      const answer = await rooms.engine.run({
        step,
        user: placeOf(user),
        sessionKey,
        body: body.length <= MAX_STRING_CHARS ? body.toString() : body,
        // `begin` hands it back in place of a media session key
        ...(step === 'begin' ? { hostKey } : {}),
        packs: SYNC_VERSIONS[request.version].zstdAnswer,
      });
      return await this.#answer(request, answer);
    } catch (error) {
      // 413 is a "network error" to clients, over and over; at 400 they ask for a one-way sync, which helps
      if (request.spec.needsSessionKey && error instanceof SyncError && error.code === 'BODY_TOO_LARGE') {
        throw new SyncError('STEP_FAILED', 'too large for a normal sync: a one-way sync is needed', { detail: error.message });
      }
      throw error;
    }
  }

  async #answer(request: SyncRequest, answer: Answer): Promise<HttpResponse> {
    if (answer.moved !== undefined) request.moved = answer.moved;
    if (request.method === 'sanityCheck2' && answer.kind === 'bytes') request.sanityFailed = answer.data.toString().startsWith('{"status":"bad"');
    if (answer.kind === 'bytes') return packedResponse(request.version, answer.data);
    if (answer.kind === 'packed') return zstdResponse(answer);
    return fileResponse(request.version, answer, {
      done: () => rm(answer.path, { force: true }),
    });
  }

  /**
   * Full upload: streamed into the staging folder, checked and converted in a lane of its own, and only then taken into the
   * user's room, where it replaces the collection as a whole. What is wrong with the file is told in an answer of status 200,
   * which every client shows as it is.
   */
  async #upload(rooms: Rooms, request: SyncRequest, user: User, entry: LogEntry): Promise<HttpResponse> {
    entry.event = 'upload.refused';
    const place = placeOf(user);
    const path = await this.#stagingFile(rooms, { step: 'stagingFolder', user: place }, 'upload', '.anki2');
    try {
      request.receivedBytes = (await receiveBody(request, path, this.#options.limits)).bytes;
      const most = this.#options.quota?.maxCollectionBytes;
      if (most !== undefined && request.receivedBytes > most) {
        return this.#refuseUpload(request, user, quotaWords('collection', request.receivedBytes, most), `a collection of ${request.receivedBytes} bytes`);
      }
      const verdict = await rooms.engine.prepareUpload(path);
      if (verdict.verdict === 'corrupt') return this.#refuseUpload(request, user, CORRUPT, verdict.reason);
      if (verdict.verdict === 'too-new') return this.#refuseUpload(request, user, TOO_NEW, `schema ${verdict.schemaVersion}`);
      if (verdict.losses.length > 0) this.#note('info', 'upload', user, `not kept in schema 11: ${verdict.losses.slice(0, 20).join('; ')}`);
      await this.#stillSignedIn(rooms, request, user);
      const answer = await rooms.engine.run({ step: 'upload', user: place, path });
      entry.event = 'upload.replaced';
      return await this.#answer(request, answer);
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      if (error.code === 'BODY_TOO_LARGE') return this.#refuseUpload(request, user, TOO_LARGE, error.message);
      if (error.code === 'UPLOAD_EMPTY') return this.#refuseUpload(request, user, CORRUPT, error.message);
      throw error;
    } finally {
      await removeStaged(path);
    }
  }

  /** A body may take hours. Whoever was signed out or removed meanwhile, perhaps to give the name to somebody else, changes nothing any more. */
  async #stillSignedIn(rooms: Rooms, request: SyncRequest, user: User): Promise<void> {
    const now = await rooms.hostKeys.resolve(request.hostKey);
    if (now?.id !== user.id) throw new SyncError('HOST_KEY_UNKNOWN', 'the host key ended during the request: sign in again');
  }

  #refuseUpload(request: SyncRequest, user: User, words: string, reason: string): Promise<HttpResponse> {
    this.#note('warn', 'upload', user, reason);
    return packedResponse(request.version, words);
  }

  async #uploadChanges(rooms: Rooms, request: SyncRequest, user: User): Promise<HttpResponse> {
    const place = placeOf(user);
    let path: string | undefined;
    try {
      const small = await receiveSmallBody(request, this.#options.limits);
      if (small.bytes === undefined) {
        path = await this.#stagingFile(rooms, { step: 'mediaStagingFolder', user: place }, 'media', '.zip');
        request.receivedBytes = (await receiveBody(request, path, this.#options.limits, small.begun)).bytes;
      } else request.receivedBytes = small.bytes.length;
      await this.#stillSignedIn(rooms, request, user);
      return await this.#answer(request, await rooms.engine.run({
        step: 'uploadChanges', user: place, zip: small.bytes ?? path!, ...given({ maxTotalBytes: this.#options.quota?.maxMediaBytes }),
      }));
    } catch (error) {
      if (error instanceof SyncError && error.code === 'UPLOAD_EMPTY') throw new SyncError('MEDIA_ZIP_INVALID', 'the zip is empty');
      throw error;
    } finally {
      if (path !== undefined) await removeStaged(path);
    }
  }

  async #stagingFile(
    rooms: Rooms,
    call: { step: 'stagingFolder' | 'mediaStagingFolder'; user: { userId: string; folder: string } },
    kind: string,
    extension: string,
  ): Promise<string> {
    const answer = await rooms.engine.run(call);
    const folder = String((answer as Extract<Answer, { kind: 'bytes' }>).data);
    return join(folder, `${kind}-${randomBytes(12).toString('hex')}${extension}`);
  }

  /** Pages are for a few people at a time: nothing of them is loaded before somebody asks for one. */
  #accountOf(rooms: Rooms): Promise<Account> {
    const settings = this.#options.account;
    if (settings === undefined) throw new SyncError('PATH_UNKNOWN', 'nothing here');
    this.#account ??= import('./account/open.ts').then(({ openAccount }) => openAccount(rooms, {
      options: this.#options,
      settings,
      lastErrors: this.#lastErrors,
      tell: (entry) => this.#tell(entry),
      describe: (error, entry) => describe(error, entry, this.#options.base),
    }));
    // one that could not be opened is tried again by the next request
    this.#account.catch(() => (this.#account = undefined));
    return this.#account;
  }

  #landing(http: HttpRequest): HttpResponse {
    if (!this.#options.landingPage) throw new SyncError('PATH_UNKNOWN', 'nothing here');
    const baseUrl = this.#options.publicUrl ?? `${http.scheme ?? 'http'}://${headerOf(http, 'host') ?? 'localhost'}${http.mountPath ?? ''}`;
    const body = Buffer.from(landingPage({ baseUrl, hasAccountPage: this.#options.account !== undefined }));
    return { status: 200, headers: { ...landingPageHeaders, 'content-length': String(body.length) }, body };
  }

  /** A sync that is finished has a line of its own, behind the one of its last request; a download is, when its last byte was taken. */
  #stepped(sync: Syncing, request: SyncRequest, response: HttpResponse, entry: LogEntry): void {
    const lineOf = (): LogEntry | undefined => {
      const now = performance.now();
      const report = this.#syncs.stepped(sync, request, now);
      return report && syncEntry(entry, report, now - sync.startedMillis);
    };
    if (entry.event === 'upload.refused' || entry.event === 'sanity.bad') this.#syncs.ended(sync);
    else if (response.body instanceof Readable && sync.kind === 'download') {
      finished(response.body, (error) => (error == null ? this.#tell(lineOf()!) : this.#syncs.ended(sync)));
    } else {
      const line = lineOf();
      if (line !== undefined) this.#finished.set(entry, line);
    }
  }

  /** For load balancers and monitors: whether a sync would go well now. What is wrong is for the log. */
  async #ready(rooms: Rooms, entry: LogEntry): Promise<HttpResponse> {
    const now = performance.now();
    if (this.#readiness === undefined || this.#readiness.untilMillis < now) {
      // anybody may ask, and the disk is asked once
      this.#readiness = { trouble: this.#trouble(rooms), untilMillis: now + READY_MILLIS };
    }
    const { longestCallMillis } = rooms.engine.activity();
    const stuck = longestCallMillis > STUCK_MILLIS ? `a thread has been at one step for ${Math.round(longestCallMillis / 1000)} s` : undefined;
    const trouble = stuck ?? (await this.#readiness.trouble);
    if (trouble === undefined) return plain(200, 'ready');
    entry.level = 'error';
    entry.detail = trouble;
    return plain(503, 'not ready');
  }

  async #trouble({ forwarding }: Rooms): Promise<string | undefined> {
    return (await diskTrouble(this.#options.base)) ?? forwarding?.trouble();
  }

  #revoked(directory: UserDirectory, userId: string, count: number): void {
    const tell = (user: User | null): void => this.#tell({
      level: 'info', request: 'revoke', status: 200, ms: 0, event: 'keys.revoked', ...(user === null ? {} : { user: user.loginName }), detail: `${count} host keys ended`,
    });
    directory.userById(userId).then(tell, () => tell(null));
  }

  #tellAudit({ event, login_name: user, detail }: AuditRow): void {
    this.#tell({ level: 'info', request: 'users', status: 200, ms: 0, event, user, ...(detail === '' ? {} : { detail }) });
  }

  #note(level: LogEntry['level'], request: string, user: User, detail: string): void {
    this.#tell({ level, request, status: 200, ms: 0, user: user.loginName, detail });
  }

  /** A log that fails is no reason to fail a request, whose work is done by then. */
  #tell(entry: LogEntry): void {
    try {
      this.#options.log(entry);
    } catch {
      // nobody else to tell
    }
  }
}

function authenticatorOf(chosen: NonNullable<SyncServerOptions['authenticator']>, local: Authenticator): Authenticator {
  if (chosen === 'local') return local;
  if ('map' in chosen) return chainedAuthenticator(chosen.map((member) => authenticatorOf(member, local)));
  return typeof chosen === 'function' ? authenticatorFrom(chosen) : chosen;
}

function engineOf(options: CheckedOptions): Engine {
  const { base } = options;
  const beside = (path: string): string => new URL(`./storage/${path}${EXTENSION}`, import.meta.url).href;
  return new Engine({
    stores: {
      collections: options.collections ?? {
        module: beside('sqlite/collection'),
        options: { base, cacheKib: options.collectionCacheKib, snapshots: options.snapshots },
      },
      media: options.media ?? { module: beside('sqlite/media'), options: { base } },
      mediaFiles: options.mediaFiles ?? { module: beside('files/folder'), options: { base } },
    },
    // what other stores keep, others may change
    ...(options.collections === undefined && options.media === undefined ? { stillHolds: stillThereIn(base) } : {}),
    ...given({
      threads: options.threads,
      threadHeapMib: options.threadHeapMib,
      maxOpen: options.maxOpenCollections,
      closeIdleMillis: options.closeIdleMillis,
      syncIdleMillis: options.syncIdleMillis,
      maxWaitingPerUser: options.maxWaitingPerUser,
    }),
  });
}

/** The extension of the running sources: `.ts` from a checkout, `.js` from the package. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf('.'));

function given<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** The sync that goes on is another device's. */
function isTakenOver(error: unknown): boolean {
  return error instanceof SyncError && error.code === 'SYNC_TAKEN_OVER';
}

function placeOf(user: User): { userId: string; folder: string } {
  return { userId: user.id, folder: user.folder };
}

function deviceAt({ address }: LogEntry, client: string): { client: string; address?: string } {
  return { client, ...(address === undefined ? {} : { address }) };
}

/** In `meta`, clients say more of themselves than in the header of each request: the model of a phone, for instance. */
function clientVersionIn(body: Buffer): string | undefined {
  return body.length > 1000 ? undefined : /"cv":\s*"([^"\\]*)"/.exec(String(body))?.[1];
}

function plain(status: number, text: string): HttpResponse {
  const body = Buffer.from(`${text}\n`);
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(body.length), 'cache-control': 'no-store' }, body };
}

/** The line of the log for a failure: its code, and what only the operator may know. */
function describe(error: unknown, entry: LogEntry, base: string): void {
  if (error instanceof ClientGone) {
    entry.code = 'CLIENT_GONE';
    return;
  }
  const known = error instanceof SyncError ? error : undefined;
  entry.code = known?.code ?? 'INTERNAL';
  entry.level = (known?.status ?? 500) >= 500 && known?.code !== 'CLOSING' && known?.code !== 'MAINTENANCE' && known?.code !== 'CLIENT_TOO_OLD' ? 'error' : 'warn';
  const detail = known === undefined ? (error instanceof Error ? (error.stack ?? error.message) : String(error)) : (known.detail ?? known.message);
  entry.detail = known !== undefined && known.status >= 500 && known.stack !== undefined && entry.code === 'INTERNAL' ? `${detail}\n${known.stack}` : detail;
  if (known?.code === 'COLLECTION_DAMAGED') entry.detail += `; ${wayBack(known.snapshot, entry.user ?? 'NAME', base)}`;
}
