/**
 * The JSON in `col` of a schema 11 file, judged as Anki judges it when it upgrades the file (`NotetypeSchema11`,
 * `DeckSchema11`, `DeckConfSchema11` of rslib): which keys must be there, and of which type. A client that downloads
 * anything else cannot open its collection any more.
 */
import type { Database } from 'better-sqlite3';
import { parseLossless, rawNumber, stringifyLossless } from '../../schema/json.ts';
import type { Json } from '../../schema/json.ts';
import { countKeys, surveyJson } from '../../schema/json-values.ts';
import { checkJson } from '../../schema/wire-values.ts';
import { CorruptFile } from './anki2-corrupt.ts';
import { MAX_COLUMN_BYTES } from './json-columns.ts';

/** Parsing millions of values takes gigabytes. 5,000 decks with all their keys have some 200,000. */
const MAX_COLUMN_VALUES = 2_000_000;

const ALL_COLUMNS: readonly ColColumn[] = ['conf', 'models', 'decks', 'dconf', 'tags'];

type Check = (value: Json) => boolean;
/** `[required, check]` by key. Unknown keys are free. */
type Shape = Record<string, readonly [required: boolean, check: Check]>;

/**
 * Throws CorruptFile unless the columns, of the file's only row, hold what Anki can upgrade. Where a key stands twice in an object,
 * which Anki reads from a file, but clients do not from an answer, only the last one stays.
 */
export function checkCol(db: Database, columns: readonly ColColumn[]): void {
  for (const column of ALL_COLUMNS) {
    const [type, bytes] = db.prepare(`SELECT typeof(${column}), octet_length(${column}) FROM col`).raw().get() as [string, number];
    if (type !== 'text' || bytes > MAX_COLUMN_BYTES) throw new CorruptFile(`col.${column} is no text, or too long`);
  }
  for (const column of columns) {
    const text = db.prepare(`SELECT CAST(${column} AS BLOB) FROM col`).pluck().get() as Buffer;
    if (surveyJson(text, MAX_COLUMN_VALUES).tooManyValues) throw new CorruptFile(`col.${column} has too many values`);
    let value: Json;
    try {
      value = parseLossless(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text));
      checkJson(value);
    } catch (error) {
      throw new CorruptFile(`col.${column} is no JSON`, { cause: error });
    }
    if (!isObject(value) || !COLUMNS[column](value)) throw new CorruptFile(`col.${column} is not what Anki writes there`);
    if (countKeys(text) !== keysOf(value)) db.prepare(`UPDATE col SET ${column} = ?`).run(stringifyLossless(value));
  }
}

export type ColColumn = 'conf' | 'models' | 'decks' | 'dconf' | 'tags';

const anything: Check = () => true;
const isText: Check = (value) => typeof value === 'string';
const isBoolean: Check = (value) => typeof value === 'boolean';
const isList: Check = (value) => Array.isArray(value);
const isI64 = integer(-(2n ** 63n), 2n ** 63n - 1n);
const isI32 = integer(-(2n ** 31n), 2n ** 31n - 1n);
const isU32 = integer(0n, 2n ** 32n - 1n);
const isU16 = integer(0n, 2n ** 16n - 1n);
const isU8 = integer(0n, 2n ** 8n - 1n);
const isNumber: Check = (value) => typeof value === 'number' || rawNumber(value) !== undefined;
const upTo = (last: number) => integer(0n, BigInt(last));
const listOf = (check: Check): Check => (value) => Array.isArray(value) && value.every(check);
const orNull = (check: Check): Check => (value) => value === null || check(value);
/** Old clients wrote some ids and limits as text. */
const orText = (check: ReturnType<typeof integer>): Check => (value) =>
  check(typeof value === 'string' && /^[+-]?\d{1,30}$/.test(value) ? BigInt(value.replace('+', '')) : value);
const isBooleanLike: Check = (value) =>
  typeof value === 'boolean' || value === 0 || value === 1 || (typeof value === 'string' && /^(true|false|0|1)$/i.test(value));

const must = (check: Check) => [true, check] as const;
const may = (check: Check) => [false, check] as const;

const FIELD: Shape = {
  name: must(isText),
  ord: may(orNull(isU16)),
  sticky: must(isBooleanLike),
  rtl: must(isBooleanLike),
  font: must(isText),
  size: must(isU16),
};

const TEMPLATE: Shape = {
  name: must(isText),
  ord: may(orNull(isU16)),
  qfmt: must(isText),
  afmt: may(isText),
  bqfmt: may(isText),
  bafmt: may(isText),
};

const NOTETYPE: Shape = {
  id: must(orText(isI64)),
  name: must(isText),
  type: must(upTo(1)),
  mod: must(isI64),
  usn: must(isI32),
  sortf: must(isU16),
  did: must(anything),
  tmpls: must(listOf(shaped(TEMPLATE))),
  flds: must(listOf(shaped(FIELD))),
  css: must(anything),
  latexPre: may(isText),
  latexPost: may(isText),
  originalStockKind: may(isI32),
  originalId: may(orNull(isI64)),
};

