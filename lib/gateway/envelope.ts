/** A request of ours → the same for the server behind, with its key in place of ours. */
import { randomBytes } from 'node:crypto';
import { headerOf, type HttpRequest } from '../http.ts';
import type { SyncRequest } from '../protocol/request.ts';
import { SYNC_VERSION_MAX } from '../protocol/version.ts';

export interface Envelope {
  headers: Record<string, string>;
  body: AsyncIterable<Uint8Array>;
}

/**
 * The body stays as it is, packed as it came. Clients of versions 8 to 10 sent a form, whose fields are written anew before the data.
 * `key`: at the server behind.
 */
export function envelopeOf(request: SyncRequest, http: HttpRequest, key: string, body: AsyncIterable<Uint8Array>): Envelope {
  const headers: Record<string, string> = {};
  const agent = headerOf(http, 'user-agent');
  if (agent !== undefined) headers['user-agent'] = agent;
  if (http.clientAddress !== undefined) headers['x-forwarded-for'] = http.clientAddress;
  if (headerOf(http, 'anki-sync') === undefined) return formOf(request, key, headers, body);
  headers['anki-sync'] = syncHeader({ version: request.version, key, client: request.client, sessionKey: request.sessionKey });
  headers['content-type'] = headerOf(http, 'content-type') ?? 'application/octet-stream';
  if (request.body.contentLength !== undefined) headers['content-length'] = String(request.body.contentLength);
  return { headers, body };
}

/** As clients write it: whatever is not ASCII is escaped. */
export function syncHeader({ version = SYNC_VERSION_MAX, key, client, sessionKey = '' }: { version?: number; key: string; client: string; sessionKey?: string }): string {
  return JSON.stringify({ v: version, k: key, c: client, s: sessionKey })
    .replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function formOf(request: SyncRequest, key: string, headers: Record<string, string>, data: AsyncIterable<Uint8Array>): Envelope {
  const boundary = `anki-sync-${randomBytes(16).toString('hex')}`;
  const field = (name: string, value: string): string => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const packing = request.body.packing === 'gzip' ? '1' : '0';
  // without line ends there is no way out of a field; session keys have none
  const session = /[\r\n]/.test(request.sessionKey) ? '' : request.sessionKey;
  const head = `${field('c', packing)}${field('k', key)}${field('s', session)}--${boundary}\r\nContent-Disposition: form-data; name="data"; filename="data"\r\n`
    + 'Content-Type: application/octet-stream\r\n\r\n';
  return {
    headers: { ...headers, 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: joined(Buffer.from(head), data, Buffer.from(`\r\n--${boundary}--\r\n`)),
  };
}

async function* joined(head: Uint8Array, data: AsyncIterable<Uint8Array>, tail: Uint8Array): AsyncGenerator<Uint8Array> {
  yield head;
  yield* data;
  yield tail;
}
