/** JSON from outside → value, without ever bringing the thread near the end of its heap. */
import { getHeapStatistics } from 'node:v8';
import { SyncError } from '../errors.ts';
import { parseLossless, type Json } from '../schema/json.ts';
import { hasMoreValues } from '../schema/json-values.ts';

/**
 * When a heap is full, V8 ends one thread; but when a single large object does not fit any more, it ends the whole process.
 * So what a body costs is bounded before it is parsed. Its text, the strings in it, and what a step makes of them take up to
 * two bytes a character each.
 */
const BYTES_PER_HEAP_BYTE = 1 / 8;
/** An empty object takes 56 bytes, a number with all its digits about as many while it is parsed, a new key about 200. */
const VALUES_PER_HEAP_BYTE = 1 / 512;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Throws BODY_NOT_JSON (400), and BODY_TOO_LARGE (413) for what this thread has no memory for. */
export function parseJsonBody(body: Uint8Array): Json {
  const heapBytes = getHeapStatistics().heap_size_limit;
  const maxValues = heapBytes * VALUES_PER_HEAP_BYTE;
  if (body.length > heapBytes * BYTES_PER_HEAP_BYTE || hasMoreValues(body, maxValues)) {
    throw new SyncError('BODY_TOO_LARGE', 'the body is too large');
  }
  try {
    return parseLossless(utf8.decode(body));
  } catch (error) {
    throw new SyncError('BODY_NOT_JSON', 'the body is not JSON', { cause: error });
  }
}
