/** Sizes as people write them. */

const UNITS = 'KMGT';

/** Exact, in the largest unit that it is a whole number of: `bytesIn` reads it back. */
export function sizeText(bytes: number): string {
  for (let power = UNITS.length; power > 0; power--) {
    if (bytes % 1024 ** power === 0) return `${bytes / 1024 ** power} ${UNITS[power - 1]}iB`;
  }
  return `${bytes} B`;
}

/** `200M`, `1.5 GiB`, `500000`: K, M, G and T are powers of 1024. Undefined for what is no size, or none of at least a byte. */
export function bytesIn(text: string): number | undefined {
  const [, digits, unit] = /^(\d{1,15}(?:\.\d{1,3})?) ?(?:([KMGT])(?:i?B)?|B)?$/i.exec(text.trim()) ?? [];
  if (digits === undefined) return undefined;
  const bytes = Math.round(Number(digits) * 1024 ** (unit === undefined ? 0 : UNITS.indexOf(unit.toUpperCase()) + 1));
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}
