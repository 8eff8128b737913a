/**
 * JSON inside of blobs: the keys that Anki itself does not know, kept by it as text in `other`.
 */
import { parseLossless, rawNumber } from '../json.ts';
import type { Json } from '../json.ts';
import type { Losses } from './losses.ts';

export type JsonObject = { [key: string]: Json };

// Anki's JSON reader stops at 128 levels; schema 11 adds up to five around a value.
const MAX_LEVELS = 120;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Parses what Anki can read back from schema 11. Throws where it could not, though JavaScript can: half surrogate pairs,
 * numbers beyond a double, deep nesting.
 */
export function parseForAnki(bytes: Uint8Array): { text: string; value: Json } {
  const text = utf8.decode(bytes);
  const value = parseLossless(text);
  if (!ankiReads(value, MAX_LEVELS)) throw new SyntaxError('JSON that Anki cannot read');
  return { text, value };
}

function ankiReads(value: Json, levels: number): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  const number = rawNumber(value);
  if (number !== undefined) return Number.isFinite(Number(number));
  if (levels === 0) return false;
  return Object.entries(value).every(([key, inner]) => key.isWellFormed() && ankiReads(inner, levels - 1));
}

/** The keys of `other` without the reserved ones. What is no JSON object is dropped, as Anki does, and reported. */
export function otherKeys(bytes: Uint8Array, reserved: ReadonlySet<string>, what: string, where: string, losses: Losses): JsonObject {
  if (bytes.length === 0) return {};
  let value: Json;
  try {
    value = parseForAnki(bytes).value;
  } catch {
    losses.add(`${what}: unknown keys are unreadable`, where);
    return {};
  }
  return keysOf(value, reserved, what, where, losses);
}

export function keysOf(value: Json, reserved: ReadonlySet<string>, what: string, where: string, losses: Losses): JsonObject {
  if (!isObject(value)) {
    losses.add(`${what}: unknown keys are unreadable`, where);
    return {};
  }
  return Object.fromEntries(Object.entries(value).filter(([key]) => !reserved.has(key)));
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && rawNumber(value) === undefined;
}
