/** The core's answer on node:http's response: for every framework that lends it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { HttpResponse } from '../../lib/http.ts';
import { drained } from './drain.ts';

/** Clients give up after 30 seconds without a byte. */
export const UNREAD_MILLIS = 120_000;

/** Resolves once the answer has left, or there is nobody left to take it. Never rejects for the client's sake. */
export async function answer(req: IncomingMessage, res: ServerResponse, { status, headers, body }: HttpResponse): Promise<void> {
  // a sync is a chain of small exchanges: waiting for more bytes to fill a packet only delays it
  res.socket?.setNoDelay(true);
  if (!(body instanceof Uint8Array)) {
    limitWaiting(res);
    // where node:http itself refused what came behind the request, the response never closes, and a pipeline alone would wait for ever
    const { socket } = req;
    const gone = (): void => void endOf(body).catch(() => {});
    // somebody else may have answered meanwhile: a framework's own time limit
    if (res.destroyed || res.headersSent || socket.destroyed) {
      gone();
      return;
    }
    socket.once('close', gone);
    res.writeHead(status, headers);
    // ends the source also when the client goes; then there is nobody left to tell
    await pipeline(body, res).catch(() => {});
    socket.off('close', gone);
    req.resume();
    return;
  }
  if (res.destroyed || res.headersSent) return;
  res.writeHead(status, { ...headers, 'content-length': body.byteLength });
  if (req.complete) {
    // head and body in one write leave in one segment
    res.end(body);
    if (res.writableLength > 0) limitWaiting(res);
    req.resume();
    return;
  }
  limitWaiting(res);
  // with its length known, the answer is whole for the client before it has sent the rest
  res.write(body);
  const { socket } = req;
  const reusable = await drained(req);
  res.end();
  if (!reusable) socket.destroySoon();
}

/** Nobody takes the answer: its file and its place must not wait for ever. Most leave at once, and need no timer. */
function limitWaiting(res: ServerResponse): void {
  res.setTimeout(UNREAD_MILLIS, () => res.destroy());
}

/** Lets a body go that nobody will read: its file, and its place among the requests on the way. */
export async function endOf(body: AsyncIterable<Uint8Array>): Promise<void> {
  if (body instanceof Readable) body.destroy();
  else await body[Symbol.asyncIterator]().return?.();
}
