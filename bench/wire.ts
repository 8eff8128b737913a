/** Requests and answers as bytes on a socket, as today's client sends them: the cheapest client, so that the server is what is measured. */
import { createReadStream } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** Today's client frames its bodies in HTTP chunks of this size. */
const CHUNK_BYTES = 4096;
const END_OF_HEAD = Buffer.from('\r\n\r\n');
const LAST_CHUNK = Buffer.from('0\r\n\r\n');

export interface Answer {
  status: number;
  /** As on the wire, usually packed: see `unpack`. */
  body: Buffer;
}

/** Header lines up to the body, `Transfer-Encoding: chunked`. */
export function headOf(path: string, key: string, sessionKey: string, more = ''): Buffer {
  const sync = JSON.stringify({ v: 11, k: key, c: '26.09.3,bench,lin', s: sessionKey });
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nanki-sync: ${sync}\r\ncontent-type: application/octet-stream\r\naccept: */*\r\n` +
      `host: 127.0.0.1\r\ntransfer-encoding: chunked\r\n${more}\r\n`,
  );
}

/** A whole request. `body` is JSON text or any value; bytes go out packed as they are. */
export function requestOf(path: string, key: string, sessionKey: string, body: unknown): Buffer {
  const plain = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  return Buffer.concat([headOf(path, key, sessionKey), ...chunked(zstdCompressSync(plain)), LAST_CHUNK]);
}

export function unpack(body: Buffer): Buffer {
  return body.length === 0 ? body : zstdDecompressSync(body);
}

export function jsonOf(answer: Answer): any {
  return JSON.parse(unpack(answer.body).toString());
}

export class Connection {
  readonly #socket: Socket;
  #received: Buffer[] = [];
  #bytes = 0;
  #waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | null = null;
  /** Length of the whole answer once its head has come; -1 while its last chunk is awaited. */
  #expected = 0;
  #head = '';

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    const lost = (error?: Error): void => {
      this.#waiting?.reject(error ?? new Error('the server closed the connection'));
      this.#waiting = null;
    };
    socket.on('error', lost);
    socket.on('close', () => lost());
  }

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connectSocket(port, '127.0.0.1', () => {
        socket.off('error', reject);
        resolve(new Connection(socket));
      });
      socket.once('error', reject);
    });
  }

  /** Sends a whole request and resolves with the whole answer. One at a time. */
  call(request: Buffer): Promise<Answer> {
    const answer = this.#answer();
    this.#socket.write(request);
    return answer;
  }

  /** Like `call`, with the body from a file, packed as zstd already. */
  async callWithFile(head: Buffer, packedFile: string): Promise<Answer> {
    const answer = this.#answer();
    answer.catch(() => {});
    this.#socket.write(head);
    for await (const piece of createReadStream(packedFile, { highWaterMark: 64 * CHUNK_BYTES })) {
      const sent = this.#socket.write(Buffer.concat(chunked(piece as Buffer)));
      if (!sent && this.#waiting) await this.#drained();
    }
    this.#socket.write(LAST_CHUNK);
    return answer;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Once the socket takes more, or nothing more at all. */
  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#socket.off('drain', done).off('close', done);
        resolve();
      };
      this.#socket.on('drain', done).on('close', done);
    });
  }

  #answer(): Promise<Answer> {
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }

  #take(bytes: Buffer): void {
    this.#received.push(bytes);
    this.#bytes += bytes.length;
    if (this.#head === '') {
      const all = this.#joined();
      const end = all.indexOf(END_OF_HEAD);
      if (end < 0) return;
      this.#head = all.toString('latin1', 0, end).toLowerCase();
      this.#expected = wholeBytes(this.#head) ?? -1;
    }
    if (this.#expected >= 0 ? this.#bytes < this.#expected : !this.#endsWithLastChunk()) return;
    const all = this.#joined();
    const begins = all.indexOf(END_OF_HEAD) + 4;
    const body = this.#expected >= 0 ? all.subarray(begins, this.#expected) : unchunked(all.subarray(begins));
    const status = Number(this.#head.slice(9, 12));
    const waiting = this.#waiting;
    this.#received = [];
    this.#bytes = 0;
    this.#head = '';
    this.#waiting = null;
    waiting?.resolve({ status, body });
  }

  #endsWithLastChunk(): boolean {
    const last = this.#received.at(-1)!;
    return (last.length >= 5 ? last : this.#joined()).subarray(-5).equals(LAST_CHUNK);
  }

  #joined(): Buffer {
    if (this.#received.length > 1) this.#received = [Buffer.concat(this.#received)];
    return this.#received[0]!;
  }
}

/** A download that is only counted: `firstByteMillis` after the request, `millis` in all. Throws unless the answer is whole. */
export function countedDownload(port: number, request: Buffer): Promise<{ millis: number; firstByteMillis: number; bytes: number }> {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    let firstByteMillis = 0;
    let bytes = 0;
    let tail: Buffer = Buffer.alloc(0);
    let expected: number | undefined;
    const socket = connectSocket(port, '127.0.0.1', () => socket.write(request));
    socket.on('error', reject);
    socket.on('data', (piece: Buffer) => {
      if (bytes === 0) {
        firstByteMillis = performance.now() - begun;
        if (!piece.subarray(9, 12).equals(Buffer.from('200'))) reject(new Error(piece.toString('latin1', 0, 300)));
        expected = wholeBytes(piece.toString('latin1', 0, piece.indexOf(END_OF_HEAD)).toLowerCase());
      }
      bytes += piece.length;
      tail = Buffer.concat([tail, piece]).subarray(-5);
    });
    socket.on('close', () => {
      if (expected === undefined ? tail.equals(LAST_CHUNK) : bytes === expected) resolve({ millis: performance.now() - begun, firstByteMillis, bytes });
      else reject(new Error('the download was cut short'));
    });
  });
}

/** Of the answer that begins with this head, in lower case: head and body. Undefined of one that comes in chunks. */
function wholeBytes(head: string): number | undefined {
  const length = /\r\ncontent-length: *(\d+)/.exec(head);
  return length === null ? undefined : head.length + END_OF_HEAD.length + Number(length[1]);
}

function chunked(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    const part = bytes.subarray(at, at + CHUNK_BYTES);
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
  }
  return parts;
}

function unchunked(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = bytes.indexOf('\r\n', at);
    const length = parseInt(bytes.toString('latin1', at, end), 16);
    if (length === 0) return Buffer.concat(parts);
    parts.push(bytes.subarray(end + 2, end + 2 + length));
    at = end + 4 + length;
  }
}
