/** How an answer crosses from a thread to the main side. */
import { packed } from '../zstd.ts';
import { MAX_STRING_CHARS, type Answer, type Call } from './calls.ts';

/** Larger ones are packed in the thread pool: a thread has other users. */
const MAX_PACKED_BYTES = 4 * 1024 * 1024;

const encoder = new TextEncoder();

/**
 * An answer as it crosses to the main side. What is large is packed here, where the client takes it so: the less crosses, the less
 * memory the main side gets and gives back. What is small stays as it is.
 */
export function crossing(answer: Answer, packs: boolean): Answer {
  if (answer.kind !== 'bytes') return answer;
  const { release: _, after: __, level, ...rest } = answer;
  const { data, moved } = rest;
  const isLarge = data.length > MAX_STRING_CHARS;
  if (isLarge && packs && data.length <= MAX_PACKED_BYTES) return { kind: 'packed', ...packed(data, level), ...(moved === undefined ? {} : { moved }) };
  if (typeof data === 'string') return isLarge ? { ...rest, data: encoder.encode(data) } : rest;
  // a part of a buffer would take all of it along
  return { ...rest, data: data.length < data.buffer.byteLength ? new Uint8Array(data) : data };
}

/** Smaller ones are copied: they may be a part of memory that Node shares out. */
const LEAST_MOVED_BYTES = 256 * 1024;

/** What was unpacked has all of its memory for itself, but for a byte or so. A part of something larger may have other users. */
const MOST_UNUSED_BYTES = 64;

/** The memory of a zip or a JSON text on its way to a thread, which is not needed on the main side any more. */
export function transferableOfCall(call: Call | 'close'): ArrayBuffer[] {
  if (call === 'close') return [];
  if ('body' in call) return typeof call.body === 'string' ? [] : memoryOf(call.body, call.body.length + MOST_UNUSED_BYTES);
  if (call.step !== 'uploadChanges' || typeof call.zip === 'string' || call.zip.length < LEAST_MOVED_BYTES) return [];
  return memoryOf(call.zip, Infinity);
}

function memoryOf({ buffer }: Uint8Array, maxBytes: number): ArrayBuffer[] {
  return buffer instanceof ArrayBuffer && buffer.byteLength <= maxBytes ? [buffer] : [];
}

/** The answer's memory, if it is its own and may move instead of being copied. */
export function transferable(answer: Answer): ArrayBuffer[] {
  if (answer.kind === 'file' || typeof answer.data === 'string') return [];
  const { buffer, byteLength } = answer.data;
  // of a packed one, the unused rest of its buffer moves with it
  const isOwn = answer.kind === 'packed' || (byteLength === buffer.byteLength && !Buffer.isBuffer(answer.data));
  return buffer instanceof ArrayBuffer && isOwn ? [buffer] : [];
}
