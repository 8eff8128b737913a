/**
 * The bridge to Express 4 and 5, connect and plain node:http: `(req, res, next)` to the core's request and response values.
 * Needs none of the three at run time.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { clientOf, exchange, portalUser, type Handler, type Place, type PortalUser } from './exchange.ts';
import { trustedProxies, type IsTrustedProxy } from './trusted-proxies.ts';

export type { Handler };

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
  /**
   * Who is signed in to your application, by login name: that person needs no other sign-in for the account page. Undefined: nobody. May answer a
   * promise. Trust your session alone here, and no header: `(req) => req.user?.loginName`, behind `passport.session()`.
   */
  signedInUser?: (req: any) => PortalUser;
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
  const { signedInUser } = options;
  return (req, res, next) => {
    const place = placeOf(req, isTrusted);
    const passesOn = next !== undefined;
    const answered = signedInUser === undefined
      ? exchange(server, req, res, place, passesOn)
      : portalUser(() => signedInUser(req)).then((user) => exchange(server, req, res, { ...place, ...user }, passesOn));
    answered.then((ours) => {
      if (!ours) next!();
    }).catch((error: unknown) => {
      // the core answers its own errors, so this is a defect, or of the application's own function: let the application's error handler tell of it
      if (next !== undefined && !res.headersSent) next(error);
      else res.destroy();
    });
  };
}

function placeOf(req: MountedRequest, isTrusted: IsTrustedProxy | undefined): Place {
  return { url: req.url ?? '/', mountPath: mountPathOf(req), ...clientOf(req, req, isTrusted) };
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
