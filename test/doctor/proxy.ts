/** A proxy on node:http that is set up wrongly, in one way or another, in front of a real server. */
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';

export interface ProxyFaults {
  /** Larger bodies are refused with 413. */
  maxBodyBytes?: number;
  /** A whole body is collected first. */
  collects?: boolean;
  /** Collects, and refuses bodies that take longer, with 408. */
  bodyMillis?: number;
  /** The server has to begin its answer in that time, or the client gets a 504. */
  answerMillis?: number;
  /** The connection is cut when a request takes longer. */
  wholeMillis?: number;
  /** HTTP/1.0 to the server: bodies are collected and sent with a length, or not sent at all. */
  http10?: 'collects' | 'loses';
  /** Taken away from requests. */
  withoutRequestHeader?: string;
  /** Taken away from answers. */
  withoutAnswerHeader?: string;
  gzips?: boolean;
  /** What is asked of the server in place of a path. */
  path?(path: string): string;
  /** Answers by itself where it returns true. */
  instead?(req: IncomingMessage, res: ServerResponse): boolean;
  tls?: { key: string; cert: string };
}

/** Answers its address, with a slash at the end; ended with the test. */
export async function brokenProxy(t: TestContext, server: string, faults: ProxyFaults): Promise<string> {
  const port = Number(new URL(server).port);
  const url = await listening(t, (req, res) => void pass(req, res, port, faults), faults.tls);
  return url;
}

/** Any listener, at an address with a slash at its end. */
export async function listening(t: TestContext, listener: RequestListener, tls?: ProxyFaults['tls']): Promise<string> {
  const proxy: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(async () => {
    const closed = once(proxy, 'close');
    proxy.close();
    proxy.closeAllConnections();
    await closed;
  });
  return `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(proxy.address() as AddressInfo).port}/`;
}

async function pass(req: IncomingMessage, res: ServerResponse, port: number, faults: ProxyFaults): Promise<void> {
  if (faults.instead?.(req, res) === true) return void req.resume();
  const headers = without(req.headers, faults.withoutRequestHeader);
  const path = (faults.path ?? ((same: string) => same))(req.url!);
  if (faults.wholeMillis !== undefined) {
    const timer = setTimeout(() => req.socket.destroy(), faults.wholeMillis);
    res.once('close', () => clearTimeout(timer));
  }
  let body: Buffer | undefined;
  if (faults.collects === true || faults.bodyMillis !== undefined || faults.maxBodyBytes !== undefined || faults.http10 !== undefined) {
    body = await collected(req, res, faults);
    if (body === undefined) return;
  }
  if (faults.http10 !== undefined) return void passOld(res, { port, path, headers, method: req.method!, body: faults.http10 === 'loses' ? Buffer.alloc(0) : body! });
  if (body !== undefined) {
    delete headers['transfer-encoding'];
    headers['content-length'] = String(body.length);
  }
  const upstream = httpRequest({ host: '127.0.0.1', port, method: req.method, path, headers, agent: false });
  upstream.on('error', () => (res.headersSent ? res.destroy() : answer(res, 502, 'bad gateway')));
  res.once('close', () => upstream.destroy());
  if (faults.answerMillis !== undefined) {
    const timer = setTimeout(() => {
      answer(res, 504, 'gateway timeout');
      upstream.destroy();
    }, faults.answerMillis);
    upstream.once('response', () => clearTimeout(timer)).once('close', () => clearTimeout(timer));
  }
  upstream.on('response', (message) => {
    if (res.headersSent) return void message.resume();
    const back = without(message.headers, faults.withoutAnswerHeader);
    if (faults.gzips !== true) {
      res.writeHead(message.statusCode!, back);
      return void message.pipe(res);
    }
    delete back['content-length'];
    const pieces: Buffer[] = [];
    message.on('data', (piece: Buffer) => pieces.push(piece)).on('end', () => {
      res.writeHead(message.statusCode!, { ...back, 'content-encoding': 'gzip' }).end(gzipSync(Buffer.concat(pieces)));
    });
  });
  if (body === undefined) req.pipe(upstream);
  else upstream.end(body);
}

function without(headers: IncomingMessage['headers'], name: string | undefined): IncomingMessage['headers'] {
  const left = { ...headers };
  if (name !== undefined) delete left[name];
  return left;
}

/** Undefined where it was refused. */
async function collected(req: IncomingMessage, res: ServerResponse, { maxBodyBytes = Infinity, bodyMillis }: ProxyFaults): Promise<Buffer | undefined> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  let late = false;
  const timer = bodyMillis === undefined ? undefined : setTimeout(() => {
    late = true;
    answer(res, 408, 'too slow');
    req.resume();
  }, bodyMillis);
  try {
    for await (const piece of req as AsyncIterable<Buffer>) {
      if (late) continue;
      bytes += piece.length;
      if (bytes > maxBodyBytes) {
        answer(res, 413, '<html>413 Request Entity Too Large</html>');
        return undefined;
      }
      pieces.push(piece);
    }
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
  return late ? undefined : Buffer.concat(pieces);
}

function answer(res: ServerResponse, status: number, text: string): void {
  if (!res.headersSent) res.writeHead(status, { 'content-type': 'text/html', server: 'broken', connection: 'close' }).end(text);
}

interface OldRequest {
  port: number;
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

/** As nginx did by itself before 1.29.7. */
function passOld(res: ServerResponse, { port, method, path, headers, body }: OldRequest): void {
  const kept = Object.entries(headers).filter(([name]) => !['transfer-encoding', 'content-length', 'connection'].includes(name));
  const length = body.length > 0 ? [`content-length: ${body.length}`] : [];
  const head = [`${method} ${path} HTTP/1.0`, ...kept.map(([name, value]) => `${name}: ${String(value)}`), ...length, 'connection: close', '', ''].join('\r\n');
  const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.concat([Buffer.from(head), body])));
  const pieces: Buffer[] = [];
  socket.on('error', () => res.destroy());
  socket.on('data', (piece) => pieces.push(piece)).on('end', () => {
    const all = Buffer.concat(pieces);
    const end = all.indexOf('\r\n\r\n');
    const [first = '', ...lines] = all.subarray(0, end).toString('latin1').split('\r\n');
    for (const line of lines) {
      const colon = line.indexOf(':');
      if (!/^(connection|keep-alive)$/i.test(line.slice(0, colon))) res.setHeader(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    res.writeHead(Number(first.split(' ')[1])).end(all.subarray(end + 4));
  });
}
