/** A connection without an HTTP client: every byte is the test's own. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  status: number;
  /** Lower-case names. */
  headers: Record<string, string>;
  body: Buffer;
}

export class RawSocket {
  readonly socket: Socket;
  /** Everything that came. */
  received: Buffer = Buffer.alloc(0);
  /** Resolves when the connection has ended, by whomever and however. */
  readonly closed: Promise<void>;
  #look = new Set<() => void>();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (piece) => {
      this.received = Buffer.concat([this.received, piece]);
      for (const look of this.#look) look();
    });
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    void this.closed.then(() => {
      for (const look of this.#look) look();
    });
  }

  static async open(port: number): Promise<RawSocket> {
    const raw = new RawSocket(connect(port, '127.0.0.1'));
    await once(raw.socket, 'connect');
    raw.socket.setNoDelay(true);
    return raw;
  }

  /** Resolves when the bytes were handed to the system, or the connection is gone. */
  send(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (this.socket.destroyed || this.socket.writableEnded) resolve();
      else this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, () => resolve());
    });
  }

  /** The answers so far; 1xx are left out. */
  answers(): RawAnswer[] {
    return parseAnswers(this.received).filter(({ status }) => status >= 200);
  }

  /** Resolves when so many whole answers are there, or the connection has ended. */
  async waitForAnswers(count: number): Promise<RawAnswer[]> {
    await this.waitUntil(() => this.answers().length >= count);
    return this.answers();
  }

  waitUntil(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition() && !this.socket.destroyed) return;
        this.#look.delete(look);
        resolve();
      };
      this.#look.add(look);
      look();
    });
  }

  /** With a reset instead of the polite end. */
  reset(): void {
    this.socket.resetAndDestroy();
  }
}

function parseAnswers(bytes: Buffer): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf('\r\n\r\n', at);
    if (end < 0) break;
    const [first = '', ...lines] = bytes.subarray(at, end).toString('latin1').split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1]);
    if (Number.isNaN(status)) throw new Error(`not an answer: ${first.slice(0, 100)}`);
    const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
    const body = bodyAt(bytes, end + 4, headers);
    if (body === undefined) break;
    answers.push({ status, headers, body: body.bytes });
    at = body.end;
  }
  return answers;
}

function bodyAt(bytes: Buffer, at: number, headers: Record<string, string>): { bytes: Buffer; end: number } | undefined {
  if (headers['transfer-encoding'] !== 'chunked') {
    const end = at + Number(headers['content-length'] ?? 0);
    return end > bytes.length ? undefined : { bytes: bytes.subarray(at, end), end };
  }
  const pieces: Buffer[] = [];
  for (;;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    at = line + 2 + size + 2;
    if (at > bytes.length) return undefined;
    if (size === 0) return { bytes: Buffer.concat(pieces), end: at };
    pieces.push(bytes.subarray(line + 2, line + 2 + size));
  }
}
