/**
 * Single values of the sync protocol's JSON, judged as Rust's serde_json judges them for the types of rslib:
 * an integer is one only if it is written as one (`1.0` is not), and only within the range of its type.
 */
import { parseLossless, rawNumber, type Json } from './json.ts';
import { SchemaError } from './schema-error.ts';

export type JsonObject = { [key: string]: Json };

export type Check = (value: Json | undefined) => boolean;

/** Levels of lists and objects; deeper ones make serde_json, and with it every client, give up. */
const MAX_DEPTH = 127;

const I64 = [-(2n ** 63n), 2n ** 63n - 1n] as const;

/**
 * Refuses what our JSON can say and that of clients cannot: lone surrogates, numbers beyond a double, a nesting too deep.
 * Stored once, any of these would stop all of the user's devices from syncing.
 */
export function checkJson(value: Json, depth = 0): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new SchemaError('a text is not Unicode');
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    if (depth === MAX_DEPTH) throw tooDeep();
    for (const item of value) checkJson(item, depth + 1);
    return;
  }
  const raw = rawNumber(value);
  if (raw !== undefined) {
    if (!Number.isFinite(Number(raw))) throw new SchemaError('a number is out of range');
    return;
  }
  if (depth === MAX_DEPTH) throw tooDeep();
  for (const [key, item] of Object.entries(value)) {
    if (!key.isWellFormed()) throw new SchemaError('a key is not Unicode');
    checkJson(item, depth + 1);
  }
}

function tooDeep(): SchemaError {
  return new SchemaError('lists and objects are nested too deep');
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && rawNumber(value) === undefined;
}

export const isText: Check = (value) => typeof value === 'string';
export const isBoolean: Check = (value) => typeof value === 'boolean';
export const isList: Check = (value) => Array.isArray(value);
export const isNumber: Check = (value) => typeof value === 'number' || rawNumber(value) !== undefined;
export const isAnything: Check = (value) => value !== undefined;
export const isI64: Check = (value) => isSafeInteger(value) || inRange(integerOf(value), ...I64);
export const isI32: Check = (value) => isSafeInteger(value) && (value | 0) === value;
export const isU32 = upTo(2 ** 32 - 1);
export const isU16 = upTo(2 ** 16 - 1);
export const isU8 = upTo(2 ** 8 - 1);

export function upTo(last: number): Check {
  return (value) => isSafeInteger(value) && value >= 0 && value <= last;
}

export function isListOf(check: Check): Check {
  return (value) => Array.isArray(value) && value.every(check);
}

/** Missing or null. */
export function orNull(check: Check): Check {
  return (value) => value === null || check(value);
}

/** Old clients wrote some ids and stamps as text. */
export function orDigits(check: Check): Check {
  return (value) => check(typeof value === 'string' ? integerOfText(value) : value);
}

/** What JavaScript holds exactly; minus zero is a float to serde_json. Nearly all numbers are of this kind, and bigints cost much more. */
function isSafeInteger(value: Json | undefined): value is number {
  return Number.isSafeInteger(value) && !Object.is(value, -0);
}

function inRange(value: bigint | number | undefined, min: bigint, max: bigint): boolean {
  return value !== undefined && value >= min && value <= max;
}

/** The value of a number that is written as an integer. Whole, but of any size. */
function integerOf(value: Json | undefined): number | bigint | undefined {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return isSafeInteger(value) ? value : undefined;
    // beyond, a number that came as it prints: its text is exact, its value is not
    return /^-?\d+$/.test(String(value)) ? BigInt(String(value)) : undefined;
  }
  const raw = rawNumber(value);
  return raw !== undefined && /^-?\d+$/.test(raw) && raw !== '-0' ? BigInt(raw) : undefined;
}

function integerOfText(text: string): Json | undefined {
  // `parse::<i64>` of Rust; more digits are out of its range anyway, unless they begin with zeros
  const match = /^([+-]?)0*(\d{1,20})$/.exec(text);
  return match ? parseLossless(`${match[1] === '-' && match[2] !== '0' ? '-' : ''}${match[2]}`) : undefined;
}

/**
 * A 64-bit id exactly: a number where JavaScript holds it, else a bigint. Text of digits counts, as from old clients.
 * @throws SchemaError when it is none
 */
export function idOf(value: Json | undefined): number | bigint {
  const integer = integerOf(typeof value === 'string' ? integerOfText(value) : value);
  if (integer === undefined || !inRange(integer, ...I64)) throw new SchemaError('an id is not a 64-bit integer');
  return narrow(integer);
}

function narrow(integer: number | bigint): number | bigint {
  return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
}

/** The number as JSON, exactly. */
export function jsonOfId(id: number | bigint): Json {
  return typeof id === 'number' ? id : parseLossless(String(id));
}

/**
 * Where rslib takes floats for integers (old clients wrote `due` and intervals so), it cuts the fraction off, holds the
 * result within 64 bits, and then keeps the lowest 32; `u32` makes negative ones 0 first. Undefined when it is no number.
 */
export function int64FromNumber(value: Json | undefined): number | bigint | undefined {
  if (isSafeInteger(value)) return value;
  const integer = integerOf(value);
  if (integer !== undefined && inRange(integer, ...I64)) return narrow(BigInt(integer));
  if (!isNumber(value)) return undefined;
  const float = Math.trunc(Number(rawNumber(value) ?? value));
  if (float >= 2 ** 63) return I64[1];
  if (float <= -(2 ** 63)) return I64[0];
  return narrow(BigInt(float));
}

export function i32FromNumber(value: Json | undefined): number | undefined {
  if (isI32(value)) return value as number;
  const integer = int64FromNumber(value);
  return integer === undefined ? undefined : Number(BigInt.asIntN(32, BigInt(integer)));
}

export function u32FromNumber(value: Json | undefined): number | undefined {
  if (isU32(value)) return value as number;
  const integer = int64FromNumber(value);
  return integer === undefined ? undefined : Number(BigInt.asUintN(32, integer < 0 ? 0n : BigInt(integer)));
}
