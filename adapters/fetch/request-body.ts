import { SyncError } from '../../lib/errors.ts';
import type { ByteSource } from '../../lib/http.ts';
import type { FetchBodyReader, FetchRequest } from './request.ts';

const NO_BODY = { done: true, value: undefined } as const;

/**
 * The body of a fetch request as it comes. It is not touched before somebody asks for its first bytes, so that a request that is not the
 * core's goes on whole; and it outlives a reader that stops early, since its connection still has to take the answer.
 */
export class FetchBody implements ByteSource {
  #request: FetchRequest;
  #reader: FetchBodyReader | null | undefined;
  #ended = false;

  constructor(request: FetchRequest) {
    this.#request = request;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return { next: () => this.#next() };
  }

  /** Whether all of it was read, or there never was one. */
  get ended(): boolean {
    if (!this.#ended && this.#reader === undefined && !this.#request.bodyUsed) this.#ended = this.#request.body === null;
    return this.#ended || this.#reader === null;
  }

  /** Reads and drops what the client still sends; what exceeds the limits is given up, and with it the connection. Never rejects. */
  async drop({ maxBytes, maxMillis }: { maxBytes: number; maxMillis: number }): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => (timer = setTimeout(resolve, maxMillis, 'late')));
    try {
      for (let bytes = 0; bytes <= maxBytes; ) {
        const next = await Promise.race([this.#next(), late]);
        if (next === 'late') break;
        if (next.done) return;
        bytes += next.value.byteLength;
      }
      await this.#reader?.cancel();
    } catch {
      // gone, or read by somebody else
    } finally {
      clearTimeout(timer);
    }
  }

  async #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#reader === undefined) this.#reader = this.#open();
    const result = await this.#reader?.read();
    if (result === undefined || result.done || result.value === undefined) {
      this.#ended = true;
      return NO_BODY;
    }
    return { done: false, value: result.value };
  }

  #open(): FetchBodyReader | null {
    const request = this.#request;
    if (request.bodyUsed || request.body?.locked === true) {
      throw new SyncError('BODY_ALREADY_READ', 'the request body was read before the sync server saw it', {
        detail: 'something reads bodies before the sync server (request.text(), c.req.json(), a body limit or parser, …): mount the sync server first, or limit it to other paths',
      });
    }
    return request.body?.getReader() ?? null;
  }
}
