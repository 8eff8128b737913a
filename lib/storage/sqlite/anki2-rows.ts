/**
 * Values in the rows of an uploaded file that no client can read: text or blobs where Anki has numbers, fractions, numbers
 * beyond the type that rslib reads them into. Anki's own server takes such a file, and then fails each sync that comes
 * upon the row, in part for ever, as Check Database leaves most of them alone. Here they are mended, by Check Database's rules
 * (`storage/card/fix_*.sql`, `storage/revlog/fix_props.sql`) where it has any.
 */
import type { Database } from 'better-sqlite3';
import { CorruptFile } from './anki2-corrupt.ts';

/** Whether a value can be read, and what to put in its place. */
interface Column {
  fits: string;
  mended: string;
}

type Make = (name: string) => Column;

const I32 = [-(2n ** 31n), 2n ** 31n - 1n] as const;
const U32 = [0n, 2n ** 32n - 1n] as const;
/** Half of what clients can read, as usn grows by one with each sync. */
const MAX_USN = 2n ** 30n;
/** Beyond, the answer to `meta` would be rounded, and `mod` could not grow. */
const STAMP = [-(2n ** 52n), 2n ** 52n] as const;

const isInteger = (name: string): string => `typeof(${name}) = 'integer'`;

/** Integers of 64 bits. What is none becomes the nearest one, and what is no number 0. */
const i64: Make = (name) => ({
  fits: isInteger(name),
  mended: `iif(typeof(${name}) = 'real', CAST(${name} AS INTEGER), 0)`,
});

function whole(min: bigint, max: bigint): Make {
  return (name) => ({
    fits: `${isInteger(name)} AND ${name} BETWEEN ${min} AND ${max}`,
    mended: `iif(typeof(${name}) IN ('integer', 'real'), CAST(min(max(round(${name}), ${min}), ${max}) AS INTEGER), 0)`,
  });
}

function among(min: number, max: number, otherwise: string): Make {
  return (name) => ({ fits: `${isInteger(name)} AND ${name} BETWEEN ${min} AND ${max}`, mended: otherwise });
}

/** What is no usn becomes 0: all devices know the row. One above any that a sync can reach would be sent in every sync, for ever. */
const usn: Make = (name) => ({ fits: `${isInteger(name)} AND ${name} BETWEEN ${I32[0]} AND ${MAX_USN}`, mended: '0' });
const text: Make = (name) => ({
  fits: `typeof(${name}) = 'text'`,
  mended: `coalesce(iif(typeof(${name}) = 'blob', text_of_bytes(${name}), CAST(${name} AS TEXT)), '')`,
});

const i32 = whole(...I32);
const u32 = whole(...U32);
const u16 = whole(0n, 0xffffn);
const u8 = whole(0n, 0xffn);
const cardType = among(0, 3, '0');
/** As when a card is unburied: the queue of its type. */
const cardQueue = among(-3, 4, 'CASE type WHEN 1 THEN 1 WHEN 2 THEN 2 WHEN 3 THEN 1 ELSE 0 END');
const reviewKind = among(0, 5, '0');

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
  for (const [table, columns] of [['col', COL] as const, ...Object.entries(ROWS)]) {
    const mend = mendingOf(db, table, columns);
    const { changes } = mend.run();
    if (changes > 0 && mend.run().changes > 0) throw new CorruptFile(`the table ${table} is declared so that it cannot hold Anki's values`);
    counts.push([table, changes]);
  }
  return counts.filter(([, count]) => count > 0).map(([table, count]) => `values that no client can read in ${count} rows of ${table}`);
}

function mendingOf(db: Database, table: string, makers: Record<string, Make>) {
  const columns = columnsOf(makers);
  const values = columns.map(([name, { fits, mended }]) => `${name} = iif(${fits}, ${name}, ${mended})`);
  return db.prepare(`UPDATE ${table} SET ${values.join(', ')} WHERE ${oddRow(columns)}`);
}

function columnsOf(makers: Record<string, Make>): [string, Column][] {
  return Object.entries(makers).map(([name, make]) => [name, make(name)]);
}

function oddRow(columns: [string, Column][]): string {
  return `NOT (${columns.map(([, { fits }]) => fits).join(' AND ')})`;
}
