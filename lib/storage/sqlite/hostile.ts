/**
 * A SQLite file of which nothing is trusted: what is looked at before SQLite opens it, how it is opened, and which
 * schemas are let through. Nothing here runs anything that stands in the file.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import type { Database } from 'better-sqlite3';
import { removeFile } from '../files/durable.ts';
import { CorruptFile } from './anki2-corrupt.ts';
import { lowerAscii, parseCreate } from './anki2-sql.ts';
import type { PlainIndex, PlainTable } from './anki2-sql.ts';

const MAGIC = Buffer.from('SQLite format 3\0', 'latin1');
const HEADER_BYTES = 100;
/** The check of a large file is faster with a small cache: the pages it comes back to are in the cache of the system anyway. */
const CACHE_KIBS = 4 * 1024;
/** Anki's own schema has 40 entries; add-ons bring a few tables. */
const MAX_SCHEMA_ENTRIES = 2_000;
/** Of the schema, of one table of statistics, of `col`: each has a handful. */
const MAX_TREE_PAGES = 2_000;
const MAX_ENTRY_BYTES = 256 * 1024;
/** Of the schema and the statistics, which SQLite holds in memory. */
const MAX_HELD_BYTES = 16 * 1024 * 1024;

export interface HostileSchema {
  /** By lower case name. */
  tables: Map<string, PlainTable>;
  indexes: Map<string, PlainIndex>;
  /** Ordinary tables of SQLite itself: `sqlite_stat1`, `sqlite_sequence`, … Lower case. */
  internalTables: Set<string>;
}

/**
 * The checks before SQLite sees the file, on a file of any size, in constant memory. Only what would keep SQLite from ever
 * coming back is refused here, besides what is no database at all; everything else is left to its own checks.
 *
 * Clients close in WAL mode before they upload, so the header says WAL though there is no log to read: it is set to the
 * plain journal, and the file is then complete by itself.
 */
export function checkBeforeOpening(path: string): void {
  for (const suffix of ['-wal', '-shm', '-journal']) removeFile(path + suffix);
  const fd = openSync(path, 'r+');
  try {
    const bytes = fstatSync(fd).size;
    const header = Buffer.alloc(HEADER_BYTES);
    if (bytes === 0) throw new CorruptFile('the file is empty');
    if (readSync(fd, header, 0, HEADER_BYTES, 0) < HEADER_BYTES || !header.subarray(0, 16).equals(MAGIC)) {
      throw new CorruptFile('the file is no SQLite database');
    }
    const writeVersion = header[18]!;
    const readVersion = header[19]!;
    if ((header.readUInt32BE(56) & 2) !== 0) throw new CorruptFile('the text of the file is not UTF-8');
    // SQLite reads the first in WAL mode only, and would not write it
    if (readVersion > 2 || (writeVersion > 2 && readVersion !== 2)) throw new CorruptFile('the file has an unknown format version');
    if (writeVersion > 1 || readVersion > 1) writeSync(fd, Uint8Array.of(1, 1), 0, 2, 18);
    checkTrees(fd, header, bytes);
  } finally {
    closeSync(fd);
  }
}

