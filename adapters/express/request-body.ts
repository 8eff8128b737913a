import type { IncomingMessage } from 'node:http';
import { SyncError } from '../../lib/errors.ts';

/** The body's bytes as they come, or null where the request announces none. */
export function bodyOf(req: IncomingMessage): AsyncIterable<Uint8Array> | null {
  const announced = req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
  if (!announced) return null;
  if (req.readableDidRead || req.readableEnded || req.destroyed) return alreadyRead();
  // the request must outlive a reader that stops early, or the connection would close before the answer
  return { [Symbol.asyncIterator]: () => req.iterator({ destroyOnReturn: false }) };
}

/** Waiting for bytes that somebody else took would hang until the client gives up, with nothing in the log. */
async function* alreadyRead(): AsyncGenerator<Uint8Array> {
  throw new SyncError('BODY_ALREADY_READ', 'the request body was read before the sync server saw it', {
    detail: 'a body parser (express.json, express.raw, multer, …) runs before the sync server: mount the sync server first, or limit the parser to other paths',
  });
}
