/** One request as an Anki client sends it, and what came of it. */
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** Of an answer. */
const MAX_BYTES = 8 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;
const ANSWER_MILLIS = 30_000;

export interface Ask {
  /** Default POST. */
  method?: string;
  url: URL;
  headers?: Record<string, string>;
  /** Sent in chunks, as Anki does. */
  body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** PEM of the authorities to trust. Default: those that Node trusts. */
  ca?: readonly string[] | undefined;
  /** false: whoever it is. Never with a password. */
  verify?: boolean;
  /** Without a byte in either direction. Default 30 s, as Anki. */
  silentMillis?: number;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  /** As it came. */
  body: Buffer;
  /** Of the request's body, handed to the system before the answer came. */
  sentBytes: number;
  /** From the first byte of the body to its end. */
  bodyMillis: number;
  /** Why the body ended early: it was cut. */
  cut?: string;
}

/** No answer came. `code` is the system's or Node's: ECONNREFUSED, HPE_INVALID_CONSTANT, or SILENT. */
export class NoAnswer extends Error {
  readonly code: string;
  readonly sentBytes: number;
  readonly millis: number;

  constructor(code: string, sentBytes: number, millis: number) {
    super(`no answer: ${code}`);
    this.name = 'NoAnswer';
    this.code = code;
    this.sentBytes = sentBytes;
    this.millis = millis;
  }
}

/** @throws NoAnswer */
export async function send({ method = 'POST', url, headers, body, ca, verify = true, silentMillis = ANSWER_MILLIS }: Ask): Promise<Answer> {
  const startedMillis = performance.now();
  const sent = { bytes: 0, stop: false };
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    method,
    headers: { accept: '*/*', ...(body === undefined ? {} : { 'content-type': 'application/octet-stream', 'transfer-encoding': 'chunked' }), ...headers },
    agent: false,
    timeout: silentMillis,
    ...(ca === undefined ? {} : { ca: [...ca] }),
    rejectUnauthorized: verify,
  });
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
    request.on('timeout', () => request.destroy(Object.assign(new Error('silent'), { code: 'SILENT' })));
    // another protocol was chosen, or a tunnel: neither was asked for
    request.on('upgrade', (_message, socket) => socket.destroy(Object.assign(new Error('upgrade'), { code: 'UPGRADE' })));
  });
  const sending = sendBody(request, body, sent).catch((error: Error) => void request.destroy(error));
  try {
    const message = await response;
    const answer = await readAnswer(message, sent);
    sent.stop = true;
    request.destroy();
    return answer;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new NoAnswer(code ?? message.slice(0, 100), sent.bytes, Math.round(performance.now() - startedMillis));
  } finally {
    sent.stop = true;
    request.destroy();
    await sending;
  }
}

async function sendBody(request: ClientRequest, body: Ask['body'], sent: { bytes: number; stop: boolean }): Promise<void> {
  if (body === undefined) return void request.end();
  request.flushHeaders();
  for await (const piece of body instanceof Uint8Array ? piecesOf(body) : body) {
    if (sent.stop || request.destroyed) return;
    const isFull = !request.write(piece);
    sent.bytes += piece.length;
    if (isFull) await drained(request);
  }
  if (!sent.stop) request.end();
}

async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    yield bytes.subarray(at, at + PIECE_BYTES);
    // an answer that refuses the rest is seen before the connection is cut
    await new Promise(setImmediate);
  }
}

function drained(request: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      request.off('drain', done).off('close', done).off('response', done);
      resolve();
    };
    request.on('drain', done).on('close', done).on('response', done);
  });
}

async function readAnswer(message: IncomingMessage, sent: { bytes: number }): Promise<Answer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  let firstMillis: number | undefined;
  let cut: string | undefined;
  const sentBytes = sent.bytes;
  try {
    for await (const piece of message as AsyncIterable<Buffer>) {
      firstMillis ??= performance.now();
      bytes += piece.length;
      if (bytes > MAX_BYTES) break;
      pieces.push(piece);
    }
  } catch (error) {
    cut = (error as NodeJS.ErrnoException).code ?? 'cut';
  }
  const bodyMillis = firstMillis === undefined ? 0 : Math.round(performance.now() - firstMillis);
  return { status: message.statusCode ?? 0, headers: message.headers, body: Buffer.concat(pieces), sentBytes, bodyMillis, ...(cut === undefined ? {} : { cut }) };
}
