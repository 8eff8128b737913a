/** JSON from outside → value, without ever bringing the thread near the end of its heap. */
import { getHeapStatistics } from 'node:v8';
import { SyncError } from '../errors.ts';
import { parseLossless, type Json } from '../schema/json.ts';

/**
 * When a heap is full, V8 ends one thread; but when a single large object does not fit any more, it ends the whole process.
 * So what a body costs is bounded before it is parsed. Its text, the strings in it, and what a step makes of them take up to
 * two bytes a character each.
 */
const BYTES_PER_HEAP_BYTE = 1 / 8;
/** An empty object takes 56 bytes, a number with all its digits about as many while it is parsed, a new key about 200. */
const VALUES_PER_HEAP_BYTE = 1 / 512;

const COMMA = 0x2c;
const COLON = 0x3a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING_BRACKET = 0x5b;
const OPENING_BRACE = 0x7b;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Throws BODY_NOT_JSON (400), and BODY_TOO_LARGE (413) for what this thread has no memory for. */
export function parseJsonBody(body: Uint8Array): Json {
  const heapBytes = getHeapStatistics().heap_size_limit;
  const maxValues = heapBytes * VALUES_PER_HEAP_BYTE;
  if (body.length > heapBytes * BYTES_PER_HEAP_BYTE || (body.length > maxValues && hasMoreValues(body, maxValues))) {
    throw new SyncError('BODY_TOO_LARGE', 'the body is too large');
  }
  try {
    return parseLossless(utf8.decode(body));
  } catch (error) {
    throw new SyncError('BODY_NOT_JSON', 'the body is not JSON', { cause: error });
  }
}

/** Whether there are more than `max` values and keys. Text is skipped, so that its own commas do not count. */
function hasMoreValues(body: Uint8Array, max: number): boolean {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  let values = 1;
  for (let at = 0; at < bytes.length && values <= max; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfText(bytes, at);
    else if (byte === COMMA || byte === COLON || byte === OPENING_BRACKET || byte === OPENING_BRACE) values += 1;
  }
  return values > max;
}

/** Where the text that begins at `start` has its closing quotation mark; the end of the body if it has none. */
function endOfText(bytes: Buffer, start: number): number {
  for (let at = start; ; ) {
    at = bytes.indexOf(QUOTE, at + 1);
    if (at < 0) return bytes.length;
    let escapes = 0;
    while (bytes[at - 1 - escapes] === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return at;
  }
}
