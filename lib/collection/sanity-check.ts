import type { TableCounts } from '../storage/storage.ts';
import type { RunningSync } from './running-sync.ts';

/** Counts as on the wire: [[new, learn, review], cards, notes, revlog, graves, notetypes, decks, deck configs]. */
export type SanityCounts = [[number, number, number], number, number, number, number, number, number, number];

export interface SanityAnswer {
  status: 'ok' | 'bad';
  c: SanityCounts;
  s: SanityCounts | null;
}

/**
 * `sanityCheck2`: both sides must hold the same number of everything. Due counts are not compared, and neither are graves,
 * because clients on old schemas send duplicates. `s` is null while any object still says "not sent yet" (usn -1).
 * On `bad` the caller rolls back at once.
 */
export async function sanityCheck(sync: RunningSync, client: SanityCounts): Promise<SanityAnswer> {
  const c: SanityCounts = [[0, 0, 0], client[1], client[2], client[3], 0, client[5], client[6], client[7]];
  if (await sync.store.hasUnsentObjects()) return { status: 'bad', c, s: null };
  let s = countsOf(await sync.store.counts());
  if (!isSame(s, c)) s = countsOf(await sync.store.counts(true));
  return { status: isSame(s, c) ? 'ok' : 'bad', c, s };
}

function countsOf(counts: TableCounts): SanityCounts {
  return [[0, 0, 0], counts.cards, counts.notes, counts.revlog, 0, counts.notetypes, counts.decks, counts.deckConfigs];
}

function isSame(s: SanityCounts, c: SanityCounts): boolean {
  return s.every((count, index) => index === 0 || count === c[index]);
}
