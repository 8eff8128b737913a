/** The server behind a gateway: requests go there through http-proxy-3. */
import { EventEmitter } from 'node:events';
import { Agent as HttpAgent, type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Readable } from 'node:stream';
import type { ProxyServer } from 'http-proxy-3';
import { SyncError } from '../errors.ts';
import { ClientGone } from '../protocol/client-gone.ts';
import { loadProxyLibrary } from './library.ts';

export interface UpstreamRequest {
  method: 'GET' | 'POST';
  /** Below the server's address, with a slash before it: `/sync/meta`. */
  path: string;
  headers: Record<string, string>;
  body?: AsyncIterable<Uint8Array>;
  /** It asks and changes nothing, so that it may arrive twice. */
  isRepeatable?: boolean;
  /** Aborted when nobody waits for the answer any more. */
  signal?: AbortSignal | undefined;
}

/** A body that can be sent again, or one that passes. */
type Body = Uint8Array | AsyncIterable<Uint8Array>;

const CONNECT_MILLIS = 10_000;
const SMALL_BYTES = 64 * 1024;
/**
 * How long an idle connection is kept. The official server has no end for them; a server that tells an earlier one is believed. Not less than what
 * connecting may take, since Node counts both by this.
 */
const IDLE_MILLIS = CONNECT_MILLIS;
const MAX_IDLE_CONNECTIONS = 32;
/** What a request meets on a connection that the server closed in that moment. */
const CLOSED: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED']);
export const TIMEOUT_MILLIS = 120_000;

/** http-proxy-3 writes answers itself, or with `selfHandleResponse` hands them over; then all it wants to know is when the client is gone. */
class Answering extends EventEmitter {
  readonly writableFinished = false;
  readonly headersSent = false;
  readonly finished = false;
  answered: (response: IncomingMessage) => void = () => {};
  isOnKeptConnection = false;
}

/** Only told within: the request can go out once more. */
class StaleConnection extends Error {}

export class Upstream {
  /** Without a slash at its end. */
  readonly url: string;
  readonly #timeoutMillis: number;
  /**
   * For what is sent as a whole and may arrive twice. A connection that a server closes just when it is used again gives no answer, and nobody can tell
   * whether it did what was asked: steps that change something, and bodies that pass, get a connection of their own.
   */
  readonly #kept: HttpAgent;
  readonly #fresh: HttpAgent;
  #proxy: Promise<ProxyServer> | undefined;

  constructor(url: string, timeoutMillis = TIMEOUT_MILLIS) {
    this.url = url.replace(/\/+$/, '');
    this.#timeoutMillis = timeoutMillis;
    const Agent = url.startsWith('https:') ? HttpsAgent : HttpAgent;
    this.#kept = new Agent({ keepAlive: true, timeout: IDLE_MILLIS, maxFreeSockets: MAX_IDLE_CONNECTIONS });
    this.#fresh = new Agent({ keepAlive: false });
  }

  /**
   * Resolves with the head of any answer; its body waits to be read, or destroyed.
   *
   * @throws SyncError UPSTREAM_UNREACHABLE, UPSTREAM_SLOW; ClientGone; and whatever `body` throws
   */
  async send(request: UpstreamRequest): Promise<IncomingMessage> {
    this.#proxy ??= this.#open();
    const proxy = await this.#proxy;
    if (request.signal?.aborted === true) throw new ClientGone(request.signal.reason);
    const body = request.body === undefined ? Buffer.alloc(0) : await wholeOrRest(request.body);
    const isKept = request.isRepeatable === true && body instanceof Uint8Array;
    try {
      return await this.#through(proxy, isKept ? this.#kept : this.#fresh, request, body);
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error;
      return this.#through(proxy, this.#fresh, request, body);
    }
  }

  close(): void {
    this.#kept.destroy();
    this.#fresh.destroy();
  }

