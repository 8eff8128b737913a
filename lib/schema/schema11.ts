/**
 * Anki's objects as they travel: the requests of the sync protocol, and schema 11's tuples and JSON objects in them, judged
 * as the official server judges them (rslib `sync/collection/*.rs`, and `schema11.rs` of notetypes, decks, deck configs).
 * What it would refuse with a 400 throws `SchemaError` here. Unknown keys of notetypes, decks, deck configs and config stay.
 *
 * Every `parse…Request` takes the whole body as `parseLossless` gives it.
 */
import { rawNumber, type Json } from './json.ts';
import { normalizeDeckName } from './names.ts';
import { SchemaError } from './schema-error.ts';
import {
  checkJson,
  i32FromNumber,
  idOf,
  int64FromNumber,
  isAnything,
  isBoolean,
  isI32,
  isI64,
  isList,
  isListOf,
  isNumber,
  isObject,
  isText,
  isU16,
  isU32,
  isU8,
  jsonOfId,
  orDigits,
  orNull,
  u32FromNumber,
  upTo,
  type Check,
  type JsonObject,
} from './wire-values.ts';

export { idOf } from './wire-values.ts';

type Id = number | bigint;

// Rows ----------------------------------------------------------------------------------------------------------------

/** An integer of 64 bits: a number where JavaScript holds it exactly, else a bigint. */
export type Integer64 = number | bigint;

/**
 * Columns of a row of `notes`. `mod` in seconds; `tags` and `flds` joined.
 * On the wire `sfld`, `csum` and `data` are empty, and `flags` is 0.
 */
export type NoteEntry = [
  id: Integer64, guid: string, mid: Integer64, mod: Integer64, usn: number, tags: string, flds: string, sfld: string, csum: string | number,
  flags: number, data: string,
];

/** Columns of a row of `cards`. `mod` in seconds, `due` and `odue` in days, seconds or positions, `ivl` in days. */
export type CardEntry = [
  id: Integer64, nid: Integer64, did: Integer64, ord: number, mod: Integer64, usn: number, type: number, queue: number, due: number, ivl: number,
  factor: number, reps: number, lapses: number, left: number, odue: number, odid: Integer64, flags: number, data: string,
];

/** Columns of a row of `revlog`. `id` and `time` in milliseconds, intervals in days, or in seconds when negative. */
export type RevlogEntry = [
  id: Integer64, cid: Integer64, usn: number, ease: number, ivl: number, lastIvl: number, factor: number, time: number, type: number,
];

/** Positions in a NoteEntry. */
export const NOTE = { id: 0, guid: 1, mid: 2, mod: 3, usn: 4, tags: 5, flds: 6, sfld: 7, csum: 8, flags: 9, data: 10 } as const;
/** Positions in a CardEntry. */
export const CARD = {
  id: 0, nid: 1, did: 2, ord: 3, mod: 4, usn: 5, type: 6, queue: 7, due: 8, ivl: 9, factor: 10, reps: 11, lapses: 12, left: 13,
  odue: 14, odid: 15, flags: 16, data: 17,
} as const;
/** Positions in a RevlogEntry. */
export const REVLOG = { id: 0, cid: 1, usn: 2, ease: 3, ivl: 4, lastIvl: 5, factor: 6, time: 7, type: 8 } as const;

export interface Chunk {
  done: boolean;
  revlog: RevlogEntry[];
  cards: CardEntry[];
  notes: NoteEntry[];
}

/** The value to be kept, or undefined when it is not one for this column. */
type ReadColumn = (value: Json | undefined) => number | bigint | string | undefined;

const only = (check: Check): ReadColumn => (value) => (check(value) ? (value as number | string) : undefined);
const text = only(isText);
const i64: ReadColumn = (value) => (isI64(value) ? idOf(value) : undefined);
const i32 = only(isI32);
const u32 = only(isU32);
const u16 = only(isU16);
const u8 = only(isU8);
const cardType = only(upTo(3));
const cardQueue: ReadColumn = (value) => (isI32(value) && (value as number) >= -3 && (value as number) <= 4 ? (value as number) : undefined);
/** Missing or invalid counts as 0 (learning). */
const isReviewKind = upTo(5);
const reviewKind: ReadColumn = (value) => (isReviewKind(value) ? (value as number) : 0);

