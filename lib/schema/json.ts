/**
 * JSON without loss. Notetype fields and templates carry random 64-bit ids (`-7290854878769846350`), which `JSON.parse`
 * rounds; and `1.0` must stay `1.0` for keys we do not know. Numbers that JavaScript cannot hold exactly as they were
 * written become `JSON.rawJSON` objects, which `JSON.stringify` writes back unchanged.
 */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Digits in a row, or a fraction or exponent: only such texts can hold a number that a plain parse would change. */
const MAY_LOSE = /\d{16}|\d[.eE]/;

interface RawJsonSupport {
  rawJSON(text: string): object;
  isRawJSON(value: unknown): value is { rawJSON: string };
}
const raw = JSON as unknown as RawJsonSupport;

/** Parses text; throws SyntaxError like `JSON.parse`. A key `__proto__` becomes an own property, as in `JSON.parse`. */
export function parseLossless(text: string): Json {
  if (!MAY_LOSE.test(text)) return JSON.parse(text) as Json;
  return (JSON.parse as (t: string, r: (k: string, v: unknown, c: { source?: string }) => unknown) => Json)(
    text,
    (_key, value, context) =>
      typeof value === 'number' && context.source !== undefined && String(value) !== context.source
        ? raw.rawJSON(context.source)
        : value,
  );
}

export function stringifyLossless(value: Json): string {
  return JSON.stringify(value);
}

/** The source text of a number kept raw, or undefined for any other value. */
export function rawNumber(value: unknown): string | undefined {
  return raw.isRawJSON(value) ? value.rawJSON : undefined;
}
