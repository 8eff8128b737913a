/**
 * Numbers as Anki writes them into schema 11: 64-bit ids exactly, 32-bit floats by their shortest decimal (0.9, not
 * 0.8999999761581421), and integers cut to the smaller type where schema 11 has one.
 */
import { parseLossless } from '../json.ts';
import type { Json } from '../json.ts';
import type { Losses } from './losses.ts';

export function integer(value: bigint): Json {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : parseLossless(String(value));
}

/** `value` is finite and a 32-bit float. Whole numbers get their `.0`, as serde writes them. */
export function float32(value: number): Json {
  let digits = 1;
  while (Math.fround(Number(value.toPrecision(digits))) !== value) digits++;
  const text = String(Number(value.toPrecision(digits)));
  return parseLossless(/^-?\d+$/.test(text) ? `${text}.0` : text);
}

/** Cuts like Anki's casts, and reports where that changed the number. */
export function cut(value: number, type: 'u8' | 'u16' | 'i32', what: string, where: string, losses: Losses): number {
  const result = type === 'i32' ? value | 0 : value & (type === 'u8' ? 0xff : 0xffff);
  if (result !== value) losses.add(`${what} does not fit into schema 11`, where);
  return result;
}

/** A product of two 32-bit floats, without its fraction: the same bits as in Anki. */
export function wholeProduct(value: number, factor: number): number {
  return Math.trunc(Math.fround(value * factor));
}
