/** The bridge to Koa: `(ctx, next)` to the core's request and response values. Needs no Koa at run time, nor its types. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { clientOf, exchange, portalUser, type Handler, type PortalUser } from '../express/exchange.ts';
import { trustedProxies } from '../express/trusted-proxies.ts';
import { below, mountPathOption } from '../mount-path.ts';

/** What of Koa's context the bridge uses. */
export interface KoaContext {
  req: IncomingMessage;
  res: ServerResponse;
  /** What is left of it below koa-mount. */
  url: string;
  originalUrl: string;
  ip?: string;
  protocol?: string;
  respond?: boolean | undefined;
}

export interface KoaSyncOptions {
  /** The path below which the core answers: `/anki`. Default: everywhere, or where koa-mount put it. */
  mountPath?: string;
  /**
   * Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses, networks (`10.0.0.0/8`), `loopback`, `linklocal`, `uniquelocal`.
   * Default: what Koa says (`app.proxy`).
   */
  trustedProxies?: readonly string[];
  /**
   * Who is signed in to your application, by login name: that person needs no other sign-in for the account page. Undefined: nobody. May answer a
   * promise. Trust your session alone here, and no header: `(ctx) => ctx.state.user?.loginName`.
   */
  signedInUser?: (ctx: any) => PortalUser;
}

/** Of any context: one that is told here would become that of everything behind it in `app.use(…).use(…)`. */
export type KoaMiddleware = (ctx: any, next: () => Promise<any>) => Promise<void>;

/**
 * `app.use(koaSync(server, { mountPath: '/anki' }))`, or `app.use(mount('/anki', koaSync(server)))` with koa-mount.
 *
 * A path that the core does not know (404) goes on to `next()`; everything else is answered here, past Koa's own response, so that what
 * compresses or rewrites `ctx.body` leaves it alone. Resolves once the answer has left.
 *
 * @throws TypeError for a `mountPath` that is none, or an entry of `trustedProxies` that is no address
 */
export function koaSync(server: Handler, options: KoaSyncOptions = {}): KoaMiddleware {
  const mountPath = mountPathOption(options.mountPath);
  const isTrusted = options.trustedProxies === undefined ? undefined : trustedProxies(options.trustedProxies);
  const { signedInUser } = options;
  return async (ctx: KoaContext, next) => {
    const url = below(mountPath, ctx.url);
    if (url !== undefined) {
      const user = signedInUser && (await portalUser(() => signedInUser(ctx)));
      const place = { url, mountPath: takenBefore(ctx) + mountPath, ...clientOf(ctx.req, ctx, isTrusted), ...user };
      if (await exchange(server, ctx.req, ctx.res, place, true)) {
        ctx.respond = false;
        return;
      }
    }
    await next();
  };
}

/** What koa-mount took off the front of the path. */
function takenBefore({ originalUrl, url }: KoaContext): string {
  const [whole = '', rest = ''] = [originalUrl, url].map((each) => each.split('?', 1)[0]);
  const before = whole.endsWith(rest) ? whole.slice(0, -rest.length) : rest === '/' ? whole : '';
  return before.replace(/\/$/, '');
}