/** With everything off that a file could use, and with bounded memory. Closed by the caller. */
export function openHostile(path: string): Database {
  // opens in SQLite's defensive mode
  const db = new Sqlite(path, { fileMustExist: true, timeout: 0 });
  try {
    db.pragma('trusted_schema = OFF');
    db.pragma('foreign_keys = OFF');
    db.pragma('recursive_triggers = OFF');
    db.pragma('cell_size_check = ON');
    db.pragma('mmap_size = 0');
    db.pragma(`cache_size = -${CACHE_KIBS}`);
    db.pragma('locking_mode = EXCLUSIVE');
    // the file is a copy that nobody misses if the machine goes down; it is synced once, at the end
    db.pragma('synchronous = OFF');
    db.pragma('journal_mode = MEMORY');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Reads the schema as data. Throws CorruptFile unless every entry is a plain table or a plain index.
 * Versions and Anki's names are judged elsewhere.
 */
export function readHostileSchema(db: Database): HostileSchema {
  const schema: HostileSchema = { tables: new Map(), indexes: new Map(), internalTables: new Set() };
  const rows = db.prepare('SELECT type, name, tbl_name, sql FROM sqlite_master').raw().iterate() as IterableIterator<unknown[]>;
  let count = 0;
  for (const row of rows) {
    if (++count > MAX_SCHEMA_ENTRIES) throw new CorruptFile('the schema has too many entries');
    addEntry(schema, row);
  }
  for (const index of schema.indexes.values()) {
    if (!schema.tables.has(lowerAscii(index.table))) throw new CorruptFile('an index of the schema has no table');
  }
  compareWithSqlite(db, schema);
  return schema;
}

function addEntry(schema: HostileSchema, [type, name, table, sql]: unknown[]): void {
  if (typeof name !== 'string' || typeof table !== 'string') throw new CorruptFile('the schema has an entry without a name');
  if (type !== 'table' && type !== 'index') throw new CorruptFile('the schema has triggers or views');
  if (type === 'index' && sql === null) {
    // made by SQLite for a UNIQUE or PRIMARY KEY, and checked by it when it read the schema
    if (/^sqlite_autoindex_/i.test(name)) return;
    throw new CorruptFile('the schema has an index without a definition');
  }
  if (typeof sql !== 'string') throw new CorruptFile('the schema has an entry without a definition');
  const parsed = parseCreate(sql);
  const ownTable = parsed.kind === 'table' ? parsed.name : parsed.table;
  if (parsed.kind !== type || lowerAscii(parsed.name) !== lowerAscii(name) || lowerAscii(ownTable) !== lowerAscii(table)) {
    throw new CorruptFile('the schema has an entry that contradicts its definition');
  }
  const key = lowerAscii(name);
  if (schema.tables.has(key) || schema.indexes.has(key)) throw new CorruptFile('the schema has two entries of one name');
  if (parsed.kind === 'index') schema.indexes.set(key, parsed);
  else if (!key.startsWith('sqlite_')) schema.tables.set(key, parsed);
  else if (/^sqlite_(stat\d|sequence)$/.test(key)) schema.internalTables.add(key);
  else throw new CorruptFile('the schema has an unknown table of SQLite');
}

/** What was read from the texts must be what SQLite made of them. */
function compareWithSqlite(db: Database, schema: HostileSchema): void {
  const columnsOf = db.prepare('SELECT name, hidden FROM pragma_table_xinfo(?)').raw();
  for (const table of schema.tables.values()) {
    const columns = columnsOf.all(table.name) as [string, number][];
    const same = columns.length === table.columns.length
      && columns.every(([name, hidden], i) => hidden === 0 && lowerAscii(name) === lowerAscii(table.columns[i]!.name));
    if (!same) throw new CorruptFile('a table of the schema is not what its definition says');
  }
  const partsOf = db.prepare('SELECT name FROM pragma_index_info(?)').pluck();
  for (const index of schema.indexes.values()) {
    const parts = partsOf.all(index.name) as (string | null)[];
    const same = parts.length === index.columns.length
      && parts.every((name, i) => name !== null && lowerAscii(name) === lowerAscii(index.columns[i]!.name));
    if (!same) throw new CorruptFile('an index of the schema is not what its definition says');
  }
}

/**
 * SQLite reads the schema and the statistics whenever it opens a file, and we read `col`, all before the structure of
 * the file was checked. A tree that reaches the same page on many ways could keep it there for ever: here each page of
 * these trees may be reached once.
 */
function checkTrees(fd: number, header: Buffer, bytes: number): void {
  const claimed = header.readUInt16BE(16);
  const pageBytes = claimed === 1 ? 65536 : claimed;
  if (pageBytes < 512 || (pageBytes & (pageBytes - 1)) !== 0) throw new CorruptFile('the file has an impossible page size');
  const file = { fd, pageBytes, bytes };
  const early = new Map<number, string>();
  let heldBytes = 0;
  const hold = (page: Buffer, at: number): void => {
    const entryBytes = varint(page, { at });
    heldBytes += entryBytes;
    if (entryBytes > MAX_ENTRY_BYTES || heldBytes > MAX_HELD_BYTES) throw new CorruptFile('the schema or the statistics are too large');
  };
  walkTree(file, 1, (page, at) => {
    hold(page, at);
    const entry = readEarly(page, at);
    if (entry !== undefined) early.set(entry.root, entry.name);
  });
  if (early.size > 10) throw new CorruptFile('the schema has two entries of one name');
  for (const [root, name] of early) walkTree(file, root, name === 'col' ? () => {} : hold);
}

type OpenFile = { fd: number; pageBytes: number; bytes: number };

/** Calls `leafCell` with the page and the offset of each cell of the leaves. Constant memory but for the set of pages. */
function walkTree(file: OpenFile, root: number, leafCell: (page: Buffer, at: number) => void): void {
  const { fd, pageBytes, bytes } = file;
  const seen = new Set<number>();
  const open = [root];
  const page = Buffer.alloc(pageBytes);
  while (open.length > 0) {
    const number = open.pop()!;
    if (number === 0 || (number - 1) * pageBytes >= bytes) throw new CorruptFile('a tree leads out of the file');
    if (seen.has(number)) throw new CorruptFile('a tree reaches a page twice');
    seen.add(number);
    if (seen.size > MAX_TREE_PAGES) throw new CorruptFile('the schema or the statistics are too large');
    page.fill(0);
    readSync(fd, page, 0, pageBytes, (number - 1) * pageBytes);
    const start = number === 1 ? HEADER_BYTES : 0;
    const type = page[start]!;
    const interior = type === 2 || type === 5;
    if (!interior && type !== 10 && type !== 13) throw new CorruptFile('a tree has a page of no known kind');
    const cells = page.readUInt16BE(start + 3);
    const pointers = start + (interior ? 12 : 8);
    if (pointers + cells * 2 > pageBytes) throw new CorruptFile('a page has too many cells');
    for (let i = 0; i < cells; i++) {
      const at = page.readUInt16BE(pointers + i * 2);
      if (at + 4 > pageBytes) throw new CorruptFile('a cell lies outside of its page');
      if (interior) open.push(page.readUInt32BE(at));
      else leafCell(page, at);
    }
    if (interior) open.push(page.readUInt32BE(start + 8));
  }
}

/** Name and root page of the table that this entry of the schema makes, if it is one that is read before the check. */
function readEarly(page: Buffer, at: number): { name: string; root: number } | undefined {
  const read = { at };
  varint(page, read);
  varint(page, read);
  const headerAt = read.at;
  const headerEnd = headerAt + varint(page, read);
  const types: number[] = [];
  while (types.length < 4 && read.at < headerEnd) types.push(varint(page, read));
  const [type = 0, name = 0, table = 0, root = 0] = types;
  const nameAt = headerEnd + valueBytes(type);
  const text = page.toString('latin1', nameAt, nameAt + valueBytes(name));
  if (!/^(col|sqlite_stat\d)$/i.test(text)) return undefined;
  const rootAt = nameAt + valueBytes(name) + valueBytes(table);
  // anything but a positive integer is no root page, and SQLite says so
  if (root < 1 || root > 6) return undefined;
  const rootBytes = valueBytes(root);
  if (rootAt + rootBytes > page.length) throw new CorruptFile('the schema has an entry that cannot be read');
  const number = rootBytes === 8 ? Number(page.readBigUInt64BE(rootAt)) : page.readUIntBE(rootAt, rootBytes);
  return { name: lowerAscii(text), root: number };
}

/** Size of a value by its serial type, as SQLite's record format has it. */
function valueBytes(serialType: number): number {
  return serialType >= 12 ? Math.floor((serialType - 12) / 2) : ([0, 1, 2, 3, 4, 6, 8, 8][serialType] ?? 0);
}

function varint(page: Buffer, read: { at: number }): number {
  let value = 0;
  for (let i = 0; i < 9; i++) {
    const byte = page[read.at++] ?? 0;
    if (i === 8) return value * 256 + byte;
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) break;
  }
  return value;
}
