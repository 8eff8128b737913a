import type { IncomingMessage } from 'node:http';
import { SyncError } from '../../lib/errors.ts';
import type { ByteSource } from '../../lib/http.ts';

/** The body's bytes as they come, or null where the request announces none. */
export function bodyOf(req: IncomingMessage): ByteSource | null {
  const announced = req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
  if (!announced) return null;
  if (req.readableDidRead || req.readableEnded || req.destroyed) return alreadyRead();
  return new RequestBody(req);
}

/**
 * Node's own iterator costs more than all else of a small request. And the request must outlive a reader that stops early, or the
 * connection would close before the answer.
 */
class RequestBody implements ByteSource {
  #req: IncomingMessage;

  constructor(req: IncomingMessage) {
    this.#req = req;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return { next: () => this.#next() };
  }

  async arrived(): Promise<Uint8Array | undefined> {
    // node:http tells of the head first; once this turn of the event loop is over, it has told of all that came
    if (!this.#req.complete) await new Promise(setImmediate);
    return this.#req.complete ? ((this.#req.read() as Buffer | null) ?? NOTHING) : undefined;
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const value = this.#req.read() as Buffer | null;
      if (value !== null) return { done: false, value };
      if (this.#req.complete) return { done: true, value: undefined };
      if (this.#req.errored !== null) throw this.#req.errored;
      if (this.#req.destroyed) throw new Error('the request was cut off');
      await moved(this.#req);
    }
  }
}

const NOTHING = new Uint8Array();
const MOVES = ['readable', 'end', 'error', 'close'] as const;

/** Resolves when more has come, or no more will. */
function moved(req: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    const move = (): void => {
      for (const name of MOVES) req.off(name, move);
      resolve();
    };
    for (const name of MOVES) req.on(name, move);
  });
}

/** Waiting for bytes that somebody else took would hang until the client gives up, with nothing in the log. */
async function* alreadyRead(): AsyncGenerator<Uint8Array> {
  throw new SyncError('BODY_ALREADY_READ', 'the request body was read before the sync server saw it', {
    detail: 'a body parser (express.json, multer, koa-body, a preParsing hook of Fastify, …) runs before the sync server: mount the sync server first, or limit the parser to other paths',
  });
}
