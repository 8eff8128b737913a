/**
 * Anki's own tables and indexes in each schema version, as the `upgrades` of rslib's storage make them, and which of them
 * a file of one version may have. Names are compared as SQLite does; white space, comments, types and NOT NULL may differ,
 * because twelve years of releases wrote them differently.
 */
import { CorruptFile } from './anki2-corrupt.ts';
import { lowerAscii } from './anki2-sql.ts';
import type { PlainIndex, PlainTable } from './anki2-sql.ts';
import type { HostileSchema } from './hostile.ts';

/** Schema versions that Anki opens. 12 and 13 were never released as files: Anki refuses them. */
export const READABLE_VERSIONS: readonly number[] = [11, 14, 15, 16, 17, 18];
export const NEWEST_VERSION = 18;

interface KnownTable {
  columns: string;
  primaryKey: string;
  withoutRowid?: true;
  versions: readonly [first: number, last: number];
}

const ALWAYS = [11, 18] as const;
const KNOWN_TABLES: Record<string, KnownTable[]> = {
  col: [{ columns: 'id crt mod scm ver dty usn ls conf models decks dconf tags', primaryKey: 'id', versions: ALWAYS }],
  notes: [{ columns: 'id guid mid mod usn tags flds sfld csum flags data', primaryKey: 'id', versions: ALWAYS }],
  cards: [
    { columns: 'id nid did ord mod usn type queue due ivl factor reps lapses left odue odid flags data', primaryKey: 'id', versions: ALWAYS },
  ],
  revlog: [{ columns: 'id cid usn ease ivl lastivl factor time type', primaryKey: 'id', versions: ALWAYS }],
  graves: [
    { columns: 'usn oid type', primaryKey: '', versions: [11, 17] },
    { columns: 'oid type usn', primaryKey: 'oid type', withoutRowid: true, versions: [18, 18] },
  ],
  deck_config: [{ columns: 'id name mtime_secs usn config', primaryKey: 'id', versions: [14, 18] }],
  config: [{ columns: 'key usn mtime_secs val', primaryKey: 'key', withoutRowid: true, versions: [14, 18] }],
  tags: [
    { columns: 'tag usn', primaryKey: 'tag', withoutRowid: true, versions: [14, 16] },
    { columns: 'tag usn collapsed config', primaryKey: 'tag', withoutRowid: true, versions: [17, 18] },
  ],
  fields: [{ columns: 'ntid ord name config', primaryKey: 'ntid ord', withoutRowid: true, versions: [15, 18] }],
  templates: [{ columns: 'ntid ord name mtime_secs usn config', primaryKey: 'ntid ord', withoutRowid: true, versions: [15, 18] }],
  notetypes: [{ columns: 'id name mtime_secs usn config', primaryKey: 'id', versions: [15, 18] }],
  decks: [{ columns: 'id name mtime_secs usn common kind', primaryKey: 'id', versions: [15, 18] }],
  // a name that Anki uses while it upgrades: a client could never open such a file after a download
  graves_old: [],
};

/** The indexes of schema 11: made anew where they are missing or other. */
export const INDEXES_OF_11: Record<string, { table: string; columns: string }> = {
  ix_notes_usn: { table: 'notes', columns: 'usn' },
  ix_cards_usn: { table: 'cards', columns: 'usn' },
  ix_revlog_usn: { table: 'revlog', columns: 'usn' },
  ix_cards_nid: { table: 'cards', columns: 'nid' },
  ix_cards_sched: { table: 'cards', columns: 'did queue due' },
  ix_revlog_cid: { table: 'revlog', columns: 'cid' },
  ix_notes_csum: { table: 'notes', columns: 'csum' },
};

