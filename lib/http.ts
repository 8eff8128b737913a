/** The request and response values that adapters and the core exchange: plain data and byte streams, no framework. */

export interface HttpRequest {
  method: string;
  /** Path and query as the core should see it, the mount path already stripped: `/sync/meta`. */
  url: string;
  /** The path the core is mounted at, as the client sees it, without a trailing slash: `/anki` or ``. Only used to show URLs. */
  mountPath?: string;
  /** Lower-case names. */
  headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Raw bytes of the body, read once; a stream that fails means the client went away. */
  body: ByteSource | null;
  /** `1.1`, where the adapter knows it. Only told to whoever examines a deployment. */
  httpVersion?: string;
  /** For the log and rate limits; already resolved by the adapter from whatever proxy it trusts. */
  clientAddress?: string;
  /** `https` or `http`, as the client sees it. Only used to show URLs. */
  scheme?: 'http' | 'https';
  /** Who is signed in to the application around us, by login name: opens the account page without another sign-in. Never a client's own word. */
  signedInUser?: string;
  /** Aborted when the client's connection is gone. */
  signal?: AbortSignal;
}

/** Bytes as they come. */
export interface ByteSource extends AsyncIterable<Uint8Array> {
  /** All of them, if they came together with the head: a small body then costs no stream. Asked before any was read, and once. */
  arrived?(): Promise<Uint8Array | undefined>;
}

export interface HttpResponse {
  status: number;
  headers: Record<string, string>;
  /** Whole bytes, or a stream that the adapter pipes with back-pressure and destroys when the client goes away. */
  body: Uint8Array | AsyncIterable<Uint8Array>;
}

/** First value of a header, or undefined. */
export function headerOf(request: HttpRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : value?.[0];
}
