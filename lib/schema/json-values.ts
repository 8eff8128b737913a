const COMMA = 0x2c;
const COLON = 0x3a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING_BRACKET = 0x5b;
const OPENING_BRACE = 0x7b;

/**
 * Whether a JSON text has more than `max` values and keys: what parsing it costs in memory, found without parsing. Strings are
 * skipped, so that their own commas do not count. What is no JSON gets some answer.
 */
export function hasMoreValues(json: Uint8Array, max: number): boolean {
  if (json.length <= max) return false;
  const bytes = Buffer.from(json.buffer, json.byteOffset, json.byteLength);
  let values = 1;
  for (let at = 0; at < bytes.length && values <= max; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfString(bytes, at);
    else if (byte === COMMA || byte === COLON || byte === OPENING_BRACKET || byte === OPENING_BRACE) values += 1;
  }
  return values > max;
}

/** Where the string that begins at `start` has its closing quotation mark; the end of the text if it has none. */
function endOfString(bytes: Buffer, start: number): number {
  for (let at = start; ; ) {
    at = bytes.indexOf(QUOTE, at + 1);
    if (at < 0) return bytes.length;
    let escapes = 0;
    while (bytes[at - 1 - escapes] === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return at;
  }
}
