/** The core's answer as a `Response` that streams. */
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { HttpResponse } from '../../lib/http.ts';
import { endOf, UNREAD_MILLIS } from '../express/answer.ts';
import { MAX_DRAIN_MS, MAX_DRAINED_BYTES } from '../express/drain.ts';
import type { FetchBody } from './request-body.ts';

/** A `Response` of these is not made with a body. */
const BODYLESS = new Set([204, 205, 304]);

/** `gone` is aborted when nobody is left to take the answer. */
export function responseOf(answer: HttpResponse, request: { method: string; body: FetchBody | null; gone: AbortSignal }): Response {
  const { status, headers, body } = answer;
  if (!(body instanceof Uint8Array)) {
    if (request.method !== 'HEAD') return new Response(streamOf(body, request.gone), { status, headers });
    endOf(body).catch(() => {});
    return new Response(null, { status, headers });
  }
  const sized = { status, headers: { ...headers, 'content-length': String(body.byteLength) } };
  if (request.method === 'HEAD') return new Response(null, sized);
  if (BODYLESS.has(status)) return new Response(null, { status, headers });
  if (request.body === null || request.body.ended) return new Response(body as Uint8Array<ArrayBuffer>, sized);
  return new Response(streamOf(withRestOf(request.body, body), request.gone), sized);
}

/**
 * With its length known, the answer is whole for the client before it has sent the rest. But only once that is read, a client that is
 * refused half-way looks at the answer; and a connection that ends with bytes unread takes it along.
 */
async function* withRestOf(request: FetchBody, answer: Uint8Array): AsyncGenerator<Uint8Array> {
  yield answer;
  await request.drop({ maxBytes: MAX_DRAINED_BYTES, maxMillis: MAX_DRAIN_MS });
}

/** One piece at a time, when it is asked for; the source is ended when the receiver leaves, or takes nothing for too long. */
function streamOf(source: AsyncIterable<Uint8Array>, gone: AbortSignal): ReadableStream<Uint8Array> {
  const pieces = source[Symbol.asyncIterator]();
  let timer: NodeJS.Timeout | undefined;
  const settle = (): void => {
    clearTimeout(timer);
    gone.removeEventListener('abort', end);
  };
  function end(): void {
    settle();
    if (source instanceof Readable) source.destroy();
    else pieces.return?.().catch(() => {});
  }
  if (gone.aborted) end();
  else gone.addEventListener('abort', end);
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      clearTimeout(timer);
      try {
        const { done, value } = await pieces.next();
        if (done === true) {
          settle();
          controller.close();
          return;
        }
        controller.enqueue(value);
        timer = setTimeout(() => {
          end();
          controller.error(new Error('the answer was not taken'));
        }, UNREAD_MILLIS);
      } catch (error) {
        end();
        controller.error(error);
      }
    },
    cancel: end,
  }, { highWaterMark: 0 });
}

/** Adapters for Node hand over node:http's response: a connection that takes nothing ends there. */
export function endUnread(info: unknown): void {
  const outgoing = (info as { outgoing?: Partial<ServerResponse> } | null | undefined)?.outgoing;
  outgoing?.setTimeout?.(UNREAD_MILLIS, () => void outgoing.destroy?.());
}
