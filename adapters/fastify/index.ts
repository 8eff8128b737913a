/** The bridge to Fastify: a plugin that hands requests to the core. Needs no Fastify at run time, nor its types. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { clientOf, exchange, portalUser, type Handler, type PortalUser } from '../express/exchange.ts';
import { trustedProxies } from '../express/trusted-proxies.ts';
import { coveredBy } from '../mount-path.ts';

/** Of a timer. */
const LONGEST_MILLIS = 2 ** 31 - 1;

/** What of Fastify's request and reply the bridge uses. */
export interface FastifyRequestLike {
  raw: IncomingMessage;
  ip: string;
  protocol: string;
}

export interface FastifyReplyLike {
  raw: ServerResponse;
  hijack(): unknown;
  callNotFound(): unknown;
}

/** What of a Fastify instance the plugin uses. */
export interface FastifyScope {
  prefix: string;
  removeAllContentTypeParsers(): unknown;
  addContentTypeParser(contentType: string, parser: (request: any, payload: any, done: (error: null) => void) => void): unknown;
  initialConfig?: object;
  all(path: string, options: object, handler: (request: any, reply: any) => Promise<void>): unknown;
  addHook(name: 'onClose', hook: () => Promise<void>): unknown;
}

export interface FastifySyncOptions {
  /**
   * Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses, networks (`10.0.0.0/8`), `loopback`, `linklocal`, `uniquelocal`.
   * Default: what Fastify says (`trustProxy`).
   */
  trustedProxies?: readonly string[];
  /**
   * Who is signed in to your application, by login name: that person needs no other sign-in for the account page. Undefined: nobody. May answer a
   * promise. Trust your session alone here, and no header: `(request) => request.session.user?.loginName`.
   */
  signedInUser?: (request: any) => PortalUser;
}

export type FastifyPlugin = (scope: FastifyScope) => Promise<void>;

/**
 * `app.register(fastifySync(server), { prefix: '/anki' })`.
 *
 * Inside the plugin no body is parsed, whatever parsers the application has, and answers go past Fastify's own reply, so that no plugin
 * compresses them. A path that the core does not know is answered by the application's not-found handler. `app.close()` also closes the
 * server, once the requests that run have ended.
 *
 * @throws TypeError for an entry of `trustedProxies` that is no address
 */
export function fastifySync(server: Handler & { close?(): Promise<void> }, options: FastifySyncOptions = {}): FastifyPlugin {
  const isTrusted = options.trustedProxies === undefined ? undefined : trustedProxies(options.trustedProxies);
  const { signedInUser } = options;
  return async (scope) => {
    const { prefix } = scope;
    const handler = async (request: FastifyRequestLike, reply: FastifyReplyLike): Promise<void> => {
      const { raw } = request;
      const whole = raw.url ?? '/';
      const mountPath = coveredBy(prefix, whole);
      const rest = whole.slice(mountPath.length);
      const url = rest.startsWith('/') ? rest : `/${rest}`;
      const user = signedInUser && (await portalUser(() => signedInUser(request)));
      const place = { url, mountPath, ...clientOf(raw, request, isTrusted), ...user };
      const ours = await exchange(server, raw, reply.raw, place, true, () => reply.hijack());
      if (!ours) reply.callNotFound();
    };
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    // an upload takes as long as it takes
    const routing = ((scope.initialConfig as { handlerTimeout?: number } | undefined)?.handlerTimeout ?? 0) > 0 ? { handlerTimeout: LONGEST_MILLIS } : {};
    scope.all('/*', routing, handler);
    // the mount without a slash at its end
    if (prefix !== '' && prefix !== '/') scope.all('', routing, handler);
    scope.addHook('onClose', async () => server.close?.());
  };
}
