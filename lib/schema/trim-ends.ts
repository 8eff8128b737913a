/** What Rust calls white space: JavaScript's `trim` knows U+FEFF too, and not U+0085. All of it is one UTF-16 unit wide. */
const WHITE_SPACE = /\p{White_Space}/u;

/** Trims as Rust does, in one pass; `also` are further characters to go. */
export function trimEnds(text: string, also = ''): string {
  const goes = (char: string): boolean => also.includes(char) || WHITE_SPACE.test(char);
  let start = 0;
  let end = text.length;
  while (start < end && goes(text[start]!)) start++;
  while (start < end && goes(text[end - 1]!)) end--;
  return text.slice(start, end);
}