const NOTE_COLUMNS: Record<keyof typeof NOTE, ReadColumn> = {
  id: i64, guid: text, mid: i64, mod: i64, usn: i32, tags: text, flds: text, sfld: text, csum: text, flags: u32, data: text,
};
const CARD_COLUMNS: Record<keyof typeof CARD, ReadColumn> = {
  id: i64, nid: i64, did: i64, ord: u16, mod: int64FromNumber, usn: i32, type: cardType, queue: cardQueue, due: i32FromNumber,
  ivl: u32FromNumber, factor: u16, reps: u32, lapses: u32, left: u32, odue: i32FromNumber, odid: i64, flags: u8, data: text,
};
const REVLOG_COLUMNS: Record<keyof typeof REVLOG, ReadColumn> = {
  id: i64, cid: i64, usn: i32, ease: u8, ivl: i32FromNumber, lastIvl: i32FromNumber, factor: u32FromNumber, time: u32FromNumber,
  type: reviewKind,
};

export function parseChunk(json: Json): Chunk {
  const chunk = objectOf(json, 'chunk');
  const done = chunk['done'] ?? false;
  if (!isBoolean(done) || chunk['done'] === null) throw new SchemaError('chunk: done');
  return {
    done: done as boolean,
    revlog: rows<RevlogEntry>(chunk, 'revlog', REVLOG_COLUMNS, REVLOG.type),
    cards: rows<CardEntry>(chunk, 'cards', CARD_COLUMNS),
    notes: rows<NoteEntry>(chunk, 'notes', NOTE_COLUMNS),
  };
}

function rows<Row>(chunk: JsonObject, key: string, columns: Record<string, ReadColumn>, mayEndAt?: number): Row[] {
  const list = chunk[key] ?? [];
  if (!Array.isArray(list) || chunk[key] === null) throw new SchemaError(`chunk: ${key}`);
  const names = Object.keys(columns);
  const readers = Object.values(columns);
  return list.map((row) => {
    if (!Array.isArray(row) || row.length > readers.length || row.length < (mayEndAt ?? readers.length)) {
      throw new SchemaError(`${key}: number of columns`);
    }
    return readers.map((read, index) => {
      const value = read(row[index]);
      if (value === undefined) throw new SchemaError(`${key}: ${names[index]}`);
      return value;
    }) as Row;
  });
}

// Notetypes, decks, deck configs ---------------------------------------------------------------------------------------

/** One notetype, deck or deck config in schema 11 form. */
export interface IncomingObject {
  id: Id;
  /** Of a deck: with `::` between levels, each level as Anki would store it. */
  name: string;
  mtimeSecs: number;
  usn: number;
  /** All keys, known or not; `id`, `name` and `mod` as above. */
  object: JsonObject;
}

export interface IncomingNotetype extends IncomingObject {
  fieldCount: number;
  templateCount: number;
  /** Index of the sort field; need not exist. */
  sortField: number;
}

/** `must`: missing is an error. `may`: missing is fine, another type is not. Keys that rslib takes in any form are not here. */
interface Shape {
  must: Record<string, Check>;
  may: Record<string, Check>;
}

const isF32List = isListOf(isNumber);

/** The official server's storage refuses 0. */
const isObjectId: Check = (value) => orDigits((id) => isI64(id) && id !== 0)(value);

/** What rslib takes for a boolean from very old clients (serde-aux): 0 and 1 as a number or as its text, and `True`. */
const isBooleanLike: Check = (value) => {
  if (isBoolean(value) || (typeof value === 'string' && /^(true|false)$/i.test(value))) return true;
  const text = typeof value === 'string' ? value : isNumber(value) ? (rawNumber(value) ?? String(value)) : '';
  const number = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
  return number === 0 || Math.abs(number - 1) < Number.EPSILON;
};

