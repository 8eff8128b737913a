/** A server behind a proxy that does as a test says, request by request, and tells what arrived. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Handler = (req: IncomingMessage, res: ServerResponse) => void;

export class Upstream {
  readonly port: number;
  readonly #server: Server;
  #handler: Handler = (_req, res) => void res.end();

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('request', (req, res) => (isCheck(req) ? res.end() : this.#handler(req, res)));
  }

  /** @param port the one of before, where it was stopped */
  static async start(port = 0): Promise<Upstream> {
    // as ours: idle connections outlive those of the proxies
    const server = createServer({ keepAliveTimeout: 125_000, requestTimeout: 0 });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return new Upstream(server);
  }

  /** From now on. */
  does(handler: Handler): void {
    this.#handler = handler;
  }

  /** The next request that comes, to be answered by whoever awaits it. */
  next(): Promise<{ req: IncomingMessage; res: ServerResponse }> {
    return new Promise((resolve) => this.does((req, res) => resolve({ req, res })));
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** What a proxy asks for by itself, at any moment, to see whether we are there: no client stands behind it. */
function isCheck(req: IncomingMessage): boolean {
  return req.url === '/health' && req.headers['x-forwarded-for'] === undefined;
}

/** What our server answers to a step: packed bytes whose size stands in a header. */
export function answerPacked(res: ServerResponse, wire: Uint8Array, originalSize: number): void {
  res.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': wire.length,
    'anki-original-size': originalSize,
    'cache-control': 'no-store, no-transform',
  });
  res.end(wire);
}
