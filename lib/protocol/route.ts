/** Path and HTTP method → what is asked for. */
import { SyncError } from '../errors.ts';
import { isMediaMethod, isSyncMethod, MEDIA_METHODS, SYNC_METHODS, type MediaMethod, type MethodRoute, type SyncMethod } from './methods.ts';

export type Route = MethodRoute | { kind: 'health' } | { kind: 'ready' } | { kind: 'landing' } | { kind: 'doctor' } | { kind: 'account'; path: string[] };

/**
 * `url` is path and query with the mount path stripped. The last two segments decide, so that what users mistype works:
 * doubled slashes, a slash at the end, `/msync` entered as the media URL (`/msync/msync/begin`), a proxy that keeps its prefix.
 *
 * AnkiDroid before 2.16 has a media URL of its own, to which it appends the method alone: `/begin` when it lacks `/msync/`,
 * `/msyncbegin` from versions that do not mind a missing slash.
 *
 * Throws METHOD_UNKNOWN (400), PATH_UNKNOWN (404) or HTTP_METHOD_WRONG (405), as the official server answers, with a
 * `detail` for the log that names the likely wrong setting.
 */
export function routeOf(httpMethod: string, url: string): Route {
  const usual = httpMethod === 'POST' ? USUAL.get(url) : undefined;
  if (usual !== undefined) return usual;
  const reads = httpMethod === 'GET' || httpMethod === 'HEAD';
  const segments = segmentsOf(url);
  const last = segments.at(-1);
  const mediaMethod = last?.startsWith('msync') ? last.slice('msync'.length) : last;
  const bareMedia = mediaMethod !== undefined && isMediaMethod(mediaMethod) && (mediaMethod !== last || segments.length === 1);
  const family = bareMedia ? 'msync' : segments.at(-2);
  const name = bareMedia ? mediaMethod : last;

  if (name !== undefined && (family === 'sync' || family === 'msync')) {
    // 2.1.56 and older begin a media sync by GET, with `k` and `v` in the query
    if (httpMethod === 'GET' && family === 'msync' && name === 'begin' && /[?&]s?k=/.test(url)) return { kind: 'media', method: name };
    if (httpMethod !== 'POST') throw new SyncError('HTTP_METHOD_WRONG', 'sync methods are sent by POST', { detail: redirectHint(reads) });
    if (family === 'sync' && isSyncMethod(name)) return { kind: 'sync', method: name };
    if (family === 'msync' && isMediaMethod(name)) return { kind: 'media', method: name };
    if (name === 'doctor') return { kind: 'doctor' };
    throw new SyncError('METHOD_UNKNOWN', `no such method of /${family}`);
  }
  // after the methods: people enter the address of their account page in Anki
  if (segments[0] === 'account') return { kind: 'account', path: segments.slice(1) };
  if (reads && segments.length === 0) return { kind: 'landing' };
  if (reads && segments.length === 1 && (name === 'health' || name === 'ready')) return { kind: name };
  throw new SyncError('PATH_UNKNOWN', 'nothing here', { detail: pathHint(name) });
}

/** What clients ask for where nobody mistyped anything. */
const USUAL: ReadonlyMap<string, MethodRoute> = new Map<string, MethodRoute>([
  ...Object.keys(SYNC_METHODS).map((method) => [`/sync/${method}`, { kind: 'sync', method: method as SyncMethod }] as const),
  ...Object.keys(MEDIA_METHODS).map((method) => [`/msync/${method}`, { kind: 'media', method: method as MediaMethod }] as const),
]);

function segmentsOf(url: string): string[] {
  const path = url.split(/[?#]/, 1)[0] ?? '';
  const segments = path.split('/').filter((segment) => segment !== '');
  try {
    return segments.map(decodeURIComponent);
  } catch {
    return segments;
  }
}

/** A client that is redirected from http:// to https:// sends the same request again as a GET without a body. */
function redirectHint(reads: boolean): string | undefined {
  return reads ? 'the client was probably redirected: enter the https:// URL in its settings' : undefined;
}

function pathHint(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  if (name === 'sync' || name === 'msync') return 'the client sent no method: is the URL in its settings complete?';
  if (isMediaMethod(name)) return 'the media URL in the client lacks /msync/';
  if (isSyncMethod(name)) return 'the URL in the client lacks /sync/';
  return undefined;
}
