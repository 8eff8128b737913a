/** JSON from outside → value, without ever bringing the thread near the end of its heap. */
import { getHeapStatistics } from 'node:v8';
import { SyncError } from '../errors.ts';
import { parseLossless, parseNumbersLossless, type Json } from '../schema/json.ts';
import { surveyJson } from '../schema/json-values.ts';
import type { JsonText } from './calls.ts';

/**
 * When a heap is full, V8 ends one thread; but when a single large object does not fit any more, it ends the whole process.
 * So what a body costs is bounded before it is parsed. Its text, the strings in it, and what a step makes of them take up to
 * two bytes a character each.
 */
const BYTES_PER_HEAP_BYTE = 1 / 8;
/** An empty object takes 56 bytes, a number with all its digits about as many while it is parsed, a new key about 200. */
const VALUES_PER_HEAP_BYTE = 1 / 512;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Throws BODY_NOT_JSON (400), and BODY_TOO_LARGE (413) for what this thread has no memory for. Texts short enough to come as strings fit into any heap. */
export function parseJsonBody(body: JsonText): Json {
  const mayLose = typeof body === 'string' ? undefined : surveyed(body);
  try {
    if (typeof body === 'string') return parseLossless(body);
    const text = utf8.decode(body);
    return mayLose === true ? parseNumbersLossless(text) : (JSON.parse(text) as Json);
  } catch (error) {
    throw new SyncError('BODY_NOT_JSON', 'the body is not JSON', { cause: error });
  }
}

/** Whether the body has numbers that JSON.parse may change. */
function surveyed(body: Uint8Array): boolean {
  const heapBytes = getHeapStatistics().heap_size_limit;
  if (body.length > heapBytes * BYTES_PER_HEAP_BYTE) throw tooLarge();
  const { tooManyValues, mayLose } = surveyJson(body, heapBytes * VALUES_PER_HEAP_BYTE);
  if (tooManyValues) throw tooLarge();
  return mayLose;
}

function tooLarge(): SyncError {
  return new SyncError('BODY_TOO_LARGE', 'the body is too large');
}
