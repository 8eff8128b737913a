/**
 * Values in the rows of an uploaded file that no client can read: text or blobs where Anki has numbers, fractions, numbers
 * beyond the type that rslib reads them into. Anki's own server takes such a file, and then fails each sync that comes
 * upon the row, in part for ever, as Check Database leaves most of them alone. Here they are mended, by Check Database's rules
 * (`storage/card/fix_*.sql`, `storage/revlog/fix_props.sql`) where it has any.
 */
import type { Database } from 'better-sqlite3';
import { CorruptFile } from './anki2-corrupt.ts';

type Range = readonly [min: bigint, max: bigint];

/** What a column may hold, and what to put in the place of anything else. */
interface Column {
  /** Of the integers that can be read; left out where text belongs. */
  range?: Range;
  mended: string;
}

type Make = (name: string) => Column;

const I64: Range = [-(2n ** 63n), 2n ** 63n - 1n];
const I32: Range = [-(2n ** 31n), 2n ** 31n - 1n];
const U32: Range = [0n, 2n ** 32n - 1n];
/** Half of what clients can read, as usn grows by one with each sync. */
const MAX_USN = 2n ** 30n;
/** Beyond, the answer to `meta` would be rounded, and `mod` could not grow. */
const STAMP: Range = [-(2n ** 52n), 2n ** 52n];

/** Integers of 64 bits. What is none becomes the nearest one, and what is no number 0. */
const i64: Make = (name) => ({ range: I64, mended: `iif(typeof(${name}) = 'real', CAST(${name} AS INTEGER), 0)` });

function whole(min: bigint, max: bigint): Make {
  return (name) => ({
    range: [min, max],
    mended: `iif(typeof(${name}) IN ('integer', 'real'), CAST(min(max(round(${name}), ${min}), ${max}) AS INTEGER), 0)`,
  });
}

function among(min: bigint, max: bigint, otherwise: string): Make {
  return () => ({ range: [min, max], mended: otherwise });
}

/** What is no usn becomes 0: all devices know the row. One above any that a sync can reach would be sent in every sync, for ever. */
const usn: Make = () => ({ range: [I32[0], MAX_USN], mended: '0' });
const text: Make = (name) => ({ mended: `coalesce(iif(typeof(${name}) = 'blob', text_of_bytes(${name}), CAST(${name} AS TEXT)), '')` });

const i32 = whole(...I32);
const u32 = whole(...U32);
const u16 = whole(0n, 0xffffn);
const u8 = whole(0n, 0xffn);
const cardType = among(0n, 3n, '0');
/** As when a card is unburied: the queue of its type. */
const cardQueue = among(-3n, 4n, 'CASE type WHEN 1 THEN 1 WHEN 2 THEN 2 WHEN 3 THEN 1 ELSE 0 END');
const reviewKind = among(0n, 5n, '0');

/** The types of rslib's `Card`, `Note`, `RevlogEntry` and `Graves`. `id` is the row id, and so an integer. What never travels is left alone. */
const ROWS: Record<string, Record<string, Make>> = {
  notes: { guid: text, mid: i64, mod: i64, usn, tags: text, flds: text },
  cards: {
    nid: i64, did: i64, ord: u16, mod: i64, usn, type: cardType, queue: cardQueue, due: i32, ivl: u32, factor: u16, reps: u32,
    lapses: u32, left: u32, odue: i32, odid: i64, flags: u8, data: text,
  },
  revlog: { cid: i64, usn, ease: u8, ivl: i32, lastIvl: i32, factor: u32, time: u32, type: reviewKind },
  graves: { usn },
};

const COL: Record<string, Make> = {
  crt: whole(0n, 253_402_300_799n), mod: whole(...STAMP), scm: whole(...STAMP), dty: i64, ls: whole(...STAMP), usn: whole(-MAX_USN, MAX_USN),
};

/**
 * Mends the rows of a checked file of schema 11. A row that is written is not marked as
 * changed: what clients have in its place is no better. The answer is a sentence for each table with such rows, without content.
 * @throws CorruptFile when a column is declared so that it cannot hold what belongs there
 */
export function mendRows(db: Database): string[] {
  // a cast would leave bytes that are no UTF-8 as they are
  db.function('text_of_bytes', { deterministic: true }, (bytes: Uint8Array) => Buffer.from(bytes).toString());
  // a grave of what cannot be read names nothing
  const strayGraves = db.prepare(`DELETE FROM graves WHERE typeof(oid) <> 'integer' OR typeof(type) <> 'integer' OR type NOT IN (0, 1, 2)`).run();
  const counts: [string, number][] = [['graves', strayGraves.changes]];
  for (const [table, makers] of [['col', COL] as const, ...Object.entries(ROWS)]) {
    const columns = Object.entries(makers).map(([name, make]) => [name, make(name)] as const);
    if (!mayHaveOddRows(db, table, columns)) continue;
    const mend = db.prepare(mendingOf(table, columns));
    const { changes } = mend.run();
    if (changes > 0 && mend.run().changes > 0) throw new CorruptFile(`the table ${table} is declared so that it cannot hold Anki's values`);
    counts.push([table, changes]);
  }
  return counts.filter(([, count]) => count > 0).map(([table, count]) => `values that no client can read in ${count} rows of ${table}`);
}

type Columns = readonly (readonly [name: string, column: Column])[];

/**
 * Nearly no file has any, and a look at the type of each value would take half as long again: the numbers of a row are added up instead,
 * and the sum is an integer where all of them are. One beyond 64 bits is none: a false alarm, which only costs time.
 */
function mayHaveOddRows(db: Database, table: string, columns: Columns): boolean {
  const numbers = columns.filter(([, { range }]) => range !== undefined).map(([name]) => name);
  const sound = columns.map(([name, { range }]) => (range === undefined ? isText(name) : isWithin(name, range)));
  const odd = `NOT (${sound.join(' AND ')} AND ${isInteger(numbers.join(' + '))})`;
  return db.prepare(`SELECT 1 FROM ${table} NOT INDEXED WHERE ${odd} LIMIT 1`).get() !== undefined;
}

function mendingOf(table: string, columns: Columns): string {
  const fits = ([name, { range }]: Columns[number]): string =>
    range === undefined ? isText(name) : `${isInteger(name)} AND ${isWithin(name, range)}`;
  const values = columns.map((column) => `${column[0]} = iif(${fits(column)}, ${column[0]}, ${column[1].mended})`);
  return `UPDATE ${table} SET ${values.join(', ')} WHERE NOT (${columns.map(fits).join(' AND ')})`;
}

function isInteger(value: string): string {
  return `typeof(${value}) = 'integer'`;
}

function isText(value: string): string {
  return `typeof(${value}) = 'text'`;
}

/** A number. With a sign, the declared type of the column has no say: text and blobs are more than any number. */
function isWithin(name: string, [min, max]: Range): string {
  return `+${name} BETWEEN ${min} AND ${max}`;
}
