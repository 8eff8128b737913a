/**
 * The bridge to everything that speaks the web's own `Request` and `Response`: `(request, info) => Promise<Response>`. Streams both ways.
 * Needs no framework at run time.
 */
import { portalUser, type Handler, type PortalUser } from '../express/exchange.ts';
import { trustedProxies, type IsTrustedProxy } from '../express/trusted-proxies.ts';
import { below, mountPathOption } from '../mount-path.ts';
import { httpRequestOf, httpVersionOf, peerOf, type FetchPlace, type FetchRequest } from './request.ts';
import { endUnread, responseOf } from './response.ts';

export type { FetchRequest };

export interface FetchSyncOptions {
  /** The path below which the core answers: `/anki`. Default: everywhere. */
  mountPath?: string;
  /**
   * Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses, networks (`10.0.0.0/8`), `loopback`, `linklocal`, `uniquelocal`.
   * Default: none.
   */
  trustedProxies?: readonly string[];
  /**
   * The address that the connection came from, where the runtime does not tell it as Node's adapters (`info.incoming`), Deno
   * (`info.remoteAddr`) and Bun (`info.requestIP`) do. Default: what they tell.
   */
  clientAddress?(request: FetchRequest, info: any): string | undefined;
  /**
   * Who is signed in to your application, by login name: that person needs no other sign-in for the account page. Undefined: nobody. May answer a
   * promise. Trust your session alone here, and no header: `(request) => sessions.get(request)?.loginName`.
   */
  signedInUser?: (request: any, info: any) => PortalUser;
}

export type FetchHandler = (request: FetchRequest, info?: unknown) => Promise<Response>;

/**
 * `Deno.serve(fetchSync(server))`, `export default { fetch: fetchSync(server, { mountPath: '/anki' }) }`, a route of a framework that takes
 * such handlers, or Node with `serve` of @hono/node-server.
 *
 * What is not below `mountPath`, and what the core does not know, is answered 404. Rejects for a defect of the core alone.
 *
 * @throws TypeError for a `mountPath` that is none, or an entry of `trustedProxies` that is no address
 */
export function fetchSync(server: Handler, options: FetchSyncOptions = {}): FetchHandler {
  const mountPath = mountPathOption(options.mountPath);
  const answer = fetchExchange(server, options);
  const { signedInUser } = options;
  return async (request, info) => {
    const url = below(mountPath, pathOf(request));
    if (url === undefined) return new Response('PATH_UNKNOWN: nothing here', { status: 404 });
    const peer = options.clientAddress === undefined ? peerOf(request, info) : options.clientAddress(request, info);
    const user = signedInUser && (await portalUser(() => signedInUser(request, info)));
    const exchanged = await answer(request, info, { url, mountPath, peer, ...user });
    return exchanged.response();
  };
}

export interface FetchExchange {
  status: number;
  /** Made once, and only if it is sent: nothing of the request was touched before where the core did not know the path. */
  response(): Response;
}

/** For bridges that pass on what is not the core's. */
export function fetchExchange(
  server: Handler,
  options: Pick<FetchSyncOptions, 'trustedProxies'>,
): (request: FetchRequest, info: unknown, place: FetchPlace) => Promise<FetchExchange> {
  const isTrusted: IsTrustedProxy | undefined = options.trustedProxies === undefined ? undefined : trustedProxies(options.trustedProxies);
  return async (request, info, place) => {
    const http = httpRequestOf(request, { ...place, httpVersion: httpVersionOf(info) }, isTrusted);
    const answer = await server.handle(http);
    return {
      status: answer.status,
      response() {
        endUnread(info);
        return responseOf(answer, { method: request.method, body: http.body, gone: request.signal });
      },
    };
  };
}

/** Path and query of a request. */
export function pathOf({ url }: FetchRequest): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}