const FIELD: Shape = {
  must: { name: isText, sticky: isBooleanLike, rtl: isBooleanLike, font: isText, size: isU16 },
  may: { ord: orNull(isU16) },
};

const TEMPLATE: Shape = {
  must: { name: isText, qfmt: isText },
  may: { ord: orNull(isU16), afmt: isText, bqfmt: isText, bafmt: isText },
};

const NOTETYPE: Shape = {
  must: {
    id: isObjectId, name: isText, type: upTo(1), mod: isI64, usn: isI32, sortf: isU16, did: isAnything, css: isAnything,
    tmpls: isListOf((template) => fits(template, TEMPLATE)), flds: isListOf((field) => fits(field, FIELD)),
  },
  may: { latexPre: isText, latexPost: isText, originalStockKind: isI32, originalId: orNull(isI64) },
};

const DECK: Shape = {
  must: {
    id: isObjectId, name: isText, usn: isI32, lrnToday: isList, revToday: isList, newToday: isList, timeToday: isList,
    collapsed: isBoolean, dyn: (value) => isBoolean(value) || isU8(value),
  },
  may: { mod: orDigits(isI64), browserCollapsed: isBoolean, desc: isText, md: isBoolean },
};

const NORMAL_DECK: Shape = { must: { ...DECK.must, conf: orDigits(isI64) }, may: DECK.may };

const isSearchTerm: Check = (term) =>
  Array.isArray(term) && term.length === 3 && isText(term[0]) && orDigits(isI32)(term[1]) && isI32(term[2]);

const FILTERED_DECK: Shape = {
  must: { ...DECK.must, resched: isBooleanLike, terms: isListOf(isSearchTerm) },
  may: { ...DECK.may, separate: isBoolean, previewDelay: isU32, previewAgainSecs: isU32, previewHardSecs: isU32, previewGoodSecs: isU32 },
};

const DECK_CONFIG: Shape = {
  must: {
    id: isObjectId, mod: orDigits(isI64), name: isText, usn: isI32, maxTaken: isI32, autoplay: isBoolean, timer: isAnything,
    new: isAnything, rev: isAnything, lapse: isAnything,
  },
  may: {
    replayq: isBoolean, newMix: isI32, newPerDayMinimum: isU32, interdayLearningMix: isI32, reviewOrder: isI32, newSortOrder: isI32,
    newGatherPriority: isI32, buryInterdayLearning: isBoolean, fsrsWeights: isF32List, fsrsParams5: isF32List, fsrsParams6: isF32List,
    desiredRetention: isNumber, ignoreRevlogsBeforeDate: isText, easyDaysPercentages: isF32List, stopTimerOnAnswer: isBoolean,
    secondsToShowQuestion: isNumber, secondsToShowAnswer: isNumber, questionAction: upTo(1), answerAction: upTo(4),
    waitForAudio: isBoolean, sm2Retention: isNumber, weightSearch: isText,
  },
};

export function parseNotetype(json: Json): IncomingNotetype {
  const notetype = shaped(json, NOTETYPE, 'notetype');
  return {
    ...named(notetype, notetype['name'] as string),
    fieldCount: (notetype['flds'] as Json[]).length,
    templateCount: (notetype['tmpls'] as Json[]).length,
    sortField: notetype['sortf'] as number,
  };
}

export function parseDeck(json: Json): IncomingObject {
  const { dyn } = objectOf(json, 'deck');
  const deck = shaped(json, dyn === true || dyn === 1 ? FILTERED_DECK : NORMAL_DECK, 'deck');
  return named(deck, normalizeDeckName(deck['name'] as string));
}

export function parseDeckConfig(json: Json): IncomingObject {
  const config = shaped(json, DECK_CONFIG, 'deck config');
  return named(config, config['name'] as string);
}

