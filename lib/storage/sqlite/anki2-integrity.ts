/**
 * Whether the pages of a file are sound, with the verdict of a SQLite that knows Anki's collation `unicase`, which ours
 * cannot have: its name was replaced by NOCASE, so the order of names that are not ASCII looks wrong to `integrity_check`.
 * Those complaints are left out, and the order and the content of the trees in question are checked here instead.
 */
import type { Database } from 'better-sqlite3';
import { unicaseKey } from '../../schema/unicase.ts';
import { CorruptFile } from './anki2-corrupt.ts';
import { lowerAscii } from './anki2-sql.ts';
import type { HostileSchema } from './hostile.ts';

/** Names that are not ASCII bring one complaint each at most; a file with more of them is not Anki's work. */
const MAX_COMPLAINTS = 5_000_000;

/** Throws CorruptFile when the file is damaged. Reads every page once, and every row. */
export function checkIntegrity(db: Database, schema: HostileSchema): void {
  const trees = unicaseTrees(schema);
  const excused = new Set(trees.map((tree) => tree.name));
  // structural damage comes first, and in one row: nothing is scanned after it, as the loop ends there
  const complaints = db.prepare(`PRAGMA integrity_check(${MAX_COMPLAINTS})`).pluck().iterate() as IterableIterator<string>;
  for (const complaint of complaints) {
    if (complaint === 'ok') break;
    const order = /^row (?:\d+ missing from index|not in PRIMARY KEY order for) (\S+)$|^non-unique entry in index (\S+)$/.exec(complaint);
    const name = order?.[1] ?? order?.[2];
    if (name === undefined || !excused.has(lowerAscii(name))) throw new CorruptFile(`damaged: ${withoutNames(complaint)}`);
  }
  for (const tree of trees) checkUnicaseTree(db, tree);
  touchRoots(db, schema);
}

/** A page without cells that calls itself one with children is no complaint of `integrity_check`, but the end of the first write. */
function touchRoots(db: Database, schema: HostileSchema): void {
  const indexesOf = db.prepare('SELECT name FROM pragma_index_list(?) WHERE NOT partial').pluck();
  for (const table of schema.tables.values()) {
    const sources = ['NOT INDEXED', ...(indexesOf.all(table.name) as string[]).map((index) => `INDEXED BY ${quoted(index)}`)];
    for (const source of sources) db.prepare(`SELECT 1 FROM ${quoted(table.name)} ${source} LIMIT 1`).get();
  }
}

interface UnicaseTree {
  /** The index, or the table itself where it has no row ids. Lower case. */
  name: string;
  table: string;
  /** What names a row of the table. */
  rowKey: string[];
  withoutRowid: boolean;
  /** The columns of the key, in its order. */
  key: { name: string; unicase: boolean }[];
  unique: boolean;
}

/** Every tree of the file whose order depends on `unicase`. */
function unicaseTrees(schema: HostileSchema): UnicaseTree[] {
  const trees: UnicaseTree[] = [];
  for (const [name, table] of schema.tables) {
    if (table.unicaseAt.length === 0) continue;
    const folded = new Set(table.columns.filter((column) => column.collation === 'unicase').map((column) => lowerAscii(column.name)));
    const rowKey = table.withoutRowid ? table.primaryKey : ['rowid'];
    const common = { table: name, rowKey, withoutRowid: table.withoutRowid };
    const part = (column: string) => ({ name: column, unicase: folded.has(column) });
    if (table.withoutRowid && table.primaryKey.some((column) => folded.has(column))) {
      trees.push({ name, ...common, key: table.primaryKey.map(part), unique: true });
    }
    for (const [indexName, index] of schema.indexes) {
      if (lowerAscii(index.table) !== name) continue;
      const key = index.columns.map((column) => ({
        name: lowerAscii(column.name),
        unicase: column.collation === undefined ? folded.has(lowerAscii(column.name)) : column.collation === 'unicase',
      }));
      if (key.some((column) => column.unicase)) trees.push({ name: indexName, ...common, key, unique: index.unique });
    }
  }
  return trees;
}

function checkUnicaseTree(db: Database, tree: UnicaseTree): void {
  // a table without row ids is the index of its key; `NOT INDEXED` alone would leave SQLite free to scan another one
  const rows = `${quoted(tree.table)} ${tree.withoutRowid ? `INDEXED BY ${quoted(`sqlite_autoindex_${tree.table}_1`)}` : 'NOT INDEXED'}`;
  const source = tree.name === tree.table ? rows : `${quoted(tree.table)} INDEXED BY ${quoted(tree.name)}`;
  const columns = tree.key.map((column) => quoted(column.name)).join(', ');
  let previous: unknown[] | undefined;
  // the order of the scan is that of the tree; an ORDER BY would let SQLite believe in the replaced collation
  for (const row of db.prepare(`SELECT ${columns} FROM ${source}`).raw().safeIntegers().iterate() as IterableIterator<unknown[]>) {
    if (previous !== undefined) {
      const order = compareKeys(previous, row, tree.key);
      const wrong = order > 0 || (order === 0 && tree.unique && !row.includes(null));
      if (wrong) throw new CorruptFile(`the names in ${tree.name} are out of order`);
    }
    previous = row;
  }
  if (tree.name === tree.table) return;
  // integrity_check has compared the number of entries; between blobs, no collation takes part
  const bytes = tree.key.map((column) => `CAST(${quoted(column.name)} AS BLOB)`).concat(tree.rowKey.map(quoted)).join(', ');
  const stray = db.prepare(`SELECT ${bytes} FROM ${source} EXCEPT SELECT ${bytes} FROM ${rows} LIMIT 1`).raw().get();
  if (stray !== undefined) throw new CorruptFile(`the names in ${tree.name} are not those of its table`);
}

/** Negative, zero or positive, in the order of SQLite: NULL, numbers, texts, blobs. */
function compareKeys(a: unknown[], b: unknown[], key: UnicaseTree['key']): number {
  for (let i = 0; i < key.length; i++) {
    const order = compareValues(a[i], b[i], key[i]!.unicase);
    if (order !== 0) return order;
  }
  return 0;
}

function compareValues(a: unknown, b: unknown, unicase: boolean): number {
  const rank = rankOf(a) - rankOf(b);
  if (rank !== 0) return rank;
  if (typeof a === 'string') return unicase ? compareBytes(unicaseKey(a), unicaseKey(b as string)) : compareBytes(a, b as string);
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array);
  if (a === null) return 0;
  return (a as bigint) < (b as bigint) ? -1 : (a as bigint) > (b as bigint) ? 1 : 0;
}

function rankOf(value: unknown): number {
  return value === null ? 0 : typeof value === 'string' ? 2 : value instanceof Uint8Array ? 3 : 1;
}

/** By code point: JavaScript's own order differs beyond the basic plane. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Structural complaints name pages and cells only; the others name tables of the file, and are cut before that. */
function withoutNames(complaint: string): string {
  const first = complaint.replace('*** in database main ***\n', '').split('\n')[0]!;
  if (/^(Tree|Freelist|Page|Main freelist|Failed to read)/.test(first)) return first.slice(0, 120);
  return first.replace(/\b(index|for|in) .*$/s, '$1 …').slice(0, 60);
}
