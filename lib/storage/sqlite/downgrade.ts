/**
 * Conversion of an open collection of schema 14 to 18 to schema 11, the form at rest.
 *
 * The connection does not know Anki's collation `unicase`; its name was already replaced in the schema. The indexes on
 * names are still in the order of `unicase`, so nothing is looked up by name here: every table is read by full scan.
 * Notes, cards and revlog are not touched.
 */
import type { Database } from 'better-sqlite3';
import { stringifyLossless } from '../../schema/json.ts';
import {
  collectLosses,
  configToSchema11,
  deckConfigsFromSchema14,
  deckConfigsToSchema11,
  decksToSchema11,
  notetypesToSchema11,
  Schema18Error,
  tagsToSchema11,
} from '../../schema/schema18.ts';
import type { ConfigRow, DeckConfigRow, DeckRow, FieldRow, Losses, NotetypeRow, TagRow } from '../../schema/schema18.ts';

export interface DowngradeReport {
  /** Sentences about what schema 11 cannot carry. Ids and numbers, no content. Empty when all was kept. */
  losses: string[];
}

const TABLES_OF_14 = ['config', 'deck_config', 'tags'];
const TABLES_OF_15 = ['fields', 'templates', 'notetypes', 'decks'];

/**
 * All or nothing, in one transaction. `schemaVersion` is `col.ver`, 14 to 18.
 * Throws Schema18Error when the collection is damaged or newer than we can read; the file is then as it was.
 */
export function downgradeToSchema11(db: Database, schemaVersion: number): DowngradeReport {
  if (!(schemaVersion >= 14 && schemaVersion <= 18)) throw new Schema18Error(`schema ${schemaVersion} cannot be converted`);
  const losses = collectLosses();
  db.transaction(() => {
    let columns;
    try {
      columns = readColumns(db, schemaVersion, losses);
    } catch (error) {
      throw asSchema18Error(error);
    }
    const assignments = Object.keys(columns).map((column) => `${column} = ?`);
    db.prepare(`UPDATE col SET ${assignments.join(', ')}, ver = 11`).run(...Object.values(columns));
    const tables = schemaVersion === 14 ? TABLES_OF_14 : [...TABLES_OF_14, ...TABLES_OF_15];
    for (const table of tables) db.exec(`DROP TABLE ${table}`);
    requireDropped(db, tables);
    db.exec('DROP INDEX IF EXISTS idx_cards_odid; DROP INDEX IF EXISTS idx_notes_mid');
    if (schemaVersion === 18) plainGraves(db);
  }).immediate();
  return { losses: losses.list() };
}

/** A table whose own text has another name than its entry in the schema loses its pages, and not its entry. */
function requireDropped(db: Database, tables: string[]): void {
  const left = db.prepare(`SELECT count(*) FROM sqlite_master WHERE lower(tbl_name) IN (${tables.map((table) => `'${table}'`).join(', ')})`);
  if (left.pluck().get() !== 0) throw new Schema18Error('the schema names a table in two ways');
}

/** The columns of `col` to write, as text. */
function readColumns(db: Database, schemaVersion: number, losses: Losses): Record<string, string> {
  if (db.pragma('encoding', { simple: true }) !== 'UTF-8') throw new Schema18Error('the text of the file is not UTF-8');
  if (db.prepare('SELECT count(*) FROM col').pluck().get() !== 1) throw new Schema18Error('col has not exactly one row');
  const columns: Record<string, string> = {
    conf: configToSchema11(readConfig(db), losses),
    tags: stringifyLossless(tagsToSchema11(readTags(db, schemaVersion), losses)),
  };
  const deckConfigs = readDeckConfigs(db);
  if (schemaVersion === 14) {
    columns.dconf = stringifyLossless(deckConfigsFromSchema14(deckConfigs));
  } else {
    columns.dconf = stringifyLossless(deckConfigsToSchema11(deckConfigs, schemaVersion, losses));
    columns.decks = stringifyLossless(decksToSchema11(readDecks(db), losses));
    columns.models = stringifyLossless(
      notetypesToSchema11(readNotetypes(db), readParts(db, 'fields'), readParts(db, 'templates'), losses),
    );
  }
  return columns;
}

/** Schema 18 has one grave for each object; schema 11 has plain rows, and a client may send the same one twice. */
function plainGraves(db: Database): void {
  // not renamed: that would check, and could fail on, every other table of the file
  db.exec('CREATE TEMP TABLE graves_of_18 AS SELECT usn, oid, type FROM main.graves NOT INDEXED');
  db.exec('DROP TABLE main.graves');
  db.exec('CREATE TABLE main.graves (\n  usn integer NOT NULL,\n  oid integer NOT NULL,\n  type integer NOT NULL\n)');
  db.exec('INSERT INTO main.graves (usn, oid, type) SELECT usn, oid, type FROM temp.graves_of_18');
  db.exec('DROP TABLE temp.graves_of_18');
}

