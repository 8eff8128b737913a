/** ` Did you mean …?`, where one of the known words is close to what was typed, or one begins with the other; empty otherwise. */
export function hint(typed: string, known: readonly string[]): string {
  const nearest = shortenedWord(typed, known) ?? nearestWord(typed, known, Math.max(2, Math.floor(typed.length / 3)));
  return nearest === undefined ? '' : ` Did you mean ${nearest}?`;
}

/** The known word that takes the fewest edits, if it takes no more than `maxEdits`. */
export function nearestWord(typed: string, known: readonly string[], maxEdits: number): string | undefined {
  let nearest: string | undefined;
  let fewest = maxEdits + 1;
  for (const word of known) {
    // every start compares each variable of the environment with each of ours
    if (Math.abs(word.length - typed.length) >= fewest) continue;
    const edits = editDistance(typed.toLowerCase(), word.toLowerCase());
    if (edits < fewest) [nearest, fewest] = [word, edits];
  }
  return nearest;
}

/** `tls-certificate` for `tls-cert`, `quota_media` for `quota_media_mib`: of several the one that is nearest in length. */
function shortenedWord(typed: string, known: readonly string[]): string | undefined {
  const begins = (longer: string, shorter: string): boolean => shorter.replace(/^-+/, '').length >= 5 && longer.startsWith(shorter);
  const missing = (word: string): number => Math.abs(word.length - typed.length);
  const lower = typed.toLowerCase();
  return known.filter((word) => begins(word.toLowerCase(), lower) || begins(lower, word.toLowerCase())).sort((a, b) => missing(a) - missing(b))[0];
}

/** Letters to insert, delete or replace to get from one word to the other. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[to.length]!;
}
