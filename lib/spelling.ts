import { nearest } from '../options.ts';

/** ` Did you mean …?`, where one of the known words is close to what was typed; empty otherwise. */
export function hint(typed: string, known: readonly string[]): string {
  const word = nearest(typed, known);
  return word === undefined ? '' : ` Did you mean ${word}?`;
}
