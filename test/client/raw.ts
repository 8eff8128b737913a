/**
 * A protocol client of our own, for what a real Anki never does: wrong headers, half bodies, stalls, two sessions at once.
 * It decides nothing and retries nothing; every request uses a connection of its own unless an agent is given.
 */
import { request as httpRequest } from 'node:http';
import type { Agent, ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

export interface RawDefaults {
  key?: string;
  sessionKey?: string;
  /** Client version, `c` of the header. */
  client?: string;
  agent?: Agent;
}

export interface RawOptions extends RawDefaults {
  /** Sync version, `v` of the header. Default 11. */
  version?: number;
  /** The whole `anki-sync` header instead of the one made of key, session key and version; null sends none. */
  syncHeader?: string | null;
  /** Added to, and stronger than, the usual ones. */
  headers?: Record<string, string>;
  /** false sends `Content-Length`, as no real client does. Only for bodies that are not a stream. */
  chunked?: boolean;
  /** true: the body is sent byte for byte instead of being packed as zstd. */
  packed?: boolean;
  signal?: AbortSignal;
}

/**
 * JSON values are stringified, a string is JSON text already. A stream is packed piece by piece, and each piece is on its way
 * before the next is asked for: so a generator that waits is a client that stalls, and one that throws cuts the connection.
 */
export type RawBody = Uint8Array | AsyncIterable<Uint8Array> | string | number | boolean | null | object;

export interface RawResponse {
  status: number;
  headers: IncomingHttpHeaders;
  /** Unpacked where `anki-original-size` says that it is packed. */
  body: Buffer;
  /** As it came over the wire. */
  wire: Buffer;
  text(): string;
  json(): any;
}

/** A request whose body is written by hand, in bytes of the wire: to stall, to stop half-way, to send garbage. */
export interface RawRequest {
  /** Resolves when the bytes have left this process. */
  write(wire: Uint8Array): Promise<void>;
  end(): void;
  /** Cuts the connection. */
  destroy(): void;
  response: Promise<RawResponse>;
  request: ClientRequest;
}

export class RawClient {
  readonly endpoint: string;
  key: string;
  sessionKey: string;
  readonly client: string;
  readonly agent: Agent | undefined;

  /** `endpoint` as in Anki's preferences: `http://127.0.0.1:8080/` or `http://127.0.0.1:8080/anki/`. */
  constructor(endpoint: string, defaults: RawDefaults = {}) {
    this.endpoint = endpoint.endsWith('/') ? endpoint : `${endpoint}/`;
    this.key = defaults.key ?? '';
    this.sessionKey = defaults.sessionKey ?? '';
    this.client = defaults.client ?? '26.09.3,raw,test';
    this.agent = defaults.agent;
  }

  /** The same user as another device: same host key, another session key. */
  withSession(sessionKey: string): RawClient {
    return new RawClient(this.endpoint, { key: this.key, sessionKey, client: this.client, ...(this.agent ? { agent: this.agent } : {}) });
  }

  /** Signs in and keeps the key. Throws on any status but 200. */
  async hostKey(user: string, password: string): Promise<string> {
    const response = await this.post('hostKey', { u: user, p: password }, { key: '' });
    if (response.status !== 200) throw new Error(`hostKey answered ${response.status} ${response.text()}`);
    this.key = (response.json() as { key: string }).key;
    return this.key;
  }

  /** POST `{endpoint}sync/{method}`. */
  post(method: string, body: RawBody = {}, options: RawOptions = {}): Promise<RawResponse> {
    return this.send('POST', `sync/${method}`, body, options);
  }

  /** POST `{endpoint}msync/{method}`. */
  msync(method: string, body: RawBody = {}, options: RawOptions = {}): Promise<RawResponse> {
    return this.send('POST', `msync/${method}`, body, options);
  }

  /** GET of any path below the endpoint, without a sync header. */
  get(path: string, options: RawOptions = {}): Promise<RawResponse> {
    return this.send('GET', path, null, { syncHeader: null, ...options });
  }

  async send(httpMethod: string, path: string, body: RawBody, options: RawOptions = {}): Promise<RawResponse> {
    return readResponse(await this.sendUnread(httpMethod, path, body, options));
  }

  /** Like `send`, but hands over the response before its body is read: for slow receivers. Its bytes are those of the wire. */
  async sendUnread(httpMethod: string, path: string, body: RawBody, options: RawOptions = {}): Promise<IncomingMessage> {
    const request = this.begin(httpMethod, path, options);
    const response = responseOf(request);
    if (httpMethod === 'GET') {
      request.end();
    } else if (isStream(body)) {
      const source = Readable.from(body, { objectMode: false, highWaterMark: 1 });
      const sent = options.packed === true
        ? pipeline(source, request)
        : pipeline(source, createZstdCompress({ flush: constants.ZSTD_e_flush }), request);
      // a server may answer before it has read everything, and then close: the answer counts
      sent.catch((error: unknown) => request.destroy(error as Error));
    } else {
      const plain = body instanceof Uint8Array ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
      const wire = options.packed === true ? plain : zstdCompressSync(plain);
      if (options.chunked === false) {
        request.setHeader('content-length', wire.length);
        request.end(wire);
      } else {
        request.setHeader('transfer-encoding', 'chunked');
        request.flushHeaders();
        request.end(wire);
      }
    }
    return response;
  }

  /** A request to be written by hand; `path` is `sync/upload`, `msync/uploadChanges`, … */
  open(path: string, options: RawOptions = {}): RawRequest {
    const request = this.begin('POST', path, options);
    request.setHeader('transfer-encoding', 'chunked');
    request.flushHeaders();
    const response = responseOf(request).then(readResponse);
    // whoever destroys the request may not care for its answer
    response.catch(() => {});
    return {
      write: (wire) => new Promise((resolve, reject) => request.write(wire, (error) => (error ? reject(error) : resolve()))),
      end: () => void request.end(),
      destroy: () => void request.destroy(),
      response,
      request,
    };
  }

  private begin(httpMethod: string, path: string, options: RawOptions): ClientRequest {
    const url = path.startsWith('/') ? new URL(this.endpoint).origin + path : this.endpoint + path;
    const syncHeader = options.syncHeader === undefined
      ? JSON.stringify({
          v: options.version ?? 11,
          k: options.key ?? this.key,
          c: options.client ?? this.client,
          s: options.sessionKey ?? this.sessionKey,
        })
      : options.syncHeader;
    const agent = options.agent ?? this.agent;
    return (url.startsWith('https:') ? httpsRequest : httpRequest)(url, {
      method: httpMethod,
      headers: {
        ...(syncHeader === null ? {} : { 'anki-sync': syncHeader }),
        ...(httpMethod === 'GET' ? {} : { 'content-type': 'application/octet-stream' }),
        accept: '*/*',
        ...options.headers,
      },
      agent: agent ?? false,
      ...(options.signal ? { signal: options.signal } : {}),
    });
  }
}

function isStream(body: RawBody): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}

function responseOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
  });
}

async function readResponse(message: IncomingMessage): Promise<RawResponse> {
  const pieces: Buffer[] = [];
  for await (const piece of message) pieces.push(piece as Buffer);
  const wire = Buffer.concat(pieces);
  const packed = message.headers['anki-original-size'] !== undefined;
  const body = packed ? zstdDecompressSync(wire) : wire;
  return {
    status: message.statusCode ?? 0,
    headers: message.headers,
    body,
    wire,
    text: () => body.toString('utf8'),
    json: () => JSON.parse(body.toString('utf8')) as unknown,
  };
}
