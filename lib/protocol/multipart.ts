/** Reads a multipart form (RFC 7578) part by part, as it comes, in memory of two pieces of the body. */
import { isUtf8 } from 'node:buffer';
import { SyncError } from '../errors.ts';
import type { BodySource } from './body-source.ts';

/** Clients send five parts. */
const MAX_PARTS = 16;
/** Of a part's headers, and of the value of a field: a host key, a client's description of itself. */
const MAX_FIELD_BYTES = 4096;
/** What may follow the end of the form: a line end. */
const MAX_EPILOGUE_BYTES = 1024;
/** RFC 2046. */
const BOUNDARY = /^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/;
const LINE_END = Buffer.from('\r\n');
const HEADERS_END = Buffer.from('\r\n\r\n');

/** The boundary of a `Content-Type`, or null when it is no multipart form. Throws BODY_INVALID for a form without a boundary. */
export function boundaryOf(contentType: string): string | null {
  if (!/^\s*multipart\/form-data\s*(;|$)/i.test(contentType)) return null;
  const boundary = parametersOf(contentType.slice(contentType.indexOf(';') + 1)).get('boundary');
  if (boundary === undefined || !BOUNDARY.test(boundary)) throw malformed();
  return boundary;
}

export class MultipartReader {
  #source: BodySource;
  #delimiter: Buffer;
  /** Read and not yet given; begins behind the last delimiter that was found. A form begins with one, less its line end. */
  #ahead: Buffer = LINE_END;
  #where: 'delimiter' | 'part' | 'end' = 'part';
  #parts = 0;
  #hadData = false;

  constructor(source: BodySource, boundary: string) {
    this.#source = source;
    this.#delimiter = Buffer.from(`\r\n--${boundary}`);
  }

  /**
   * The name of the next part, of which nothing is read yet, or null at the end of the form. What is left of the part
   * before counts as a field.
   *
   * Throws BODY_INVALID, BODY_TRUNCATED, BODY_TRAILING_DATA, ClientGone.
   */
  async nextPart(): Promise<string | null> {
    if (this.#parts === 0) {
      if ((await this.#upTo(this.#delimiter, this.#delimiter.length)).length > 0) throw malformed();
      this.#where = 'delimiter';
    } else if (this.#where === 'part') {
      await this.field();
    }
    if (this.#where === 'end') return null;
    const mark = await this.#take(2);
    if (mark.toString('latin1') === '--') {
      await this.#epilogue();
      return null;
    }
    if (!mark.equals(LINE_END)) throw malformed();
    if (++this.#parts > MAX_PARTS) throw new SyncError('BODY_INVALID', 'the form has too many parts');
    this.#where = 'part';
    return nameOf((await this.#upTo(HEADERS_END, MAX_FIELD_BYTES)).toString('latin1'));
  }

  /**
   * The value of a small part. In a form without data, the last one may end with a line instead of the delimiter: early
   * AnkiDroid ends its forms so.
   *
   * Throws BODY_INVALID when it is longer than 4 KiB or not UTF-8, BODY_TRUNCATED, ClientGone.
   */
  async field(): Promise<string> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    const add = (piece: Uint8Array): void => {
      bytes += piece.length;
      if (bytes > MAX_FIELD_BYTES) throw new SyncError('BODY_INVALID', 'a field of the form is too long');
      pieces.push(piece);
    };
    for (let piece = await this.#read(); piece !== null; piece = await this.#read()) add(piece);
    if (this.#where === 'part') {
      add(this.#ahead);
      this.#where = 'end';
    }
    let value = Buffer.concat(pieces);
    if (this.#where === 'end') {
      const end = value.indexOf(LINE_END);
      if (this.#hadData || end < 0 || end !== value.length - 2) throw truncated();
      value = value.subarray(0, end);
    }
    if (!isUtf8(value)) throw new SyncError('BODY_INVALID', 'a field of the form is not UTF-8');
    return value.toString();
  }

  /**
   * The next bytes of a large part, never none, or null at its end.
   *
   * Throws BODY_TRUNCATED when the body ends before the part does, ClientGone.
   */
  async data(): Promise<Uint8Array | null> {
    this.#hadData = true;
    const piece = await this.#read();
    if (piece === null && this.#where === 'part') throw truncated();
    return piece;
  }

  /** Null at the end of the part, or, with the last bytes still ahead, at the end of the body. */
  async #read(): Promise<Uint8Array | null> {
    while (this.#where === 'part') {
      const found = this.#ahead.indexOf(this.#delimiter);
      // a delimiter may have begun at the end
      const sure = found >= 0 ? found : this.#ahead.length - this.#delimiter.length + 1;
      if (sure > 0) return this.#shift(sure);
      if (found === 0) {
        this.#shift(this.#delimiter.length);
        this.#where = 'delimiter';
      } else if (!(await this.#more())) {
        return null;
      }
    }
    return null;
  }

  /** Everything up to `mark`, which is skipped. */
  async #upTo(mark: Buffer, maxBytes: number): Promise<Buffer> {
    for (;;) {
      const found = this.#ahead.indexOf(mark);
      if (found > maxBytes || (found < 0 && this.#ahead.length > maxBytes + mark.length)) throw malformed();
      if (found >= 0) {
        const before = this.#shift(found);
        this.#shift(mark.length);
        return before;
      }
      if (!(await this.#more())) throw truncated();
    }
  }

  async #take(bytes: number): Promise<Buffer> {
    while (this.#ahead.length < bytes) if (!(await this.#more())) throw truncated();
    return this.#shift(bytes);
  }

  async #epilogue(): Promise<void> {
    this.#where = 'end';
    let bytes = this.#ahead.length;
    this.#ahead = Buffer.alloc(0);
    for (let piece = await this.#source.next(); piece !== null; piece = await this.#source.next()) bytes += piece.length;
    if (bytes > MAX_EPILOGUE_BYTES) throw new SyncError('BODY_TRAILING_DATA', 'the body goes on after its form');
  }

  #shift(bytes: number): Buffer {
    const first = this.#ahead.subarray(0, bytes);
    this.#ahead = this.#ahead.subarray(bytes);
    return first;
  }

  async #more(): Promise<boolean> {
    const piece = await this.#source.next();
    if (piece === null) return false;
    const next = Buffer.from(piece.buffer, piece.byteOffset, piece.length);
    this.#ahead = this.#ahead.length === 0 ? next : Buffer.concat([this.#ahead, next]);
    return true;
  }
}

function nameOf(headers: string): string {
  const disposition = /^content-disposition:\s*form-data\s*;(.*)$/im.exec(headers)?.[1];
  const name = disposition === undefined ? undefined : parametersOf(disposition).get('name');
  if (name === undefined) throw malformed();
  return name;
}

/** `a=b; c="d"`. Of two with the same name, the first one. */
function parametersOf(text: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const [, name, quoted, bare] of text.matchAll(/\s*([^=;\s]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))\s*(?:;|$)/g)) {
    const key = name!.toLowerCase();
    if (!parameters.has(key)) parameters.set(key, quoted?.replaceAll(/\\(.)/g, '$1') ?? bare ?? '');
  }
  return parameters;
}

function malformed(): SyncError {
  return new SyncError('BODY_INVALID', 'the form is malformed');
}

function truncated(): SyncError {
  return new SyncError('BODY_TRUNCATED', 'the body ended too early');
}
