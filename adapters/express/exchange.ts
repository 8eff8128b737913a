/** One request and its answer over node:http, for every framework that lends its own request and response. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpRequest, HttpResponse } from '../../lib/http.ts';
import { answer } from './answer.ts';
import { bodyOf } from './request-body.ts';
import { forwardedAddress, forwardedScheme, type IsTrustedProxy } from './trusted-proxies.ts';

/** What of a SyncServer a bridge uses. */
export interface Handler {
  handle(request: HttpRequest): Promise<HttpResponse>;
}

/** What a framework knows of a request beyond node:http: where it is mounted, and whom it came from. */
export type Place = Pick<HttpRequest, 'url' | 'mountPath' | 'clientAddress' | 'scheme' | 'signedInUser'>;

/**
 * Resolves with true once the answer has left. With false, and nothing touched, where the path is not the core's and the framework has
 * somebody else to ask (`passesOn`). `takeOver` is called before anything is sent. Rejects for a defect of the core alone, before anything was sent.
 */
export async function exchange(server: Handler, req: IncomingMessage, res: ServerResponse, place: Place, passesOn: boolean, takeOver?: () => void): Promise<boolean> {
  let gone: AbortSignal | undefined;
  const response = await server.handle({
    ...place,
    method: req.method ?? 'GET',
    httpVersion: req.httpVersion,
    headers: req.headers,
    body: bodyOf(req),
    // made for whoever asks: only a login does
    get signal() {
      return (gone ??= goneSignal(res));
    },
  });
  if (response.status === 404 && passesOn) return false;
  takeOver?.();
  await answer(req, res, response);
  return true;
}

/** Aborted when the client goes before it has its answer. */
function goneSignal(res: ServerResponse): AbortSignal {
  const gone = new AbortController();
  const close = (): void => {
    if (!res.writableFinished) gone.abort();
  };
  if (res.destroyed) close();
  else res.once('close', close);
  return gone.signal;
}

/** Address and scheme of the client, as trusted proxies say, or the framework, or the connection. */
export function clientOf(
  req: IncomingMessage,
  framework: { ip?: string | undefined; protocol?: string | undefined },
  isTrusted: IsTrustedProxy | undefined,
): Pick<Place, 'clientAddress' | 'scheme'> {
  const clientAddress = isTrusted === undefined ? (framework.ip ?? req.socket.remoteAddress) : forwardedAddress(req, isTrusted);
  const protocol = (isTrusted === undefined ? undefined : forwardedScheme(req, isTrusted)) ?? framework.protocol;
  return {
    ...(clientAddress === undefined ? {} : { clientAddress }),
    scheme: (protocol ?? ('encrypted' in req.socket ? 'https' : 'http')) === 'https' ? 'https' : 'http',
  };
}

/** Who is signed in to the application, by login name, or nobody; at once, or once its sessions have been asked. */
export type PortalUser = string | undefined | Promise<string | undefined>;

/**
 * What an application gives in place of a name, such as an empty one or an object, is nobody. Rejects where its function throws or rejects:
 * whoever cannot be told is not taken for somebody who is not signed in.
 */
export async function portalUser(ask: () => PortalUser): Promise<Pick<Place, 'signedInUser'>> {
  const name: unknown = await ask();
  return typeof name === 'string' && name !== '' ? { signedInUser: name } : {};
}
