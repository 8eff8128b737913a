/** The bridge to Hono, on Node and elsewhere: `(c, next)` to the core's request and response values. Needs no Hono at run time, nor its types. */
import { portalUser, type Handler, type PortalUser } from '../express/exchange.ts';
import { fetchExchange, pathOf } from '../fetch/index.ts';
import { peerOf, type FetchRequest } from '../fetch/request.ts';
import { below, coveredBy, mountPathOption } from '../mount-path.ts';

/** What of Hono's context the bridge uses. */
export interface HonoContext {
  req: { raw: FetchRequest; routePath?: string };
  env: any;
}

export interface HonoSyncOptions {
  /** The path below which the core answers: `/anki`. Default: that of the route, up to its wildcard. */
  mountPath?: string;
  /**
   * Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses, networks (`10.0.0.0/8`), `loopback`, `linklocal`, `uniquelocal`.
   * Default: none.
   */
  trustedProxies?: readonly string[];
  /** The address that the connection came from. Default: what Node, Deno and Bun tell by `c.env`. */
  clientAddress?: (c: any) => string | undefined;
  /**
   * Who is signed in to your application, by login name: that person needs no other sign-in for the account page. Undefined: nobody. May answer a
   * promise. Trust your session alone here, and no header: `(c) => c.get('user')?.loginName`.
   */
  signedInUser?: (c: any) => PortalUser;
}

export type HonoHandler = (c: HonoContext, next: () => Promise<void>) => Promise<Response | void>;

/**
 * `app.all('/anki/*', honoSync(server))`, also in an application that is mounted in another by `route`.
 *
 * A path that the core does not know (404) goes on to `next()`; everything else is answered here.
 *
 * @throws TypeError for a `mountPath` that is none, or an entry of `trustedProxies` that is no address
 */
export function honoSync(server: Handler, options: HonoSyncOptions = {}): HonoHandler {
  const fixed = options.mountPath === undefined ? undefined : mountPathOption(options.mountPath);
  const answer = fetchExchange(server, options);
  const { signedInUser } = options;
  return async (c, next) => {
    const request = c.req.raw;
    const whole = pathOf(request);
    const mountPath = fixed ?? coveredBy(c.req.routePath ?? '', whole);
    const url = below(mountPath, whole);
    if (url === undefined) return next();
    const peer = options.clientAddress === undefined ? peerOf(request, c.env) : options.clientAddress(c);
    const user = signedInUser && (await portalUser(() => signedInUser(c)));
    const exchanged = await answer(request, c.env, { url, mountPath, peer, ...user });
    if (exchanged.status === 404) return next();
    return exchanged.response();
  };
}
