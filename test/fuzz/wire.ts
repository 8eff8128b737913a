/**
 * HTTP/1.1 by hand: a request is bytes, however wrong, and may be cut anywhere. An answer is read as strictly as a client would.
 * One request at a time; a connection is made anew when it was closed.
 */
import { connect, type Socket } from 'node:net';

export interface WireRequest {
  bytes: Buffer;
  /** Of the HTTP method: the answer to HEAD has no body. */
  method: string;
  /** Bytes after which the connection is cut by us: no answer is waited for. */
  cutAfter?: number;
  /** The bytes are no proper HTTP: the server may close without an answer. */
  malformed?: boolean;
}

export interface WireAnswer {
  /** 0: the server closed the connection instead. */
  status: number;
  /** Lower-case names; of several, the last. */
  headers: Record<string, string>;
  body: Buffer;
}

export class Unanswered extends Error {}

const PATIENCE_MILLIS = 25_000;

export class Connection {
  #port: number;
  #socket: Socket | undefined;
  #received: Buffer = Buffer.alloc(0);
  #closed = false;
  #look: () => void = () => {};

  constructor(port: number) {
    this.#port = port;
  }

  /** Null when we cut the connection. @throws Unanswered when nothing comes, or half an answer. */
  async send(request: WireRequest): Promise<WireAnswer | null> {
    const reused = this.#socket !== undefined;
    const socket = (this.#socket ??= this.#open());
    if (request.cutAfter !== undefined) {
      const cut = request.bytes.subarray(0, request.cutAfter);
      await new Promise<void>((resolve) => socket.write(cut, () => resolve()));
      this.close();
      return null;
    }
    this.#received = Buffer.alloc(0);
    socket.write(request.bytes);
    // the server may wait for more of what is no request: it gets to know that nothing comes
    const ending = request.malformed === true ? setTimeout(() => socket.end(), 500) : undefined;
    const answer = await this.#answer(request).finally(() => clearTimeout(ending));
    if (answer === 'closed') {
      const began = this.#received.length > 0;
      this.close();
      // a server may close an idle connection at any time
      if (reused && !began) return this.send(request);
      if (!began && request.malformed === true) return { status: 0, headers: {}, body: Buffer.alloc(0) };
      throw new Unanswered(began ? 'the connection was closed within an answer' : 'the connection was closed without an answer');
    }
    if (answer.headers['connection'] === 'close' || request.malformed === true) this.close();
    return answer;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #open(): Socket {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    this.#closed = false;
    socket.on('data', (piece: Buffer) => {
      if (socket !== this.#socket) return;
      this.#received = this.#received.length === 0 ? piece : Buffer.concat([this.#received, piece]);
      this.#look();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (socket !== this.#socket) return;
      this.#closed = true;
      this.#look();
    });
    return socket;
  }

  #answer(request: WireRequest): Promise<WireAnswer | 'closed'> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#look = () => {};
        this.close();
        reject(new Unanswered(`no answer within ${PATIENCE_MILLIS / 1000} seconds`));
      }, PATIENCE_MILLIS);
      this.#look = () => {
        let found: WireAnswer | null | 'closed';
        try {
          found = parsedAnswer(this.#received, request.method === 'HEAD', this.#closed);
        } catch (error) {
          found = null;
          clearTimeout(timer);
          reject(error as Error);
        }
        if (found === null && this.#closed) found = 'closed';
        if (found === null) return;
        clearTimeout(timer);
        this.#look = () => {};
        resolve(found);
      };
      this.#look();
    });
  }
}

/** Null while it is not complete. */
function parsedAnswer(bytes: Buffer, headOnly: boolean, ended: boolean): WireAnswer | null {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return null;
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]);
  if (Number.isNaN(status)) throw new Error(`not an answer of HTTP: ${statusLine}`);
  const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
  const body = bytes.subarray(headEnd + 4);
  if (status < 200) return parsedAnswer(body, headOnly, ended);
  if (headOnly) return { status, headers, body: Buffer.alloc(0) };
  if (headers['transfer-encoding'] === 'chunked') {
    const whole = unchunked(body);
    return whole === null ? null : { status, headers, body: whole };
  }
  const length = headers['content-length'];
  if (length === undefined) return ended || status === 204 ? { status, headers, body } : null;
  return body.length < Number(length) ? null : { status, headers, body: body.subarray(0, Number(length)) };
}

function unchunked(bytes: Buffer): Buffer | null {
  const pieces: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    const size = parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const from = lineEnd + 2;
    if (bytes.length < from + size + 2) return null;
    if (size === 0) return Buffer.concat(pieces);
    pieces.push(bytes.subarray(from, from + size));
    at = from + size + 2;
  }
}