function readConfig(db: Database): ConfigRow[] {
  return scan(db, 'config', [text('key'), 'val']).map(([key, value]) => ({
    key: asText(key, 'config', 'key'),
    value: asBlob(value, 'config', 'val'),
  }));
}

function readTags(db: Database, schemaVersion: number): TagRow[] {
  const columns = schemaVersion < 17 ? ['1', 'NULL'] : ['collapsed', 'config'];
  return scan(db, 'tags', [text('tag'), 'usn', ...columns]).map(([name, usn, collapsed, config]) => ({
    name: asText(name, 'tags', 'tag'),
    usn: asUsn(usn, 'tags'),
    expanded: asBigint(collapsed, 'tags', 'collapsed') === 0n,
    hasConfig: config !== null,
  }));
}

function readDeckConfigs(db: Database): DeckConfigRow[] {
  return scan(db, 'deck_config', ['id', text('name'), 'mtime_secs', 'usn', 'config']).map(([id, name, mtime, usn, config]) => ({
    ...stamps('deck_config', id, name, mtime, usn),
    config: asBlob(config, 'deck_config', 'config'),
  }));
}

function readDecks(db: Database): DeckRow[] {
  return scan(db, 'decks', ['id', text('name'), 'mtime_secs', 'usn', 'common', 'kind']).map(([id, name, mtime, usn, common, kind]) => ({
    ...stamps('decks', id, name, mtime, usn),
    common: asBlob(common, 'decks', 'common'),
    kind: asBlob(kind, 'decks', 'kind'),
  }));
}

function readNotetypes(db: Database): NotetypeRow[] {
  return scan(db, 'notetypes', ['id', text('name'), 'mtime_secs', 'usn', 'config']).map(([id, name, mtime, usn, config]) => ({
    ...stamps('notetypes', id, name, mtime, usn),
    config: asBlob(config, 'notetypes', 'config'),
  }));
}

function readParts(db: Database, table: 'fields' | 'templates'): FieldRow[] {
  return scan(db, table, ['ntid', 'ord', text('name'), 'config']).map(([ntid, ord, name, config]) => ({
    ntid: asBigint(ntid, table, 'ntid'),
    ord: asNumber(ord, UINT32, table, 'ord'),
    name: asText(name, table, 'name'),
    config: asBlob(config, table, 'config'),
  }));
}

function stamps(table: string, id: unknown, name: unknown, mtime: unknown, usn: unknown) {
  return {
    id: asBigint(id, table, 'id'),
    name: asText(name, table, 'name'),
    mtimeSecs: asBigint(mtime, table, 'mtime_secs'),
    usn: asUsn(usn, table),
  };
}

function scan(db: Database, table: string, columns: string[]): unknown[][] {
  return db.prepare(`SELECT ${columns.join(', ')} FROM main.${table} NOT INDEXED`).raw().safeIntegers().all() as unknown[][];
}

/** Text as bytes: the driver would put U+FFFD in place of what is no UTF-8. */
function text(column: string): string {
  return `iif(typeof(${column}) = 'text', CAST(${column} AS BLOB), NULL)`;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const UINT32 = { min: 0n, max: 0xffff_ffffn };

function asText(value: unknown, table: string, column: string): string {
  if (!(value instanceof Uint8Array)) throw new Schema18Error(`${table}.${column} is no text`);
  try {
    return utf8.decode(value);
  } catch (error) {
    throw new Schema18Error(`${table}.${column} is no UTF-8`, { cause: error });
  }
}

function asBlob(value: unknown, table: string, column: string): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new Schema18Error(`${table}.${column} is no blob`);
  return value;
}

function asBigint(value: unknown, table: string, column: string): bigint {
  if (typeof value !== 'bigint') throw new Schema18Error(`${table}.${column} is no integer`);
  return value;
}

function asNumber(value: unknown, range: { min: bigint; max: bigint }, table: string, column: string): number {
  const number = asBigint(value, table, column);
  if (number < range.min || number > range.max) throw new Schema18Error(`${table}.${column} is out of range`);
  return Number(number);
}

/** One beyond 32 bits says nothing, and stops no conversion of Anki's: 0, as all clients know the object. */
function asUsn(value: unknown, table: string): number {
  const usn = asBigint(value, table, 'usn');
  return BigInt.asIntN(32, usn) === usn ? Number(usn) : 0;
}

/** A missing table or column, or a damaged page, is the file's fault; a full disk is not. */
function asSchema18Error(error: unknown): unknown {
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string' && /^SQLITE_(ERROR|CORRUPT)/.test(code)) {
    return new Schema18Error(`the tables cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return error;
}
