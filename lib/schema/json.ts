/**
 * JSON without loss. Notetype fields and templates carry random 64-bit ids (`-7290854878769846350`), which `JSON.parse`
 * rounds; and `1.0` must stay `1.0` for keys we do not know. Numbers that JavaScript cannot hold exactly as they were
 * written become `JSON.rawJSON` objects, which `JSON.stringify` writes back unchanged.
 */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Digits in a row, or a fraction or exponent: only such numbers can change in a plain parse. */
const MAY_LOSE = /\d{16}|\d[.eE]/;

interface RawJsonSupport {
  rawJSON(text: string): object;
  isRawJSON(value: unknown): value is { rawJSON: string };
}
const raw = JSON as unknown as RawJsonSupport;

/**
 * Parses text; throws SyntaxError like `JSON.parse`. A key `__proto__` becomes an own property, as in `JSON.parse`.
 * Asking for the source of every number takes many times as long, and hardly any body holds a number that needs it.
 */
export function parseLossless(text: string): Json {
  const plain = JSON.parse(text) as Json;
  return MAY_LOSE.test(text) && mayLoseOutsideStrings(text) ? parseNumbersLossless(text) : plain;
}

/** The same for a text of which `surveyJson` knows that a number in it may lose. */
export function parseNumbersLossless(text: string): Json {
  return (JSON.parse as (t: string, r: (k: string, v: unknown, c: { source?: string }) => unknown) => Json)(
    text,
    (_key, value, context) =>
      typeof value === 'number' && context.source !== undefined && String(value) !== context.source
        ? raw.rawJSON(context.source)
        : value,
  );
}

/** @param text valid JSON */
function mayLoseOutsideStrings(text: string): boolean {
  for (let from = 0; ; ) {
    const opening = text.indexOf('"', from);
    if (MAY_LOSE.test(text.slice(from, opening === -1 ? undefined : opening))) return true;
    if (opening === -1) return false;
    from = text.indexOf('"', opening + 1) + 1;
    while (isEscaped(text, from - 1)) from = text.indexOf('"', from) + 1;
  }
}

function isEscaped(text: string, index: number): boolean {
  let backslashes = 0;
  while (text[index - 1 - backslashes] === '\\') backslashes += 1;
  return backslashes % 2 === 1;
}

export function stringifyLossless(value: Json): string {
  return JSON.stringify(value);
}

/** The source text of a number kept raw, or undefined for any other value. */
export function rawNumber(value: unknown): string | undefined {
  return raw.isRawJSON(value) ? value.rawJSON : undefined;
}
