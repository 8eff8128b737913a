/** The standalone server's socket: Node's HTTP server with the timeouts that syncing needs. */
import { readFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { ListenOptions } from 'node:net';
import { UsageError } from './usage-error.ts';

export interface TlsFiles {
  certFile: string;
  keyFile: string;
}

/**
 * Proxies reuse idle connections for up to two minutes; a server that closes them earlier makes them answer 502.
 * Node's default is 5 seconds.
 */
const KEEP_ALIVE_MS = 125_000;

/** @throws UsageError when the certificate or the key cannot be read or used */
export async function createListener(handler: RequestListener, tls: TlsFiles | undefined): Promise<Server> {
  // a whole request may take as long as the upload of a collection through a slow line; Node's default cuts it after 5 minutes
  const options = { keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: KEEP_ALIVE_MS + 5_000, requestTimeout: 0, noDelay: true, keepAlive: true };
  const server = tls === undefined ? createServer(options) : createTlsServer({ ...options, ...(await credentials(tls)) });
  server.on('request', (req, res) => {
    // after close(), a connection that has just become idle would stay until its keep-alive time is over
    res.once('close', () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections());
    });
    handler(req, res);
  });
  return server;
}

async function credentials({ certFile, keyFile }: TlsFiles): Promise<{ cert: Buffer; key: Buffer }> {
  const read = (file: string): Promise<Buffer> =>
    readFile(file).catch((error: NodeJS.ErrnoException) => {
      throw new UsageError(`${file} cannot be read (${error.code})`);
    });
  const pair = { cert: await read(certFile), key: await read(keyFile) };
  try {
    createTlsServer(pair).close();
  } catch (error) {
    throw new UsageError(`${certFile} and ${keyFile} are not a certificate and its key in PEM form (${(error as Error).message})`);
  }
  return pair;
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
  await new Promise<void>((resolve) => server.close(() => resolve()));
  clearTimeout(timer);
}
