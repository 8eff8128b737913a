/**
 * Between a device and the server: tells the device another time than the server did. A client only ever compares the `ts` of
 * `meta` with its own clock, so to it this is the same as its own clock being off.
 */
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';

export class ClockProxy {
  /** Added to the server's time. */
  offsetSecs = 0;
  readonly endpoint: string;
  readonly #server: Server;

  private constructor(server: Server, endpoint: string) {
    this.#server = server;
    this.endpoint = endpoint;
  }

  static async start(target: string): Promise<ClockProxy> {
    const { pathname } = new URL(target);
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new ClockProxy(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`);
    server.on('request', (req, res) => {
      proxy.#pass(new URL(target), req, res).catch(() => res.destroy());
    });
    return proxy;
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #pass({ origin, host, protocol }: URL, req: IncomingMessage, res: ServerResponse): Promise<void> {
    const request = protocol === 'https:' ? httpsRequest : httpRequest;
    const outgoing = request(origin + req.url, { method: req.method ?? 'POST', headers: { ...req.headers, host, connection: 'close' }, agent: false });
    const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
    await pipeline(req, outgoing);
    const [response] = await answered;
    const pieces: Buffer[] = [];
    for await (const piece of response) pieces.push(piece as Buffer);
    let body = Buffer.concat(pieces);
    let size = response.headers['anki-original-size'];
    if (req.url?.endsWith('/meta') === true && response.statusCode === 200) {
      const meta = JSON.parse(zstdDecompressSync(body).toString()) as { ts: number };
      const changed = Buffer.from(JSON.stringify({ ...meta, ts: meta.ts + this.offsetSecs }));
      body = zstdCompressSync(changed);
      size = String(changed.length);
    }
    res.writeHead(response.statusCode ?? 500, {
      'content-type': 'application/octet-stream',
      ...(size === undefined ? {} : { 'anki-original-size': size }),
    });
    res.end(body);
  }
}
