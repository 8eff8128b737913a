/** The envelope of a request: who asks, in which version, and where its body comes from. */
import { SyncError } from '../errors.ts';
import { headerOf, type ByteSource, type HttpRequest } from '../http.ts';
import { openBeginQuery, openForm } from './form-request.ts';
import type { FormSpool } from './form-spool.ts';
import type { BodyLimits } from './body-limits.ts';
import { methodSpec, type MethodRoute, type MethodSpec } from './methods.ts';
import { boundaryOf } from './multipart.ts';
import { isSyncVersion, type SyncVersion } from './version.ts';

export type Packing = 'zstd' | 'gzip' | 'none';

/** Bytes that are still on the wire, or wait in the spool. */
export interface PackedBody {
  bytes: ByteSource | null;
  /** Default zstd. */
  packing?: Packing;
  /** Of the bytes on the wire, where the client or a proxy says so; Anki's clients send chunks without it. */
  contentLength: number | undefined;
}

export type SyncRequest = MethodRoute & {
  readonly spec: MethodSpec;
  readonly version: SyncVersion;
  /** Empty on login. */
  readonly hostKey: string;
  /** Names one running normal sync; may be empty where no session is needed. */
  readonly sessionKey: string;
  /** As the client describes itself: `anki,26.09.3 (hash),lin:…`. Text from outside: quote it in logs. */
  readonly client: string;
  readonly body: PackedBody;
  /** Called when the request is answered: the body may have waited in a file. */
  readonly release?: () => Promise<void>;
  /** Of the body, unpacked, once it was read. */
  receivedBytes?: number;
  /** Of the answer, unpacked. */
  sentBytes?: number;
  /** The client's counts differ from ours: it will sync one way. */
  sanityFailed?: boolean;
  /** Objects of the collection, or media files, that came and went. */
  moved?: { up: number; down: number };
};

/** What forms need, which carry their keys in the body. */
export interface FormRoom {
  spool: FormSpool;
  limits: BodyLimits;
}

export interface SyncHeader {
  version: SyncVersion;
  hostKey: string;
  sessionKey: string;
  client: string;
}

/**
 * Reads the envelope. Of version 11 it leaves the body untouched, so that a request without a valid key costs nothing; forms
 * of versions 8-10 are read up to their data, or to the end when the host key comes after it.
 *
 * Throws SYNC_HEADER_INVALID, SYNC_VERSION_UNSUPPORTED (400), and for forms BODY_INVALID, BODY_TRUNCATED, BODY_TRAILING_DATA
 * (400), BODY_TOO_LARGE (413), BUSY, DISK_FULL (503), ClientGone.
 */
export async function openSyncRequest(http: HttpRequest, route: MethodRoute, forms: FormRoom): Promise<SyncRequest> {
  const text = headerOf(http, 'anki-sync');
  if (text === undefined) {
    if (http.method === 'GET') return openBeginQuery(http, route);
    const boundary = boundaryOf(headerOf(http, 'content-type') ?? '');
    if (boundary !== null) return openForm(http, route, boundary, forms);
    throw new SyncError('SYNC_HEADER_INVALID', 'not a sync request: the anki-sync header is missing', {
      detail: 'a proxy that drops unknown headers, or not an Anki client',
    });
  }
  const length = headerOf(http, 'content-length');
  return {
    ...route,
    spec: methodSpec(route),
    ...parseSyncHeader(text),
    body: { bytes: http.body, contentLength: length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined },
  };
}

/** The value of `anki-sync`: `{"v":11,"k":hostKey,"c":client,"s":sessionKey}`, all four required; other keys are ignored. */
export function parseSyncHeader(text: string): SyncHeader {
  let header: { v?: unknown; k?: unknown; c?: unknown; s?: unknown } | null = null;
  // clients escape whatever is not ASCII; the official server refuses raw bytes here
  if (/^[\t\x20-\x7e]*$/.test(text)) {
    try {
      header = JSON.parse(text);
    } catch {
      // the text holds a key: neither it nor the parser's message, which quotes it, may reach a log
    }
  }
  if (typeof header !== 'object' || header === null) throw new SyncError('SYNC_HEADER_INVALID', 'the anki-sync header is not a JSON object');
  const { v, k, c, s } = header;
  if (typeof v !== 'number' || !Number.isInteger(v)) throw new SyncError('SYNC_HEADER_INVALID', 'v of the anki-sync header is not an integer');
  const hostKey = requireText('k', k);
  const client = requireText('c', c);
  const sessionKey = requireText('s', s);
  if (!isSyncVersion(v)) throw new SyncError('SYNC_VERSION_UNSUPPORTED', `unsupported sync version: ${v}`);
  return { version: v, hostKey, client, sessionKey };
}

function requireText(name: string, value: unknown): string {
  if (typeof value === 'string' && value.isWellFormed()) return value;
  throw new SyncError('SYNC_HEADER_INVALID', `${name} of the anki-sync header is not a string`);
}

/** Called before the key is looked up. The words are the official server's. */
export function requireHostKey(request: SyncRequest): void {
  if (request.spec.needsHostKey && request.hostKey === '') throw new SyncError('AUTH_EXPECTED', 'expected auth');
}

/** Called once the user is known: a wrong key comes before a missing session, as in the official server. */
export function requireSessionKey(request: SyncRequest): void {
  if (request.spec.needsSessionKey && request.sessionKey === '') throw new SyncError('SESSION_KEY_MISSING', 'missing skey');
}