/** The later ones: gone after the conversion. A file of an older version may not have the name, or clients fail when they upgrade. */
const INDEXES_FROM_15: Record<string, { table: string; columns: string; unique?: true; where?: string; since: number }> = {
  idx_fields_name_ntid: { table: 'fields', columns: 'name ntid', unique: true, since: 15 },
  idx_templates_name_ntid: { table: 'templates', columns: 'name ntid', unique: true, since: 15 },
  idx_templates_usn: { table: 'templates', columns: 'usn', since: 15 },
  idx_notetypes_name: { table: 'notetypes', columns: 'name', unique: true, since: 15 },
  idx_notetypes_usn: { table: 'notetypes', columns: 'usn', since: 15 },
  idx_decks_name: { table: 'decks', columns: 'name', unique: true, since: 15 },
  idx_notes_mid: { table: 'notes', columns: 'mid', since: 15 },
  idx_cards_odid: { table: 'cards', columns: 'odid', where: 'odid != 0', since: 15 },
  idx_graves_pending: { table: 'graves', columns: 'usn', since: 18 },
};

/** `col` must be right before anything is read from it, whatever the version. */
export function checkColTable(schema: HostileSchema): void {
  const col = schema.tables.get('col');
  if (col === undefined) throw new CorruptFile('there is no table col');
  if (!fits(col, KNOWN_TABLES.col![0]!)) throw new CorruptFile('the table col is not what Anki makes');
}

/** Throws CorruptFile unless all of Anki's tables of this version are there, as Anki makes them, and none of another version. */
export function checkAnkiTables(schema: HostileSchema, version: number): void {
  for (const [name, shapes] of Object.entries(KNOWN_TABLES)) {
    const table = schema.tables.get(name);
    const shape = shapes.find(({ versions: [first, last] }) => first <= version && version <= last);
    if (shape === undefined && table !== undefined) throw new CorruptFile(`schema ${version} has no table ${name}`);
    if (shape === undefined) continue;
    if (table === undefined) throw new CorruptFile(`the table ${name} is missing`);
    if (!fits(table, shape)) throw new CorruptFile(`the table ${name} is not what Anki makes of it in schema ${version}`);
  }
  for (const table of schema.tables.values()) {
    // never at rest: no connection of ours knows this collation
    if (!Object.hasOwn(KNOWN_TABLES, lowerAscii(table.name)) && table.unicaseAt.length > 0) {
      throw new CorruptFile('a table that is not Anki\'s uses its collation');
    }
  }
  for (const [name, index] of schema.indexes) {
    const known = Object.hasOwn(INDEXES_FROM_15, name) ? INDEXES_FROM_15[name] : undefined;
    if (known !== undefined) {
      const same = version >= known.since
        && lowerAscii(index.table) === known.table
        && columnNames(index) === known.columns
        && index.unique === (known.unique === true)
        && index.where === known.where;
      if (!same) throw new CorruptFile(`the index ${name} is not what Anki makes of it in schema ${version}`);
    } else if (index.where !== undefined) {
      throw new CorruptFile('the schema has a partial index');
    }
    if (index.unicaseAt.length > 0 && known === undefined) throw new CorruptFile('an index that is not Anki\'s uses its collation');
  }
}

/** Indexes of schema 11 that are there under their name, but other than Anki makes them. */
export function strangeIndexesOf11(schema: HostileSchema): string[] {
  return Object.entries(INDEXES_OF_11).flatMap(([name, wanted]) => {
    const index = schema.indexes.get(name);
    const same = index === undefined
      || (lowerAscii(index.table) === wanted.table
        && columnNames(index) === wanted.columns
        && !index.unique
        && index.columns.every((column) => column.collation === undefined));
    return same ? [] : [name];
  });
}

function fits(table: PlainTable, known: KnownTable): boolean {
  const rowIdKey = known.withoutRowid !== true && known.primaryKey !== '';
  return (
    table.simple
    && table.columns.map((column) => lowerAscii(column.name)).join(' ') === known.columns
    && table.primaryKey.join(' ') === known.primaryKey
    && table.withoutRowid === (known.withoutRowid === true)
    && (!rowIdKey || table.columns[0]!.type === 'integer')
  );
}

function columnNames(index: PlainIndex): string {
  return index.columns.map((column) => lowerAscii(column.name)).join(' ');
}