/** Ids and stamps that old clients wrote as text become numbers; a deck without a stamp is of 1970. */
function named(object: JsonObject, name: string): IncomingObject {
  const id = idOf(object['id']);
  const mtime = idOf(object['mod'] ?? 0);
  return {
    id,
    name,
    mtimeSecs: Number(mtime),
    usn: object['usn'] as number,
    object: { ...object, id: jsonOfId(id), name, mod: jsonOfId(mtime) },
  };
}

function shaped(json: Json, shape: Shape, what: string): JsonObject {
  const misfit = misfitOf(json, shape);
  if (misfit !== undefined) throw new SchemaError(`${what}: ${misfit}`);
  return json as JsonObject;
}

function fits(json: Json | undefined, shape: Shape): boolean {
  return misfitOf(json, shape) === undefined;
}

function misfitOf(json: Json | undefined, { must, may }: Shape): string | undefined {
  if (!isObject(json)) return 'no object';
  for (const [key, check] of Object.entries(must)) if (!Object.hasOwn(json, key) || !check(json[key])) return key;
  for (const [key, check] of Object.entries(may)) if (Object.hasOwn(json, key) && !check(json[key])) return key;
  return undefined;
}

// Requests of /sync ----------------------------------------------------------------------------------------------------

export interface StartRequest {
  clientUsn: number;
  /** The client's collection has the newer `mod`: it sends its config, and takes none. */
  clientIsNewer: boolean;
  /** Only from old clients, and from AnkiDroid. */
  graves: Graves | null;
}

export interface Graves {
  cards: Id[];
  notes: Id[];
  decks: Id[];
}

export interface UnchunkedChanges {
  notetypes: IncomingNotetype[];
  decks: IncomingObject[];
  deckConfigs: IncomingObject[];
  tags: string[];
  /** The whole config map; only from a newer client. */
  config?: JsonObject;
  /** Creation of the collection in seconds; only from a newer client. */
  creationSecs?: number;
}

/** As on the wire: [[new, learn, review], cards, notes, revlog, graves, notetypes, decks, deck configs]. */
export type SanityCounts = [
  due: [number, number, number],
  cards: number, notes: number, revlog: number, graves: number, notetypes: number, decks: number, deckConfigs: number,
];

/** Wire `u` and `p`. */
export function parseHostKeyRequest(json: Json): { username: string; password: string } {
  const { u, p } = bodyOf(json);
  if (typeof u !== 'string' || typeof p !== 'string') throw new SchemaError('u and p must be text');
  return { username: u, password: p };
}

/** Wire `v` and `cv`. Which versions are served is not judged here. */
export function parseMetaRequest(json: Json): { syncVersion: number; clientVersion: string } {
  const { v, cv } = bodyOf(json);
  if (!isU8(v) || typeof cv !== 'string') throw new SchemaError('v must be a small number, and cv text');
  return { syncVersion: v as number, clientVersion: cv };
}

/** Wire `minUsn`, `lnewer` and `graves`. */
export function parseStartRequest(json: Json): StartRequest {
  const { minUsn, lnewer, graves } = bodyOf(json);
  if (!isI32(minUsn) || typeof lnewer !== 'boolean') throw new SchemaError('minUsn must be a number, and lnewer true or false');
  return { clientUsn: minUsn as number, clientIsNewer: lnewer, graves: parseLegacyGraves(graves ?? null) };
}

/** Wire `chunk`: graves, of numbers only. */
export function parseGravesRequest(json: Json): Graves {
  return parseGraves(bodyOf(json)['chunk'] ?? null);
}

export function parseGraves(json: Json): Graves {
  const graves = gravesOf(json, isI64);
  if (!graves) throw new SchemaError('graves must be three lists of ids');
  return graves;
}

/** Null, or all ids as numbers, or, from old AnkiMobile versions, all as text. */
export function parseLegacyGraves(json: Json): Graves | null {
  if (json === null) return null;
  const graves = gravesOf(json, isI64) ?? gravesOf(json, (id) => typeof id === 'string' && orDigits(isI64)(id));
  if (!graves) throw new SchemaError('graves must be three lists of ids');
  return graves;
}

