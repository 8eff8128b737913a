/**
 * From any uploaded `.anki2` file to the form at rest: schema 11, journal mode DELETE, closed.
 *
 * The file is hostile until proven sound: its schema is judged as data first, then every page is checked, and only then
 * is anything converted. The verdict is that of Anki's own server (`rslib/src/sync/collection/upload.rs`, which opens the
 * file with `integrity_check` and upgrades it); where it differs on purpose, `test/storage/sqlite/anki2.test.ts` says why.
 */
import type { Database } from 'better-sqlite3';
import { Schema18Error } from '../../schema/schema18.ts';
import { checkCol } from './anki2-col.ts';
import type { ColColumn } from './anki2-col.ts';
import { syncFile } from '../files/durable.ts';
import { CorruptFile, faultOfFile } from './anki2-corrupt.ts';
import { lowerAscii } from './anki2-sql.ts';
import { checkIntegrity } from './anki2-integrity.ts';
import { mendRows } from './anki2-rows.ts';
import { checkAnkiTables, checkColTable, INDEXES_OF_11, NEWEST_VERSION, READABLE_VERSIONS, strangeIndexesOf11 } from './anki2-tables.ts';
import { USED_BYTES } from './collection-overview.ts';
import { downgradeToSchema11 } from './downgrade.ts';
import { checkBeforeOpening, openHostile, readHostileSchema } from './hostile.ts';
import type { HostileSchema } from './hostile.ts';

export type UploadVerdict =
  | {
      /** The file at the path is now schema 11, closed and synced to disk, with nothing beside it. */
      verdict: 'ok';
      /** As it came. */
      schemaVersion: number;
      /** Sentences about what schema 11 cannot carry, and what no client can read; no content. */
      losses: string[];
      /** As `meta` will count them. */
      bytes: number;
    }
  /** `reason` is for the log: it holds nothing of the file's contents. */
  | { verdict: 'corrupt'; reason: string }
  | { verdict: 'too-new'; schemaVersion: number };

/** What these tables hold is read into memory for the conversion. A real collection has some megabytes. */
const MAX_CONVERTED_BYTES = 48 * 1024 * 1024;

/**
 * `path` is a complete file that nobody else uses, on the file system of its final place; it is changed in any case, and
 * only worth keeping when the verdict is `ok`. Takes the time of one `integrity_check`, in constant memory.
 * Throws only for troubles that are not the file's fault: disk full, I/O errors.
 */
export function prepareUpload(path: string): UploadVerdict {
  try {
    checkBeforeOpening(path);
    const verdict = convert(path);
    if (verdict.verdict === 'ok') syncFile(path);
    return verdict;
  } catch (error) {
    const reason = error instanceof Schema18Error ? error.message : faultOfFile(error);
    if (reason === undefined) throw error;
    return { verdict: 'corrupt', reason };
  }
}

function convert(path: string): UploadVerdict {
  let db = openHostile(path);
  try {
    const schema = readHostileSchema(db);
    checkColTable(schema);
    const schemaVersion = readVersion(db);
    if (schemaVersion > NEWEST_VERSION) return { verdict: 'too-new', schemaVersion };
    if (!READABLE_VERSIONS.includes(schemaVersion)) throw new CorruptFile(`schema ${schemaVersion} was never released`);
    checkAnkiTables(schema, schemaVersion);
    if (replaceUnicase(db, schema)) {
      db.close();
      db = openHostile(path);
    }
    checkIntegrity(db, schema);
    if (db.prepare('SELECT count(*) FROM col').pluck().get() !== 1) throw new CorruptFile('col has not exactly one row');
    const losses = schemaVersion === 11 ? [] : downgrade(db, schemaVersion);
    checkCol(db, columnsToJudge(schemaVersion));
    // a file of nothing but odd rows would be held in memory a second time
    db.pragma('journal_mode = DELETE');
    losses.push(...mendRows(db));
    tidy(db, schema);
    return { verdict: 'ok', schemaVersion, losses, bytes: db.prepare<[], number>(`SELECT ${USED_BYTES}`).pluck().get()! };
  } finally {
    db.close();
  }
}

/** Those that came as JSON; the others are our own work. */
function columnsToJudge(schemaVersion: number): ColColumn[] {
  if (schemaVersion === 11) return ['conf', 'models', 'decks', 'dconf', 'tags'];
  return schemaVersion === 14 ? ['models', 'decks', 'dconf'] : [];
}

function readVersion(db: Database): number {
  const version = db.prepare('SELECT ver FROM col LIMIT 1').pluck().get();
  if (typeof version !== 'number' || !Number.isInteger(version)) throw new CorruptFile('col has no schema version');
  return version;
}

/**
 * Puts NOCASE in the place of the collation `unicase` in the texts of the schema, without touching any tree, so that the
 * tables can be read. The same number of bytes, so that no page is taken from a free list which is not checked yet.
 * Answers whether anything changed: SQLite then has to read the schema again.
 */
function replaceUnicase(db: Database, schema: HostileSchema): boolean {
  const entries = [...schema.tables.values(), ...schema.indexes.values()].filter((entry) => entry.unicaseAt.length > 0);
  if (entries.length === 0) return false;
  const find = db.prepare('SELECT rowid, sql FROM sqlite_master WHERE lower(name) = ?').raw();
  db.unsafeMode(true);
  db.pragma('writable_schema = ON');
  const replace = db.prepare('UPDATE sqlite_master SET sql = ? WHERE rowid = ?');
  db.transaction(() => {
    for (const entry of entries) {
      const [rowid, sql] = find.get(lowerAscii(entry.name)) as [number, string];
      let text = sql;
      for (const at of entry.unicaseAt) {
        text = text.slice(0, at) + text.slice(at).replace(/^(["'`[]?)unicase["'`\]]?/i, (word) => 'NOCASE'.padEnd(word.length));
      }
      replace.run(text, rowid);
    }
  })();
  db.pragma('writable_schema = OFF');
  db.unsafeMode(false);
  return true;
}

function downgrade(db: Database, schemaVersion: number): string[] {
  const tables = { config: ['val'], deck_config: ['name', 'config'], tags: ['tag'] };
  const parts = ['name', 'config'];
  const since15 = { fields: parts, templates: parts, notetypes: parts, decks: ['name', 'common', 'kind'] };
  for (const [table, columns] of Object.entries(schemaVersion === 14 ? tables : { ...tables, ...since15 })) {
    const sizes = columns.map((column) => `octet_length(${column})`).join(' + ');
    const bytes = db.prepare(`SELECT total(${sizes}) FROM ${table} NOT INDEXED`).pluck().get() as number;
    if (bytes > MAX_CONVERTED_BYTES) throw new CorruptFile(`the table ${table} is too large to be converted`);
  }
  return downgradeToSchema11(db, schemaVersion).losses;
}

/** Anki's indexes, and no statistics: they are the file's word about what is fast. */
function tidy(db: Database, schema: HostileSchema): void {
  db.transaction(() => {
    for (const name of strangeIndexesOf11(schema)) db.exec(`DROP INDEX ${name}`);
    for (const [name, { table, columns }] of Object.entries(INDEXES_OF_11)) {
      db.exec(`CREATE INDEX IF NOT EXISTS ${name} ON ${table} (${columns.replaceAll(' ', ', ')})`);
    }
    for (const table of schema.internalTables) if (table.startsWith('sqlite_stat')) db.exec(`DROP TABLE ${table}`);
  })();
}
