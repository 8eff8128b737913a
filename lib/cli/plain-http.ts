/**
 * What speaks http to a server of https is told where to go. Seen with the real client: it follows a 308 to its `meta`, from then on with
 * the new address; of a login that is answered so, it shows the address to the user. Other redirects it follows as GET, or not at all.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { isMediaMethod, isSyncMethod } from '../protocol/methods.ts';

const { createServer } = process.getBuiltinModule('node:http');

/** First byte of every connection that begins with TLS: the type of a handshake record. */
const HANDSHAKE = 0x16;
/** A connection that says nothing. */
const SILENT_MILLIS = 60_000;

export interface HttpsPlace {
  /** Where the operator told it. */
  publicUrl: string | undefined;
  /** Of https; undefined where the request came to the same port. */
  port?: number | undefined;
}

/** Answers 308 with the address of https: for a browser the same page, for a client the address that it is set up with. */
export function plainHttpAnswer(place: HttpsPlace): (req: IncomingMessage, res: ServerResponse) => void {
  return (req, res) => {
    const location = httpsAddress(req, place);
    const body = Buffer.from(`This server speaks https. Enter ${location} in the settings of Anki.\n`);
    const headers = { location, 'content-type': 'text/plain; charset=utf-8', 'content-length': body.length, 'cache-control': 'no-store' };
    res.writeHead(308, { ...headers, connection: 'close' });
    res.end(body);
    req.resume();
  };
}

function httpsAddress({ method, url = '/', headers }: IncomingMessage, { publicUrl, port }: HttpsPlace): string {
  const path = url.split('?', 1)[0] ?? '/';
  const reads = method === 'GET' || method === 'HEAD';
  if (publicUrl?.startsWith('https:')) return reads ? publicUrl : `${publicUrl.replace(/\/+$/, '')}/`;
  // a name from outside, in a header and a text: nothing but letters, digits and what addresses have
  const host = /^[\w.-]+(:\d+)?$|^\[[\da-f:.]+\](:\d+)?$/i.test(headers.host ?? '') ? headers.host! : 'localhost';
  const withPort = port === undefined ? host : `${host.replace(/:\d+$/, '')}${port === 443 ? '' : `:${port}`}`;
  return `https://${withPort}${reads ? safePath(path) : baseOf(path)}`;
}

/** `/anki/sync/meta` → `/anki/`. */
function baseOf(path: string): string {
  const segments = path.split('/').filter((segment) => segment !== '');
  const name = segments.at(-1) ?? '';
  if (isSyncMethod(name) || isMediaMethod(name)) segments.pop();
  if (segments.at(-1) === 'sync' || segments.at(-1) === 'msync') segments.pop();
  return safePath(segments.length === 0 ? '/' : `/${segments.join('/')}/`);
}

function safePath(path: string): string {
  return /^\/(?!\/)[\w./~%-]*$/.test(path) ? path : '/';
}

/** A server of its own for a plain port. */
export function plainHttpServer(place: HttpsPlace): Server {
  const server = createServer({ headersTimeout: 20_000, requestTimeout: 60_000, keepAliveTimeout: 1_000 }, plainHttpAnswer(place));
  server.maxConnections = 256;
  return server;
}

/** On the port of https itself: by its first byte, a connection goes to the server or to the answer above. */
export function answerPlainHttp(server: TlsServer, place: HttpsPlace): void {
  const plain = plainHttpServer(place);
  const secure = server.listeners('connection') as ((socket: Socket) => void)[];
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const silent = setTimeout(() => socket.destroy(), SILENT_MILLIS).unref();
    const failed = (): void => void socket.destroy();
    socket.once('error', failed);
    socket.once('close', () => clearTimeout(silent));
    socket.once('readable', () => {
      clearTimeout(silent);
      socket.off('error', failed);
      const first = socket.read() as Buffer | null;
      if (first === null) return void socket.destroy();
      socket.unshift(first);
      if (first[0] === HANDSHAKE) for (const listener of secure) listener.call(server, socket);
      else plain.emit('connection', socket);
    });
  });
}