function gravesOf(json: Json, isId: Check): Graves | undefined {
  if (!isObject(json)) return undefined;
  const { cards, notes, decks } = json;
  const isIds = isListOf(isId);
  if (!isIds(cards) || !isIds(notes) || !isIds(decks)) return undefined;
  const ids = (list: Json | undefined): Id[] => (list as Json[]).map(idOf);
  return { cards: ids(cards), notes: ids(notes), decks: ids(decks) };
}

/** Wire `changes`: `models`, `decks` with decks and deck configs, `tags`, `conf` and `crt`. */
export function parseUnchunkedChangesRequest(json: Json): UnchunkedChanges {
  const { models, decks, tags, conf, crt } = objectOf(bodyOf(json)['changes'], 'changes');
  if (!Array.isArray(decks) || decks.length !== 2) throw new SchemaError('changes: decks');
  if (!isListOf(isText)(tags)) throw new SchemaError('changes: tags');
  if (crt !== undefined && crt !== null && !isI64(crt)) throw new SchemaError('changes: crt');
  return {
    notetypes: listOf(models, 'models').map(parseNotetype),
    decks: listOf(decks[0], 'decks').map(parseDeck),
    deckConfigs: listOf(decks[1], 'deck configs').map(parseDeckConfig),
    tags: tags as string[],
    ...(conf === undefined || conf === null ? {} : { config: objectOf(conf, 'conf') }),
    ...(crt === undefined || crt === null ? {} : { creationSecs: Number(idOf(crt)) }),
  };
}

/** Wire `chunk`. */
export function parseChunkRequest(json: Json): Chunk {
  return parseChunk(bodyOf(json)['chunk'] ?? null);
}

/** Wire `client`. */
export function parseSanityRequest(json: Json): SanityCounts {
  const { client } = bodyOf(json);
  const isCounts = Array.isArray(client) && client.length === 8 && isListOf(isU32)(client.slice(1)) && Array.isArray(client[0]);
  if (!isCounts || (client[0] as Json[]).length !== 3 || !isListOf(isU32)(client[0])) throw new SchemaError('client must be counts');
  return client as unknown as SanityCounts;
}

/** Of `finish`, `chunk`, `abort` and `download`: no field is known. */
export function parseEmptyRequest(json: Json): void {
  if (Object.keys(bodyOf(json)).some((key) => key !== '_pad')) throw new SchemaError('the body must be an empty object');
}

// Requests of /msync ---------------------------------------------------------------------------------------------------

/** Wire `v`, the client's version. Missing is empty: clients before sync version 11 send it beside the body. */
export function parseBeginRequest(json: Json): { clientVersion: string } {
  const { v = '' } = bodyOf(json);
  if (typeof v !== 'string') throw new SchemaError('v must be text');
  return { clientVersion: v };
}

export function parseMediaChangesRequest(json: Json): { lastUsn: number } {
  const { lastUsn } = bodyOf(json);
  if (!isI32(lastUsn)) throw new SchemaError('lastUsn must be a number');
  return { lastUsn: lastUsn as number };
}

export function parseDownloadFilesRequest(json: Json): { files: string[] } {
  const { files } = bodyOf(json);
  if (!isListOf(isText)(files)) throw new SchemaError('files must be a list of names');
  return { files: files as string[] };
}

/** Wire `local`: the client's number of files. */
export function parseMediaSanityRequest(json: Json): { local: number } {
  const { local } = bodyOf(json);
  if (!isU32(local)) throw new SchemaError('local must be a number');
  return { local: local as number };
}

function bodyOf(json: Json): JsonObject {
  checkJson(json);
  return objectOf(json, 'the body');
}

function objectOf(json: Json | undefined, what: string): JsonObject {
  if (!isObject(json)) throw new SchemaError(`${what} must be an object`);
  return json;
}

function listOf(json: Json | undefined, what: string): Json[] {
  if (!Array.isArray(json)) throw new SchemaError(`${what} must be a list`);
  return json;
}
