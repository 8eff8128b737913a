/** A request of a user who is known → the server behind → its answer, untouched. */
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import type { User } from '../auth/authenticator.ts';
import { SyncError } from '../errors.ts';
import type { HttpRequest, HttpResponse } from '../http.ts';
import { openBody } from '../protocol/body-source.ts';
import type { SyncRequest } from '../protocol/request.ts';
import { packedResponse } from '../protocol/response.ts';
import { envelopeOf } from './envelope.ts';
import { KeptBody } from './kept-body.ts';
import type { UpstreamOptions } from './settings.ts';
import { UpstreamKeys } from './upstream-keys.ts';
import { UpstreamUsers } from './upstream-users.ts';
import { smallBodyOf, Upstream } from './upstream.ts';

export interface Forwarded {
  request: SyncRequest;
  http: HttpRequest;
  user: User;
  /** Gets what must not stand in the log. */
  secrets: string[];
  /** Whether the client may still change anything: asked when all of a body has come. */
  isStillSignedIn(): Promise<boolean>;
}

/** Also what clients look at. A connection's own headers are not among them, and none of the server's others either. */
const PASSED = ['content-type', 'content-length', 'content-encoding', 'anki-original-size', 'retry-after'] as const;
/** Of an answer to `begin`, packed and unpacked. */
const MAX_BEGIN_BYTES = 64 * 1024;
/** What the server behind says of its state or place, and what a client would take for its own fault. */
const NO_SYNC_SERVER: ReadonlySet<number> = new Set([404, 405]);

/** Of the official server, these ask and change nothing; `meta` ends a sync that was left, each time. */
const REPEATABLE: ReadonlySet<string> = new Set(['meta', 'begin', 'mediaChanges', 'downloadFiles', 'mediaSanity']);

const unpack = promisify(zstdDecompress);

export class Forwarding {
  readonly #upstream: Upstream;
  readonly #keys: UpstreamKeys;
  readonly #users: UpstreamUsers;

  constructor(options: UpstreamOptions, caseSensitive: boolean) {
    this.#upstream = new Upstream(options.url, options.timeoutMillis);
    this.#keys = new UpstreamKeys(this.#upstream);
    this.#users = new UpstreamUsers(options, caseSensitive);
  }

  /**
   * A 403 of the server behind is about its own key: clients would throw ours away, so it never gets to them. The gateway signs in there
   * anew, and sends the request once more.
   *
   * @throws SyncError UPSTREAM_REFUSED, UPSTREAM_UNREACHABLE, UPSTREAM_SLOW, HOST_KEY_UNKNOWN, BODY_TOO_LARGE; ClientGone
   */
  async answer({ request, http, user, secrets, isStillSignedIn }: Forwarded): Promise<HttpResponse> {
    if (request.body.contentLength === Infinity) throw new SyncError('BODY_TOO_LARGE', 'the form is too large');
    const body = new KeptBody(openBody(request.body, Infinity));
    try {
      const there = await this.#users.of(user.loginName);
      secrets.push(there.password);
      let key = await this.#keys.of(there);
      secrets.push(key);
      let response = await this.#send(request, http, key, body, isStillSignedIn);
      if (response.statusCode === 403) {
        response.destroy();
        key = await this.#keys.renewed(there, key);
        secrets.push(key);
        if (!body.isWhole) throw refused(`${this.#upstream.url} no longer knew its key; the gateway has a new one now, and the client may try again`);
        response = await this.#send(request, http, key, body, isStillSignedIn);
      }
      return await this.#answerOf(response, request, key);
    } catch (error) {
      body.discard();
      throw error;
    }
  }

  /** What keeps users from syncing just now, for the log. */
  async trouble(): Promise<string | undefined> {
    try {
      const response = await this.#upstream.send({ method: 'GET', path: '/health', headers: {}, signal: AbortSignal.timeout(5_000) });
      response.destroy();
      const status = response.statusCode ?? 0;
      return status < 500 ? undefined : `${this.#upstream.url} answers with ${status}`;
    } catch (error) {
      return error instanceof SyncError ? (error.detail ?? error.message) : `no answer from ${this.#upstream.url} in time`;
    }
  }

  close(): void {
    this.#upstream.close();
  }

  #send(request: SyncRequest, http: HttpRequest, key: string, body: KeptBody, isStillSignedIn: () => Promise<boolean>): Promise<IncomingMessage> {
    const isUpload = request.spec.input === 'bytes';
    const bytes = isUpload ? unlessSignedOut(body.read(), isStillSignedIn) : body.read();
    return this.#upstream.send({
      method: 'POST',
      path: `/${familyOf(request)}/${request.method}`,
      ...envelopeOf(request, http, key, bytes),
      isRepeatable: REPEATABLE.has(request.method),
      signal: http.signal,
    });
  }

  async #answerOf(response: IncomingMessage, request: SyncRequest, key: string): Promise<HttpResponse> {
    const status = response.statusCode ?? 0;
    const at = this.#upstream.url;
    const stop = (error: SyncError): never => {
      response.destroy();
      throw error;
    };
    if (status === 401 || status === 403 || status === 407) stop(refused(`${at} refuses its user, though it has just signed in (status ${status})`));
    if (status >= 300 && status < 400) stop(noServer(`${at} redirects (status ${status}): enter the address that it leads to`));
    if (NO_SYNC_SERVER.has(status)) stop(noServer(`${at} answers with ${status}, so it is no sync server: is the address complete?`));
    if (request.method === 'begin' && status === 200) return this.#begun(response, request, key);
    const headers: Record<string, string> = { 'content-type': 'application/octet-stream', 'cache-control': 'no-store, no-transform' };
    for (const name of PASSED) {
      const value = response.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    return { status, headers, body: response };
  }

  /** The server's own key comes back in `sk`, which old clients use from then on. */
  async #begun(response: IncomingMessage, request: SyncRequest, key: string): Promise<HttpResponse> {
    const bytes = await smallBodyOf(response, MAX_BEGIN_BYTES);
    const isPacked = response.headers['anki-original-size'] !== undefined;
    const text = await (isPacked && bytes !== null ? unpack(bytes, { maxOutputLength: MAX_BEGIN_BYTES }) : Promise.resolve(bytes)).catch(() => null);
    if (text === null) throw noServer(`the answer of ${this.#upstream.url} to begin cannot be read`);
    return packedResponse(request.version, text.toString().replaceAll(JSON.stringify(key), JSON.stringify(request.hostKey)));
  }
}

function familyOf({ kind }: SyncRequest): 'sync' | 'msync' {
  return kind === 'sync' ? 'sync' : 'msync';
}

/** An upload may take hours: whoever was signed out meanwhile changes nothing any more, since its last byte never comes. */
async function* unlessSignedOut(bytes: AsyncIterable<Uint8Array>, isStillSignedIn: () => Promise<boolean>): AsyncGenerator<Uint8Array> {
  yield* bytes;
  if (!(await isStillSignedIn())) throw new SyncError('HOST_KEY_UNKNOWN', 'the host key ended during the upload: sign in again');
}

function refused(detail: string): SyncError {
  return new SyncError('UPSTREAM_REFUSED', 'the server behind refuses', { detail });
}

function noServer(detail: string): SyncError {
  return new SyncError('UPSTREAM_UNREACHABLE', 'no sync server behind', { detail });
}
