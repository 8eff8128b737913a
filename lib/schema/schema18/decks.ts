/** Normal and filtered decks, as Anki's `decks/schema11.rs` writes them into `col.decks`. */
import type { Json } from '../json.ts';
import { decodeBlob } from '../proto/decode.ts';
import { DeckCommonSchema, DeckKindSchema } from '../proto/schema18_pb.ts';
import type { DeckCommon, DeckKind_Filtered, DeckKind_Normal, DeckKind_Normal_DayLimit } from '../proto/schema18_pb.ts';
import { Schema18Error } from './losses.ts';
import type { Losses } from './losses.ts';
import { cut, float32, integer, wholeProduct } from './numbers.ts';
import { otherKeys } from './other-keys.ts';
import type { JsonObject } from './other-keys.ts';
import { refuseDuplicates } from './rows.ts';
import type { DeckRow } from './rows.ts';

// Not `md`: a client from before the markdown flag keeps it as an unknown key, and Anki then takes it from there.
const DECK_KEYS = new Set([
  'id', 'mod', 'name', 'usn', 'lrnToday', 'revToday', 'newToday', 'timeToday', 'collapsed', 'browserCollapsed', 'desc', 'dyn',
  'conf', 'extendNew', 'extendRev', 'reviewLimit', 'newLimit', 'reviewLimitToday', 'newLimitToday', 'desiredRetention',
]);

/** Rows in any order. Throws Schema18Error. */
export function decksToSchema11(decks: DeckRow[], losses: Losses): JsonObject {
  refuseDuplicates('decks', 'id', decks, (row) => row.id);
  refuseDuplicates('decks', 'name', decks, (row) => row.name);
  return Object.fromEntries(decks.map((row) => [String(row.id), deckToSchema11(row, losses)]));
}

function deckToSchema11(row: DeckRow, losses: Losses): Json {
  const where = `deck ${row.id}`;
  const common = decodeBlob(DeckCommonSchema, row.common, 'deck', where, losses);
  const { kind } = decodeBlob(DeckKindSchema, row.kind, 'deck kind', where, losses);
  // what we know stands last, so that a key of `other` never takes its place
  switch (kind.case) {
    case 'normal':
      return { ...commonPart(row, common, 0, where, losses), ...normalPart(kind.value, where, losses) };
    case 'filtered':
      return { ...commonPart(row, common, 1, where, losses), desc: '', ...filteredPart(kind.value, where, losses) };
    default:
      throw new Schema18Error(`${where} is neither a normal nor a filtered deck`);
  }
}

function commonPart(row: DeckRow, common: DeckCommon, dyn: 0 | 1, where: string, losses: Losses): JsonObject {
  const day = cut(common.lastDayStudied, 'i32', 'deck: day of study', where, losses);
  return {
    ...otherKeys(common.other, DECK_KEYS, 'deck', where, losses),
    id: integer(row.id),
    mod: integer(row.mtimeSecs),
    name: row.name.replaceAll('\x1f', '::'),
    usn: row.usn,
    lrnToday: [day, common.learningStudied],
    revToday: [day, common.reviewStudied],
    newToday: [day, common.newStudied],
    timeToday: [day, common.millisecondsStudied],
    collapsed: common.studyCollapsed,
    browserCollapsed: common.browserCollapsed,
    dyn,
  };
}

function normalPart(deck: DeckKind_Normal, where: string, losses: Losses): JsonObject {
  return {
    desc: deck.description,
    ...(deck.markdownDescription && { md: true }),
    conf: integer(deck.configId),
    extendNew: cut(deck.extendNew, 'i32', 'deck: extra new cards', where, losses),
    extendRev: cut(deck.extendReview, 'i32', 'deck: extra reviews', where, losses),
    reviewLimit: deck.reviewLimit ?? null,
    newLimit: deck.newLimit ?? null,
    reviewLimitToday: dayLimit(deck.reviewLimitToday),
    newLimitToday: dayLimit(deck.newLimitToday),
    desiredRetention: deck.desiredRetention === undefined ? null : percent(deck.desiredRetention, where, losses),
  };
}

function dayLimit(limit: DeckKind_Normal_DayLimit | undefined): Json {
  return limit === undefined ? null : { limit: limit.limit, today: limit.today };
}

/** Schema 11 holds whole percents. A value that is no number would come back as 0 %: better none at all. */
function percent(retention: number, where: string, losses: Losses): number | null {
  const percents = Math.min(Math.max(wholeProduct(retention, 100), 0), 0xffff_ffff);
  if (Math.fround(percents / 100) !== retention) losses.add('deck: fraction of a percent of desired retention', where);
  return Number.isNaN(percents) ? null : percents;
}

function filteredPart(deck: DeckKind_Filtered, where: string, losses: Losses): JsonObject {
  const delaysAreNumbers = deck.delays.every(Number.isFinite);
  if (!delaysAreNumbers) losses.add('deck: delays that are no numbers', where);
  return {
    resched: deck.reschedule,
    terms: deck.searchTerms.map((term) => [
      term.search,
      cut(term.limit, 'i32', 'deck: limit of a search', where, losses),
      term.order,
    ]),
    separate: true,
    delays: deck.delays.length === 0 || !delaysAreNumbers ? null : deck.delays.map(float32),
    previewDelay: deck.previewDelay,
    previewAgainSecs: deck.previewAgainSecs,
    previewHardSecs: deck.previewHardSecs,
    previewGoodSecs: deck.previewGoodSecs,
  };
}
