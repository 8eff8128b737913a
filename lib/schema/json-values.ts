const COMMA = 0x2c;
const COLON = 0x3a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING_BRACKET = 0x5b;
const OPENING_BRACE = 0x7b;
const ZERO = 0x30;
const NINE = 0x39;
const POINT = 0x2e;
const LETTER_E = 0x65;
const TO_LOWER_CASE = 0x20;
/** Any number with fewer digits, and without a fraction or exponent, is one that JavaScript holds as it is written. */
const LOSSY_DIGITS = 16;

export interface JsonSurvey {
  /** Whether there are more than so many values and keys: what parsing costs in memory. */
  tooManyValues: boolean;
  /** Whether a number could change in a plain `JSON.parse`. */
  mayLose: boolean;
}

/**
 * Walks a JSON text once, without parsing it. What stands in strings is neither counted nor looked at.
 * What is no JSON gets some answer; a walk that finds too many values ends there.
 */
export function surveyJson(json: Uint8Array, maxValues: number): JsonSurvey {
  let values = 1;
  let mayLose = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]!;
    if (byte === QUOTE) at = endOfString(json, at);
    else if (byte === COMMA || byte === COLON || byte === OPENING_BRACKET || byte === OPENING_BRACE) {
      values += 1;
      if (values > maxValues) return { tooManyValues: true, mayLose };
    } else if (byte >= ZERO && byte <= NINE) {
      const end = endOfDigits(json, at);
      const next = json[end] ?? 0;
      if (end - at >= LOSSY_DIGITS || next === POINT || (next | TO_LOWER_CASE) === LETTER_E) mayLose = true;
      at = end - 1;
    }
  }
  return { tooManyValues: false, mayLose };
}

/** How many keys the objects of a valid JSON text have: more than those of the parsed value where one stands twice in its object. */
export function countKeys(json: Uint8Array): number {
  let keys = 0;
  for (let at = 0; at < json.length; at++) {
    if (json[at] === QUOTE) at = endOfString(json, at);
    else if (json[at] === COLON) keys += 1;
  }
  return keys;
}

/** Where the string that begins at `start` has its closing quotation mark; the end of the text if it has none. */
function endOfString(json: Uint8Array, start: number): number {
  let at = start + 1;
  for (; at < json.length; at++) {
    const byte = json[at];
    if (byte === QUOTE) return at;
    if (byte === BACKSLASH) at += 1;
  }
  return at;
}

function endOfDigits(json: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at]! >= ZERO && json[at]! <= NINE) at += 1;
  return at;
}
