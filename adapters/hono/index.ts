/** The bridge to Hono, on Node and elsewhere: `(c, next)` to the core's request and response values. Needs no Hono at run time, nor its types. */
import { fetchExchange, pathOf, type FetchRequest, type FetchSyncOptions } from '../fetch/index.ts';
import type { Handler } from '../express/exchange.ts';
import { below, coveredBy, mountPathOption } from '../mount-path.ts';

/** What of Hono's context the bridge uses. */
export interface HonoContext {
  req: { raw: FetchRequest; routePath?: string };
  env: any;
}

export interface HonoSyncOptions extends FetchSyncOptions {
  /** The path below which the core answers: `/anki`. Default: that of the route, up to its wildcard. */
  mountPath?: string;
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
  return async (c, next) => {
    const request = c.req.raw;
    const whole = pathOf(request);
    const mountPath = fixed ?? coveredBy(c.req.routePath ?? '', whole);
    const url = below(mountPath, whole);
    const exchanged = url === undefined ? undefined : await answer(request, c.env, { url, mountPath });
    if (exchanged === undefined || exchanged.status === 404) return next();
    return exchanged.response();
  };
}
