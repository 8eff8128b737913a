/** A fetch request, of whatever runtime, as the core's value. */
import type { HttpRequest } from '../../lib/http.ts';
import { forwardedAddress, forwardedScheme, type IsTrustedProxy } from '../express/trusted-proxies.ts';
import { FetchBody } from './request-body.ts';

/** What of a `Request` is used: Node's own, Deno's and Bun's have it. */
export interface FetchRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: { forEach(each: (value: string, name: string) => void): void };
  readonly body: FetchBodyStream | null;
  readonly bodyUsed: boolean;
  readonly signal: AbortSignal;
}

export interface FetchBodyStream {
  readonly locked: boolean;
  getReader(): FetchBodyReader;
}

export interface FetchBodyReader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

/** What runtimes hand over beside the request: Node's adapters the pair of node:http, Deno an address, Bun its server. */
interface Info {
  incoming?: { httpVersion?: unknown; socket?: { remoteAddress?: string | undefined } };
  remoteAddr?: { hostname?: string };
  requestIP?(request: FetchRequest): { address: string } | null;
}

/** The address of the connection, where `info` tells it. */
export function peerOf(request: FetchRequest, info: unknown): string | undefined {
  if (typeof info !== 'object' || info === null) return undefined;
  const { incoming, remoteAddr } = info as Info;
  return incoming?.socket?.remoteAddress ?? remoteAddr?.hostname ?? (info as Info).requestIP?.(request)?.address;
}

/** Node's adapters alone tell it: a `Request` has none. */
export function httpVersionOf(info: unknown): string | undefined {
  const version = (info as Info | null | undefined)?.incoming?.httpVersion;
  return typeof version === 'string' ? version : undefined;
}

/** What the application knows of a request beside itself. */
export interface FetchPlace {
  /** Path and query below the mount. */
  url: string;
  /** As it stands in the URL. */
  mountPath: string;
  /** The address that the connection came from. */
  peer: string | undefined;
  httpVersion?: string | undefined;
  signedInUser?: string;
}

export function httpRequestOf(
  request: FetchRequest,
  place: FetchPlace,
  isTrusted: IsTrustedProxy | undefined,
): HttpRequest & { body: FetchBody | null } {
  const { url, mountPath, peer, httpVersion, signedInUser } = place;
  const headers: Record<string, string> = {};
  request.headers.forEach((value, name) => (headers[name.toLowerCase()] = value));
  const forwarded = { headers, socket: { remoteAddress: peer } };
  const clientAddress = isTrusted === undefined ? peer : forwardedAddress(forwarded, isTrusted);
  const scheme = isTrusted === undefined ? undefined : forwardedScheme(forwarded, isTrusted);
  return {
    method: request.method,
    url,
    mountPath,
    ...(httpVersion === undefined ? {} : { httpVersion }),
    headers,
    body: request.method === 'GET' || request.method === 'HEAD' ? null : new FetchBody(request),
    ...(clientAddress === undefined ? {} : { clientAddress }),
    scheme: scheme ?? (request.url.startsWith('https:') ? 'https' : 'http'),
    ...(signedInUser === undefined ? {} : { signedInUser }),
    signal: request.signal,
  };
}
