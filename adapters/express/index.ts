/**
 * The bridge to Express 4 and 5, connect and plain node:http: `(req, res, next)` to the core's request and response values.
 * Needs none of the three at run time.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { HttpRequest, HttpResponse } from '../../lib/http.ts';
import { drained } from './drain.ts';
import { bodyOf } from './request-body.ts';
import { forwardedAddress, forwardedScheme, trustedProxies, type IsTrustedProxy } from './trusted-proxies.ts';

/** Clients give up after 30 seconds without a byte. */
const UNREAD_MILLIS = 120_000;

/** What of a SyncServer the bridge uses. */
export interface Handler {
  handle(request: HttpRequest): Promise<HttpResponse>;
}

/** node:http's request, with what Express or connect may have added. */
export type MountedRequest = IncomingMessage & {
  baseUrl?: string | undefined;
  originalUrl?: string | undefined;
  ip?: string | undefined;
  protocol?: string | undefined;
};

export interface ExpressSyncOptions {
  /**
   * Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses, networks (`10.0.0.0/8`), `loopback`, `linklocal`, `uniquelocal`.
   * Default: what the framework says, and without one the address of the connection.
   */
  trustedProxies?: readonly string[];
}

export type ExpressHandler = (req: MountedRequest, res: ServerResponse, next?: (error?: unknown) => void) => void;

/**
 * `app.use('/anki', expressSync(server))`, at any path or none, also under a Router; or `http.createServer(expressSync(server))`.
 *
 * A path that the core does not know (404) goes on to `next()`, if there is one; everything else is answered here.
 * The address and scheme of the client are `req.ip` and `req.protocol`, so Express's "trust proxy" setting rules them; in connect and plain
 * node:http, which have none, the option `trustedProxies` does.
 *
 * @throws TypeError for an entry of `trustedProxies` that is no address
 */
export function expressSync(server: Handler, options: ExpressSyncOptions = {}): ExpressHandler {
  const isTrusted = options.trustedProxies === undefined ? undefined : trustedProxies(options.trustedProxies);
  return (req, res, next) => {
    const gone = new AbortController();
    res.once('close', () => {
      if (!res.writableFinished) gone.abort();
    });
    server.handle(requestOf(req, gone.signal, isTrusted)).then(
      (response) => {
        if (response.status === 404 && next !== undefined) next();
        else return answer(req, res, response);
      },
    ).catch((error: unknown) => {
      // the core answers its own errors, so this is a defect: let the application's error handler tell of it
      if (next !== undefined && !res.headersSent) next(error);
      else res.destroy();
    });
  };
}

function requestOf(req: MountedRequest, signal: AbortSignal, isTrusted: IsTrustedProxy | undefined): HttpRequest {
  const clientAddress = isTrusted === undefined ? (req.ip ?? req.socket.remoteAddress) : forwardedAddress(req, isTrusted);
  const protocol = (isTrusted === undefined ? undefined : forwardedScheme(req, isTrusted)) ?? req.protocol;
  return {
    method: req.method ?? 'GET',
    url: req.url ?? '/',
    mountPath: mountPathOf(req),
    headers: req.headers,
    body: bodyOf(req),
    ...(clientAddress === undefined ? {} : { clientAddress }),
    scheme: (protocol ?? ('encrypted' in req.socket ? 'https' : 'http')) === 'https' ? 'https' : 'http',
    signal,
  };
}

/** Express says it; connect only keeps the URL it began with, of which `req.url` is the end; plain node:http has no mounts. */
function mountPathOf(req: MountedRequest): string {
  if (req.baseUrl !== undefined) return req.baseUrl;
  const whole = pathOf(req.originalUrl ?? req.url ?? '/');
  const rest = pathOf(req.url ?? '/');
  const mount = whole.endsWith(rest) ? whole.slice(0, -rest.length) : rest === '/' ? whole : '';
  return mount.endsWith('/') ? mount.slice(0, -1) : mount;
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

async function answer(req: IncomingMessage, res: ServerResponse, { status, headers, body }: HttpResponse): Promise<void> {
  // a sync is a chain of small exchanges: waiting for more bytes to fill a packet only delays it
  res.socket?.setNoDelay(true);
  // nobody takes the answer: its file and its place must not wait for ever
  res.setTimeout(UNREAD_MILLIS, () => res.destroy());
  if (!(body instanceof Uint8Array)) {
    // where node:http itself refused what came behind the request, the response never closes, and a pipeline alone would wait for ever
    const { socket } = req;
    const gone = (): void => void endOf(body).catch(() => {});
    if (res.destroyed || socket.destroyed) {
      gone();
      return;
    }
    socket.once('close', gone);
    res.writeHead(status, headers);
    // ends the source also when the client goes; then there is nobody left to tell
    await pipeline(body, res).catch(() => {});
    socket.off('close', gone);
    req.resume();
    return;
  }
  if (res.destroyed) return;
  res.writeHead(status, { ...headers, 'content-length': body.byteLength });
  if (req.complete) {
    // head and body in one write leave in one segment
    res.end(body);
    req.resume();
    return;
  }
  // with its length known, the answer is whole for the client before it has sent the rest
  res.write(body);
  const { socket } = req;
  const reusable = await drained(req);
  res.end();
  if (!reusable) socket.destroySoon();
}

/** Lets a body go that nobody will read: its file, and its place among the requests on the way. */
async function endOf(body: AsyncIterable<Uint8Array>): Promise<void> {
  if (body instanceof Readable) body.destroy();
  else await body[Symbol.asyncIterator]().return?.();
}
