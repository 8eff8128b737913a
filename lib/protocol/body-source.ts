/** The bytes of a body as they come: counted, given up when they stall, let go by after a refusal. */
import { SyncError } from '../errors.ts';
import { ClientGone } from './client-gone.ts';
import type { PackedBody } from './request.ts';
import { tooLarge } from './zstd-frames.ts';

/**
 * What is still read of a refused body, so that the client, which looks for an answer only once it has sent its body, gets
 * to see the answer. Past that the connection is cut.
 */
const DISCARD_BYTES = 64 * 1024 ** 2;

export interface BodySource {
  /** The next bytes, or null at the end. Throws ClientGone, BODY_TOO_LARGE. */
  next(): Promise<Uint8Array | null>;
  /** Everything `next` gave. */
  readonly readBytes: number;
  /** Lets the rest go by, in the background. */
  discard(): void;
}

/** A phone that walked out of reach sends nothing more, and says nothing either. Clients themselves give up after 30 seconds. */
export const STALLED_MILLIS = 60_000;

function unlessStalled<T>(next: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new ClientGone(new Error('nothing more came for a minute'))), STALLED_MILLIS);
    next.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * Of a body that has arrived already, `arrived` is all. Not `for await`: leaving such a loop early would destroy the request's stream, and with it the connection that the
 * refusal has to go through.
 */
export function openBody(body: PackedBody, maxPackedBytes: number, arrived?: Uint8Array): BodySource {
  const iterator = arrived === undefined ? body.bytes?.[Symbol.asyncIterator]() : undefined;
  const saysTooMuch = (body.contentLength ?? 0) > maxPackedBytes;
  let unread = arrived;
  let readBytes = 0;
  let pending: Promise<IteratorResult<Uint8Array>> | undefined;
  let ended = iterator === undefined;
  let discarding = false;

  const pull = async (): Promise<Uint8Array | null> => {
    if (ended || iterator === undefined) return null;
    pending ??= iterator.next();
    try {
      const result = await unlessStalled(pending);
      if (!result.done) return result.value;
      ended = true;
      return null;
    } catch (error) {
      ended = true;
      // an adapter may know better: a body parser took the bytes
      throw error instanceof SyncError || error instanceof ClientGone ? error : new ClientGone(error);
    } finally {
      pending = undefined;
    }
  };

  return {
    async next() {
      if (saysTooMuch) throw tooLarge();
      const chunk = unread ?? (await pull());
      unread = undefined;
      if (chunk === null || discarding) return null;
      readBytes += chunk.length;
      if (readBytes > maxPackedBytes) throw tooLarge();
      return chunk;
    },
    get readBytes() {
      return readBytes;
    },
    discard() {
      discarding = true;
      const discardRest = async (): Promise<void> => {
        for (let bytes = 0; bytes < DISCARD_BYTES; ) {
          const chunk = await pull();
          if (chunk === null) return;
          bytes += chunk.length;
        }
        await iterator?.return?.();
      };
      discardRest().catch(() => {}); // gone, as most clients are by then
    },
  };
}

/** Whether a body has not a single byte on the wire. Reads no further than to the first one, and lets the rest go by. */
export async function isEmptyBody(body: PackedBody): Promise<boolean> {
  const source = openBody(body, Infinity);
  for (let chunk = await source.next(); chunk !== null; chunk = await source.next()) {
    if (chunk.length === 0) continue;
    source.discard();
    return false;
  }
  return true;
}

/** The same bytes, not a copy. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
