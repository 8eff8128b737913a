/** The standalone server's socket: Node's HTTP server with the timeouts that syncing needs. */
import { readFileSync } from 'node:fs';
import type { RequestListener, Server } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { ListenOptions } from 'node:net';
import { answerPlainHttp, type HttpsPlace } from './plain-http.ts';
import type { Credentials } from './tls-files.ts';
import { UsageError } from './usage-error.ts';

// an import evaluates every export, and one of node:http's is the whole of fetch: a quarter of the time that a start takes
const { createServer } = process.getBuiltinModule('node:http');
const { createServer: createTlsServer } = process.getBuiltinModule('node:https');

/** How often connections that became idle are looked for, once no more are accepted. */
const CLOSE_IDLE_MILLIS = 20;

/** Milliseconds, as Node's HTTP server takes them. */
export const TIMEOUTS = {
  /**
   * Proxies reuse idle connections for up to two minutes; a server that closes them earlier makes them answer 502.
   * Node's default is 5 seconds.
   */
  keepAliveTimeout: 125_000,
  /** From a connection's or a request's first byte to the end of its headers, which are less than a kilobyte. */
  headersTimeout: 60_000,
  /** How often that is looked at. */
  connectionsCheckingInterval: 15_000,
  /** A request may take as long as the upload of a collection through a slow line. Where nothing comes for a minute, the core gives up. */
  requestTimeout: 0,
  /** A client that vanished without a word is found out by the system. Its own default is two hours. */
  keepAliveInitialDelay: 60_000,
};

export interface HttpsOptions {
  credentials: Credentials;
  /** Where whoever speaks http there is sent. */
  place: HttpsPlace;
}

/** Of http, or of https, with an answer for whoever speaks http there. */
export function createListener(handler: RequestListener, https: HttpsOptions | undefined, timeouts: Partial<typeof TIMEOUTS> = {}): Server {
  const options = { ...TIMEOUTS, ...timeouts, noDelay: true, keepAlive: true };
  const server = https === undefined ? createServer(options) : createSecure(options, https);
  const maxConnections = connectionsFor(openFilesLimit());
  if (maxConnections !== undefined) server.maxConnections = maxConnections;
  server.on('request', handler);
  return server;
}

function createSecure(options: object, { credentials, place }: HttpsOptions): TlsServer {
  // AnkiMobile needs 1.2
  const server = createTlsServer({ ...options, ...credentials, minVersion: 'TLSv1.2' });
  answerPlainHttp(server, place);
  return server;
}

/** Connections take at most half of the files that the process may open: without a file, no collection of those who are connected opens. */
function connectionsFor(maxFiles: number | undefined): number | undefined {
  return maxFiles === undefined ? undefined : Math.max(16, Math.floor(maxFiles / 2));
}

/** Node raises it as far as the system allows. Undefined where that is unlimited or not told. */
function openFilesLimit(): number | undefined {
  try {
    const soft = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

/** @throws UsageError when the address cannot be used */
export async function listen(server: Server, options: ListenOptions & { host: string; port: number }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((error: NodeJS.ErrnoException) => {
    const at = `${options.host}:${options.port}`;
    if (error.code === 'EADDRINUSE') throw new UsageError(`${at} is in use already: another server runs there, or choose another --port`);
    if (error.code === 'EACCES') throw new UsageError(`this user may not listen on ${at}; choose a --port above 1023`);
    if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN') {
      throw new UsageError(`${options.host} is no address of this computer; choose another --host`);
    }
    throw error;
  });
}

/** Accepts no more, lets running requests end, and cuts what is still there after `limitMs`. */
export async function closeListener(server: Server, limitMs: number): Promise<void> {
  const timer = setTimeout(() => server.closeAllConnections(), limitMs);
  // a connection that has just become idle would stay until its keep-alive time is over
  const idle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_MILLIS);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  clearInterval(idle);
  clearTimeout(timer);
}
