/** The envelope of versions 8-10: a multipart form, or, to begin a media sync, a query. */
import { SyncError } from '../errors.ts';
import { headerOf, type HttpRequest } from '../http.ts';
import { limitsOf } from './body-limits.ts';
import { openBody } from './body-source.ts';
import type { SpooledData } from './form-spool.ts';
import { methodSpec, type MethodRoute, type MethodSpec } from './methods.ts';
import { MultipartReader } from './multipart.ts';
import type { FormRoom, PackedBody, Packing, SyncRequest } from './request.ts';
import { MULTIPART_SYNC_VERSION } from './version.ts';

/** `c`: "0" or missing when the data is not packed with gzip. `v`: the client, sometimes. */
interface Fields {
  c?: string;
  hostKey?: string;
  s?: string;
  v?: string;
}

const FIELDS: Readonly<Record<string, keyof Fields>> = { c: 'c', k: 'hostKey', sk: 'hostKey', s: 's', v: 'v' };

/**
 * Reads a form. Its data streams where the keys came before it, as from 2.1.26 and AnkiDroid; 2.1.28 to 2.1.56 send the keys
 * last, and then it waits in the spool.
 */
export async function openForm(http: HttpRequest, route: MethodRoute, boundary: string, { spool, limits }: FormRoom): Promise<SyncRequest> {
  const spec = methodSpec(route);
  const { maxPackedBytes } = limitsOf(spec.bodyClass, limits);
  const source = openBody({ bytes: http.body, contentLength: undefined }, Infinity);
  const reader = new MultipartReader(source, boundary);
  const fields: Fields = {};
  let data: SpooledData | undefined;
  try {
    for (let part = await reader.nextPart(); part !== null; part = await reader.nextPart()) {
      if (part === 'data') {
        if (data !== undefined) throw twice(part);
        if (mayStream(spec, fields)) {
          const request = requestOf(http, route, fields, await streamed(reader, fields, spec));
          // who is refused before anything was read of it has to find the connection free for the next request all the same
          return { ...request, release: async () => source.discard() };
        }
        data = await spool.take(() => reader.data(), { address: http.clientAddress, maxBytes: maxPackedBytes });
      } else {
        const value = await reader.field();
        const name = Object.hasOwn(FIELDS, part) ? FIELDS[part] : undefined;
        if (name === undefined) continue;
        if (fields[name] !== undefined) throw twice(part);
        fields[name] = value;
      }
    }
  } catch (error) {
    await data?.release();
    source.discard();
    throw error;
  }
  const request = requestOf(http, route, fields, spooled(data, fields, spec));
  return data === undefined ? request : { ...request, release: () => data.release() };
}

/**
 * `GET /msync/begin?k=…&v=…`, from 2.1.56 and older. The query holds the host key: the URL must reach no log.
 * Without `v` the answer is the one to a client that does not tell its version.
 */
export function openBeginQuery(http: HttpRequest, route: MethodRoute): SyncRequest {
  const query = new URLSearchParams(http.url.slice(http.url.indexOf('?') + 1));
  const fields: Fields = { v: query.get('v') ?? '' };
  const hostKey = query.get('k') ?? query.get('sk');
  if (hostKey !== null) fields.hostKey = hostKey;
  return requestOf(http, route, fields, plain('{}'));
}

function requestOf(http: HttpRequest, route: MethodRoute, fields: Fields, body: PackedBody): SyncRequest {
  return {
    ...route,
    spec: methodSpec(route),
    version: MULTIPART_SYNC_VERSION,
    hostKey: fields.hostKey ?? '',
    sessionKey: fields.s ?? '',
    client: fields.v ?? headerOf(http, 'user-agent') ?? '',
    // clients below 2.1.57 tell their version beside the data
    body: route.method === 'begin' && fields.v !== undefined ? plain(JSON.stringify({ v: fields.v })) : body,
  };
}

function mayStream(spec: MethodSpec, fields: Fields): boolean {
  const complete = fields.hostKey !== undefined && fields.c !== undefined && (fields.s !== undefined || !spec.needsSessionKey);
  return complete && spec.bodyClass !== 'small';
}

function packingOf(fields: Fields): Packing {
  return fields.c === undefined || fields.c === '0' ? 'none' : 'gzip';
}

async function streamed(reader: MultipartReader, fields: Fields, spec: MethodSpec): Promise<PackedBody> {
  let first = await reader.data();
  if (first === null) await end(reader);
  if (first === null) return empty(spec);
  const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    const piece = first ?? (await reader.data());
    first = null;
    if (piece !== null) return { done: false, value: piece };
    await end(reader);
    return { done: true, value: undefined };
  };
  const bytes = { [Symbol.asyncIterator]: (): AsyncIterator<Uint8Array> => ({ next }) };
  return { bytes, contentLength: undefined, packing: packingOf(fields) };
}

/** Whatever comes after streamed data must not matter any more. */
async function end(reader: MultipartReader): Promise<void> {
  for (let part = await reader.nextPart(); part !== null; part = await reader.nextPart()) {
    if (part === 'data' || Object.hasOwn(FIELDS, part)) throw twice(part);
    await reader.field();
  }
}

function spooled(data: SpooledData | undefined, fields: Fields, spec: MethodSpec): PackedBody {
  if (data === undefined || data.bytes === 0) return empty(spec);
  // whoever reads it finds it too large, and says so in the method's own words
  if (data.tooLarge) return { bytes: null, contentLength: Infinity, packing: 'none' };
  return { bytes: data.read(), contentLength: data.bytes, packing: packingOf(fields) };
}

/** AnkiDroid leaves `data` out where a method has no input. */
function empty(spec: MethodSpec): PackedBody {
  return spec.input === 'bytes' ? { bytes: null, contentLength: undefined, packing: 'none' } : plain('{}');
}

function plain(json: string): PackedBody {
  const bytes = Buffer.from(json);
  return { bytes: only(bytes), contentLength: bytes.length, packing: 'none' };
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function twice(part: string): SyncError {
  return new SyncError('BODY_INVALID', `${JSON.stringify(part.slice(0, 20))} comes twice in the form, or too late`);
}