  /** @throws StaleConnection besides */
  async #through(proxy: ProxyServer, agent: HttpAgent, { method, path, headers, signal }: UpstreamRequest, body: Body): Promise<IncomingMessage> {
    const isWhole = body instanceof Uint8Array;
    const length: Record<string, string> = isWhole && method === 'POST' ? { 'content-length': String(body.length) } : {};
    const source = Object.assign(Readable.from(isWhole ? [body] : body, { objectMode: false }), {
      method, url: path, headers: { ...headers, ...length }, httpVersionMajor: 1, socket: { destroyed: false },
    });
    const answering = new Answering();
    const stop = (): void => {
      source.destroy();
      // it takes this for a client that is gone, and ends the request
      answering.emit('close');
    };
    try {
      return await new Promise<IncomingMessage>((resolve, reject) => {
        let bodyError: Error | undefined;
        source.once('error', (error) => (bodyError = error));
        signal?.addEventListener('abort', stop, { once: true });
        answering.answered = (response) => {
          // whoever reads it sees it; before that nobody does
          response.on('error', () => {});
          response.once('close', stop);
          resolve(response);
        };
        proxy.web(source as unknown as IncomingMessage, answering as unknown as ServerResponse, { agent }, (error) => {
          stop();
          if (signal?.aborted === true) reject(new ClientGone(error));
          else if (answering.isOnKeptConnection && CLOSED.has((error as NodeJS.ErrnoException).code ?? '')) reject(new StaleConnection());
          else reject(bodyError ?? this.#failed(error));
        });
      });
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  async #open(): Promise<ProxyServer> {
    const { createProxyServer } = await loadProxyLibrary();
    const proxy = createProxyServer({
      target: `${this.url}/`,
      changeOrigin: true,
      selfHandleResponse: true,
      connectTimeout: CONNECT_MILLIS,
    });
    proxy.on('proxyReq', (request: ClientRequest, _source, answering) => {
      (answering as unknown as Answering).isOnKeptConnection = request.reusedSocket;
      request.setTimeout(this.#timeoutMillis, () => request.destroy(Object.assign(new Error('silent for too long'), { code: 'ETIMEDOUT' })));
    });
    proxy.on('proxyRes', (response, _request, answering) => (answering as unknown as Answering).answered(response));
    return proxy;
  }

  #failed(error: Error): SyncError {
    const { code = 'broken off' } = error as NodeJS.ErrnoException;
    if (code === 'ETIMEDOUT' || code === 'ECONNECT_TIMEOUT') {
      return new SyncError('UPSTREAM_SLOW', 'the server behind does not answer', { detail: `no answer from ${this.url} in time`, cause: error });
    }
    return new SyncError('UPSTREAM_UNREACHABLE', 'the server behind is not there', { detail: `${this.url} cannot be reached (${code}): does it run?`, cause: error });
  }
}

/**
 * A small body as a whole, which is sent with its length. The official server answers a chunked one as soon as it has the zstd frame, and closes: if
 * the end of the body arrives after that, the connection is reset, and the answer with it. Of a large one, the last byte is held back for the
 * same reason until the end is known.
 */
async function wholeOrRest(body: AsyncIterable<Uint8Array>): Promise<Body> {
  const iterator = body[Symbol.asyncIterator]();
  const begun: Uint8Array[] = [];
  for (let bytes = 0; bytes <= SMALL_BYTES; ) {
    const { done, value } = await iterator.next();
    if (done === true) return Buffer.concat(begun);
    begun.push(value);
    bytes += value.length;
  }
  return rest(begun, iterator);
}

async function* rest(begun: readonly Uint8Array[], iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    let bytes: Uint8Array = Buffer.concat(begun);
    for (;;) {
      const last = bytes.subarray(-1);
      if (bytes.length > 1) yield bytes.subarray(0, -1);
      const { done, value } = await iterator.next();
      if (done === true) {
        yield last;
        return;
      }
      bytes = Buffer.concat([last, value]);
    }
  } finally {
    await iterator.return?.();
  }
}

/** Of a small answer. Past `maxBytes`, or broken off: null. */
export async function smallBodyOf(response: IncomingMessage, maxBytes: number): Promise<Buffer | null> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const piece of response) {
      bytes += (piece as Buffer).length;
      if (bytes > maxBytes) return null;
      pieces.push(piece as Buffer);
    }
  } catch {
    return null;
  }
  return Buffer.concat(pieces);
}