const DECK: Shape = {
  id: must(orText(isI64)),
  mod: may(orText(isI64)),
  name: must(isText),
  usn: must(isI32),
  lrnToday: must(isList),
  revToday: must(isList),
  newToday: must(isList),
  timeToday: must(isList),
  collapsed: must(isBoolean),
  browserCollapsed: may(isBoolean),
  desc: may(isText),
  md: may(isBoolean),
  dyn: must((value) => isBoolean(value) || isU8(value)),
};

const NORMAL_DECK: Shape = { ...DECK, conf: must(orText(isI64)) };

const SEARCH_TERM: Check = (value) =>
  Array.isArray(value)
    ? value.length === 3 && isText(value[0]!) && orText(isI32)(value[1]!) && isI32(value[2]!)
    : shaped({ search: must(isText), limit: must(orText(isI32)), order: must(isI32) })(value);

const FILTERED_DECK: Shape = {
  ...DECK,
  resched: must(isBooleanLike),
  terms: must(listOf(SEARCH_TERM)),
  separate: may(isBoolean),
  previewDelay: may(isU32),
  previewAgainSecs: may(isU32),
  previewHardSecs: may(isU32),
  previewGoodSecs: may(isU32),
};

const DECK_CONFIG: Shape = {
  id: must(orText(isI64)),
  mod: must(orText(isI64)),
  name: must(isText),
  usn: must(isI32),
  maxTaken: must(isI32),
  autoplay: must(isBoolean),
  timer: must(anything),
  replayq: may(isBoolean),
  new: must(anything),
  rev: must(anything),
  lapse: must(anything),
  newMix: may(isI32),
  newPerDayMinimum: may(isU32),
  interdayLearningMix: may(isI32),
  reviewOrder: may(isI32),
  newSortOrder: may(isI32),
  newGatherPriority: may(isI32),
  buryInterdayLearning: may(isBoolean),
  fsrsWeights: may(listOf(isNumber)),
  fsrsParams5: may(listOf(isNumber)),
  fsrsParams6: may(listOf(isNumber)),
  desiredRetention: may(isNumber),
  ignoreRevlogsBeforeDate: may(isText),
  easyDaysPercentages: may(listOf(isNumber)),
  stopTimerOnAnswer: may(isBoolean),
  secondsToShowQuestion: may(isNumber),
  secondsToShowAnswer: may(isNumber),
  questionAction: may(upTo(1)),
  answerAction: may(upTo(4)),
  waitForAudio: may(isBoolean),
  sm2Retention: may(isNumber),
  weightSearch: may(isText),
};

const COLUMNS: Record<ColColumn, Check> = {
  conf: isObject,
  models: byId(shaped(NOTETYPE)),
  decks: byId((value) => isObject(value) && shaped(isFiltered(value.dyn) ? FILTERED_DECK : NORMAL_DECK)(value)),
  dconf: byId(shaped(DECK_CONFIG)),
  tags: (value) => isObject(value) && Object.values(value).every(isI32),
};

function isObject(value: Json): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && rawNumber(value) === undefined;
}

function keysOf(value: Json): number {
  if (typeof value !== 'object' || value === null || rawNumber(value) !== undefined) return 0;
  const items = Array.isArray(value) ? value : Object.values(value);
  return items.reduce<number>((sum, item) => sum + keysOf(item), Array.isArray(value) ? 0 : items.length);
}

function isFiltered(dyn: Json | undefined): boolean {
  return dyn === true || dyn === 1;
}

function shaped(shape: Shape): Check {
  return (value) =>
    isObject(value)
    && Object.entries(shape).every(([key, [required, check]]) => (Object.hasOwn(value, key) ? check(value[key]!) : !required));
}

/** A map whose keys are ids. */
function byId(check: Check): Check {
  return (value) =>
    isObject(value)
    && Object.entries(value).every(([key, item]) => /^(0|-?[1-9]\d{0,18})$/.test(key) && isI64(BigInt(key)) && check(item));
}

function integer(min: bigint, max: bigint) {
  return (value: Json | bigint): boolean => {
    if (typeof value === 'bigint') return inRange(value, min, max);
    if (typeof value === 'number') return Number.isInteger(value) && !Object.is(value, -0) && inRange(BigInt(value), min, max);
    // kept raw: more digits than a number holds, or written as a fraction
    const raw = rawNumber(value);
    return raw !== undefined && /^-?[1-9]\d*$/.test(raw) && inRange(BigInt(raw), min, max);
  };
}

function inRange(value: bigint, min: bigint, max: bigint): boolean {
  return min <= value && value <= max;
}
