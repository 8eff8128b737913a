/** Real collections with one thing wrong each: in a page, in the schema, in a value, in the header. The same ones for the same seed. */
import { rmSync, writeFileSync, readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { mutantsOf, pageBytesOf, pagesByKind, seeded } from '../storage/sqlite/anki2-files.ts';

export interface MutatedCollection {
  name: string;
  kind: 'damage' | 'pages' | 'schema' | 'values' | 'header';
  bytes: Buffer;
}

type Random = (below: number) => number;
type Edit = (db: Database.Database) => string;

const SHARES = { pages: 30, schema: 25, values: 25, header: 8 } as const;

/** Endless. `bases` are collections of Anki's, by a word for them; `scratch` is the path of a file that may be written. */
export function* mutatedCollections(bases: Record<string, Buffer>, seed: number, scratch: string): Generator<MutatedCollection> {
  const random = seeded(seed);
  const names = Object.keys(bases);
  const damaged = Object.entries(bases).flatMap(([name, bytes], i) => mutantsOf(name, bytes, seed + i, 3));
  for (;;) {
    const base = names[random(names.length)]!;
    const bytes = bases[base]!;
    let lot = random(100);
    const kind = (Object.keys(SHARES) as (keyof typeof SHARES)[]).find((key) => (lot -= SHARES[key]) < 0);
    if (kind === undefined) {
      const mutant = damaged[random(damaged.length)]!;
      yield { kind: 'damage', ...mutant };
    } else if (kind === 'pages' || kind === 'header') {
      const copy = Buffer.from(bytes);
      const done = kind === 'pages' ? changePages(copy, random) : changeHeader(copy, random);
      yield { name: `${base}: ${done}`, kind, bytes: copy };
    } else {
      const edited = withEdit(bytes, scratch, kind === 'schema' ? schemaEdit(random) : valueEdit(random));
      if (edited !== undefined) yield { name: `${base}: ${edited.name}`, kind, bytes: edited.bytes };
    }
  }
}

/** undefined when SQLite did not take the edit: not all of them fit every schema. */
function withEdit(bytes: Buffer, scratch: string, edit: Edit): { name: string; bytes: Buffer } | undefined {
  writeFileSync(scratch, bytes);
  const db = new Database(scratch);
  try {
    db.pragma('journal_mode = MEMORY');
    db.pragma('synchronous = OFF');
    db.pragma('ignore_check_constraints = ON');
    db.unsafeMode(true);
    const name = edit(db);
    db.close();
    return { name, bytes: readFileSync(scratch) };
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
    return undefined;
  } finally {
    if (db.open) db.close();
    rmSync(scratch, { force: true });
  }
}

const pick = <T>(list: readonly T[], random: Random): T => list[random(list.length)]!;

// Pages ------------------------------------------------------------------------------------------------------------------

function changePages(file: Buffer, random: Random): string {
  const pageBytes = pageBytesOf(file);
  const pages = file.length / pageBytes;
  const kinds = pagesByKind(file);
  const known = new Set([...kinds.table, ...kinds.index, ...kinds.free]);
  const trees = [...kinds.table, ...kinds.index];
  const interior = trees.filter((page) => [2, 5].includes(file[startOf(page)]!));
  const overflow = Array.from({ length: pages }, (_, i) => i + 1).filter((page) => !known.has(page));
  const anyPage = (): number => 1 + random(pages);
  const odd = (): number => pick([0, 1, 0x7fff_ffff, 0xffff_ffff, pages + 1, anyPage(), anyPage()], random);
  function offsetOf(page: number): number {
    return (page - 1) * pageBytes;
  }
  function startOf(page: number): number {
    return offsetOf(page) + (page === 1 ? 100 : 0);
  }
  const cellOf = (page: number): number => {
    const pointers = startOf(page) + ([2, 5].includes(file[startOf(page)]!) ? 12 : 8);
    const cells = Math.max(1, file.readUInt16BE(startOf(page) + 3));
    return offsetOf(page) + Math.min(pageBytes - 16, file.readUInt16BE(pointers + 2 * random(cells)));
  };

  const changes: (() => string)[] = [
    () => {
      const [a, b] = [anyPage(), anyPage()];
      const copy = Buffer.from(file.subarray(offsetOf(a), offsetOf(a) + pageBytes));
      file.copyWithin(offsetOf(a), offsetOf(b), offsetOf(b) + pageBytes);
      copy.copy(file, offsetOf(b));
      return `pages ${a} and ${b} swapped`;
    },
    () => {
      const [a, b] = [anyPage(), anyPage()];
      file.copyWithin(offsetOf(a), offsetOf(b), offsetOf(b) + pageBytes);
      return `page ${b} also in the place of ${a}`;
    },
    () => {
      const page = anyPage();
      for (let at = startOf(page); at < offsetOf(page) + pageBytes; at++) file[at] = random(256);
      return `page ${page} of random bytes`;
    },
    () => {
      const page = pick(trees, random);
      file[startOf(page)] = pick([0, 2, 5, 10, 13, 255], random);
      return `page ${page} calls itself ${file[startOf(page)]}`;
    },
    () => {
      const page = pick(interior, random);
      const child = pick([page, pick(trees, random), odd()], random);
      const at = random(2) === 0 ? startOf(page) + 8 : cellOf(page);
      file.writeUInt32BE(child, at);
      return `page ${page} has the child ${child}`;
    },
    () => {
      // every way down leads to the same page, or back up
      const page = pick(interior, random);
      const child = pick([page, pick(interior, random), pick(trees, random)], random);
      for (let i = 0; i < 20; i++) file.writeUInt32BE(child, cellOf(page));
      file.writeUInt32BE(child, startOf(page) + 8);
      return `page ${page} has the child ${child} many times`;
    },
    () => {
      const page = pick(trees, random);
      file.writeUInt16BE(pick([0, 1, 65535, random(65536)], random), startOf(page) + 3);
      return `page ${page} has ${file.readUInt16BE(startOf(page) + 3)} cells`;
    },
    () => {
      const page = pick(trees, random);
      const at = startOf(page) + 8 + 2 * random(30);
      file.writeUInt16BE(random(65536), at);
      return `page ${page} has a cell at ${file.readUInt16BE(at)}`;
    },
    () => {
      const page = pick(trees, random);
      const at = 200 + random(pageBytes - 300);
      file.writeUInt16BE(at, startOf(page) + 1);
      file.writeUInt16BE(pick([at, at - 50, at + 4], random), offsetOf(page) + at);
      return `page ${page} has free blocks that lead in a circle`;
    },
    () => {
      const trunk = file.readUInt32BE(32);
      if (trunk === 0) file.writeUInt32BE(pick(trees, random), 32);
      else file.writeUInt32BE(pick([trunk, 1, odd()], random), offsetOf(trunk));
      return 'a free list that leads in a circle, or into a tree';
    },
    () => {
      const trunk = file.readUInt32BE(32) || anyPage();
      file.writeUInt32BE(pick([0, 1, 0xffff_ffff, pageBytes], random), offsetOf(trunk) + 4);
      file.writeUInt32BE(odd(), offsetOf(trunk) + 8);
      file.writeUInt32BE(pick([0, 1, 0xffff_ffff], random), 36);
      return 'a free list of another length';
    },
    () => {
      const page = overflow.length > 0 ? pick(overflow, random) : anyPage();
      const next = pick([page, pick([...overflow, page], random), odd()], random);
      file.writeUInt32BE(next, offsetOf(page));
      return `the overflow page ${page} goes on at ${next}`;
    },
    () => {
      const at = cellOf(pick(trees, random));
      file.fill(0xff, at, at + 1 + random(9));
      return `a cell at ${at} of enormous size`;
    },
    () => {
      const at = cellOf(pick(trees, random));
      for (let i = 2; i < 14; i++) file[at + i] = random(256);
      return `a cell at ${at} with other types`;
    },
  ];
  if (interior.length === 0) changes.splice(4, 2);
  return pick(changes, random)();
}

// Header -----------------------------------------------------------------------------------------------------------------

function changeHeader(file: Buffer, random: Random): string {
  const fields: [name: string, at: number, bytes: 1 | 2 | 4, values: readonly number[]][] = [
    ['page size', 16, 2, [0, 1, 2, 511, 512, 1024, 2048, 4096, 8192, 32768, 65535]],
    ['write version', 18, 1, [0, 1, 2, 3, 255]],
    ['read version', 19, 1, [0, 1, 2, 3, 255]],
    ['reserved bytes', 20, 1, [1, 8, 32, 255]],
    ['payload fraction', 21 + random(3), 1, [0, 1, 255]],
    ['change counter', 24, 4, [0, 1, 0xffff_ffff]],
    ['pages', 28, 4, [0, 1, 7, 0x7fff_ffff, 0xffff_ffff]],
    ['first free page', 32, 4, [1, 2, 0xffff_ffff]],
    ['free pages', 36, 4, [0, 1, 0xffff_ffff]],
    ['schema cookie', 40, 4, [0, 0x7fff_ffff, 0xffff_ffff]],
    ['schema format', 44, 4, [0, 1, 2, 3, 4, 5, 0xffff_ffff]],
    ['cache size', 48, 4, [1, 0x7fff_ffff, 0xffff_ffff]],
    ['largest root', 52, 4, [1, 2, 0xffff_ffff]],
    ['encoding', 56, 4, [0, 1, 2, 3, 4, 0xffff_ffff]],
    ['user version', 60, 4, [1, 0xffff_ffff]],
    ['incremental vacuum', 64, 4, [1, 0xffff_ffff]],
    ['application id', 68, 4, [1, 0xffff_ffff]],
    ['space for more', 72 + random(20), 1, [1, 255]],
    ['valid for', 92, 4, [0, 0xffff_ffff]],
    ['SQLite version', 96, 4, [0, 1, 0xffff_ffff]],
  ];
  const [name, at, bytes, values] = pick(fields, random);
  const value = pick(values, random);
  file.writeUIntBE(value, at, bytes);
  return `${name} ${value}`;
}

// Schema -----------------------------------------------------------------------------------------------------------------

const HEAVY = `length(replace(hex(zeroblob(200000000)), '00', hex(zeroblob(2)))) > 0`;
const ENDLESS = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n';
const CLAUSES = [
  'CHECK (1)', `CHECK (${HEAVY})`, `DEFAULT (${HEAVY})`, 'DEFAULT (random())', 'DEFAULT CURRENT_TIMESTAMP', `DEFAULT (load_extension('x'))`,
  'AS (1)', 'GENERATED ALWAYS AS (id) STORED', 'COLLATE nosuch', 'COLLATE unicase', 'COLLATE rtrim', 'UNIQUE', 'REFERENCES col (id) ON DELETE CASCADE',
  'PRIMARY KEY', 'PRIMARY KEY AUTOINCREMENT', 'NOT NULL ON CONFLICT IGNORE', "'", '/*', '--', ';', ')', '(', '\0', 'x'.repeat(100_000), `"${'q'.repeat(5000)}"`,
  '('.repeat(2000), '\u{1F600}', 'STRICT', 'ANY',
];
const STATEMENTS: readonly ((random: Random) => string)[] = [
  (random) => `CREATE TRIGGER x${random(9)} AFTER ${pick(['INSERT', 'UPDATE', 'DELETE'], random)} ON ${pick(['col', 'notes', 'cards', 'graves'], random)} BEGIN DELETE FROM notes; END`,
  (random) => `CREATE TRIGGER x INSTEAD OF INSERT ON v BEGIN SELECT ${random(9)}; END`,
  () => `CREATE VIEW v AS ${ENDLESS}`,
  (random) => `DROP TABLE ${pick(['revlog', 'graves', 'notes', 'col'], random)}; CREATE VIEW revlog AS ${ENDLESS}`,
  (random) => `CREATE VIRTUAL TABLE x USING ${pick(['fts5(a)', 'rtree(a, b, c)', 'fts3(a)', 'dbstat', 'fts5vocab(x, row)'], random)}`,
  (random) => `CREATE INDEX x ON notes (${pick([`(${HEAVY})`, 'length(flds)', 'flds COLLATE nocase', 'id, id, id', 'mid) WHERE (mid > 0'], random)})`,
  (random) => `CREATE TABLE ${pick(['sqlitex', 'Notes2', '"a""b"', '[ ]', 'graves_old', 'decks', 'fields', 'config', 'android_metadata', '"col "'], random)} (a, b)`,
  () => 'CREATE TABLE x (a PRIMARY KEY, b) WITHOUT ROWID; INSERT INTO x VALUES (1, 2)',
  () => 'CREATE TABLE x (a INTEGER PRIMARY KEY, b TEXT) STRICT',
  (random) => `ALTER TABLE ${pick(['notes', 'cards', 'col', 'revlog', 'graves'], random)} ADD COLUMN ${pick(['a', 'a DEFAULT 7', 'a AS (id)', 'a TEXT COLLATE nocase'], random)}`,
  (random) => `ALTER TABLE ${pick(['notes', 'cards', 'col', 'revlog', 'graves'], random)} RENAME TO x`,
  (random) => `ALTER TABLE notes RENAME COLUMN ${pick(['flds', 'mid', 'usn'], random)} TO x`,
  (random) => `DROP TABLE ${pick(['notes', 'cards', 'col', 'revlog', 'graves'], random)}`,
  (random) => `DROP INDEX ${pick(['ix_notes_usn', 'ix_cards_usn', 'ix_revlog_cid', 'ix_cards_sched', 'ix_notes_csum'], random)}`,
  (random) => `CREATE TABLE x (${Array.from({ length: 1 + random(1900) }, (_, i) => `c${i}`).join(', ')})`,
  (random) => `CREATE TABLE x (a DEFAULT '${'y'.repeat(random(300_000))}')`,
  (random) => `CREATE TABLE x (a); CREATE INDEX ${pick(['ix_notes_usn2', 'idx_decks_name', 'idx_notes_mid', 'ix'], random)} ON x (a)`,
  (random) => `ANALYZE; UPDATE sqlite_stat1 SET stat = '${pick(['', 'x', '9223372036854775807 1', '1 '.repeat(10_000), '-1 -1 unordered noskipscan sz=9'], random)}'`,
  (random) => `PRAGMA page_size = ${pick([512, 1024, 8192, 65536], random)}; VACUUM`,
  (random) => `PRAGMA auto_vacuum = ${pick(['FULL', 'INCREMENTAL'], random)}; VACUUM`,
  () => 'CREATE TABLE x (a INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO x VALUES (9223372036854775807)',
  () => 'DROP TABLE IF EXISTS sqlite_sequence; CREATE TABLE x (a INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO sqlite_sequence VALUES (NULL, x\'00\')',
];

function schemaEdit(random: Random): Edit {
  return (db) => {
    if (random(2) === 0) {
      const sql = pick(STATEMENTS, random)(random);
      db.exec(sql);
      return short(sql);
    }
    db.pragma('writable_schema = ON');
    const entries = db.prepare('SELECT rowid, name, sql FROM sqlite_master WHERE sql IS NOT NULL').all() as { rowid: number; name: string; sql: string }[];
    const entry = pick(entries, random);
    const set = (column: string, value: unknown): void => {
      db.prepare(`UPDATE sqlite_master SET ${column} = ? WHERE rowid = ?`).run(value, entry.rowid);
    };
    switch (random(6)) {
      case 0:
        set('rootpage', pick([0, 1, 2, 99999, -1, null, 'x', 1.5, entries.length], random));
        return `the root of ${entry.name} is elsewhere`;
      case 1:
        set(pick(['name', 'tbl_name'], random), pick(['notes', 'sqlite_x', 'sqlite_stat4', '', null, 'ж', 'NOTES ', 7], random));
        return `the name of ${entry.name} is another`;
      case 2:
        set('type', pick(['view', 'trigger', 'index', 'table', 'TABLE', '', null], random));
        return `the type of ${entry.name} is another`;
      case 3:
        set('sql', pick([null, '', 'SELECT 1', `CREATE VIEW ${entry.name} AS ${ENDLESS}`, Buffer.from(entry.sql), `${entry.sql}; DROP TABLE notes`, entry.sql.toUpperCase()], random));
        return `the text of ${entry.name} is another`;
      default: {
        const marks = [...entry.sql.matchAll(/[,()]/g)].map(({ index }) => index);
        const at = pick(marks, random) + random(2);
        const clause = pick(CLAUSES, random);
        set('sql', `${entry.sql.slice(0, at)} ${clause} ${entry.sql.slice(at)}`);
        return `the text of ${entry.name} with ${short(clause)} at ${at}`;
      }
    }
  };
}

// Values -----------------------------------------------------------------------------------------------------------------

const VALUES = [
  'NULL', '0', '-1', '9223372036854775807', '-9223372036854775808', '4294967296', '2147483648', '1.5', '1e999', '-1e999', "''", "'x'", "'12'", "x''", "x'00ff'",
  "'a' || char(0) || 'b'", "CAST(x'ff80' AS TEXT)", 'zeroblob(20000)', "replace(hex(zeroblob(2000)), '00', char(8238) || '𝄞')",
];
const JSON_VALUES = [
  'null', 'true', '-0', '1e999', '1.0', '9007199254740993', '-9223372036854775809', '"x"', '"\\ud800"', '"\\u0000"', '[]', '{}', '{"__proto__":1}', '[[[[[[]]]]]]',
  `${'['.repeat(200)}${']'.repeat(200)}`, '{"a":1,"a":2}', `"${'y'.repeat(100_000)}"`, '[1,', '',
];

function valueEdit(random: Random): Edit {
  return (db) => {
    const tables = db.prepare(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite_*'`).pluck().all() as string[];
    const table = pick(['col', 'notes', 'cards', 'graves', ...tables], random);
    const columns = db.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(table) as string[];
    const column = pick(columns, random);
    const where = pick(['1', 'rowid % 5 = 0', `${pick(columns, random)} IS NOT NULL`], random);
    if (table === 'col' && random(2) === 0) {
      const text = pick(['conf', 'models', 'decks', 'dconf', 'tags'], random);
      const keys = [...String(db.prepare(`SELECT ${text} FROM col`).pluck().get()).matchAll(/"(\w+)":/g)];
      if (keys.length > 0) {
        const key = pick(keys, random);
        const value = pick(JSON_VALUES, random);
        const said = pick([`"${key[1]}":${value},"${key[1]}":`, `"${key[1]}x":`, `"more":${value},"${key[1]}":`, ` "${key[1]}" : `], random);
        db.prepare(`UPDATE col SET ${text} = substr(${text}, 1, ?) || ? || substr(${text}, ?)`).run(key.index, said, key.index + key[0].length + 1);
        return `col.${text} with ${short(said)} at ${key.index}`;
      }
    }
    if (table === 'graves' || table === 'revlog') {
      const row = columns.map(() => pick(VALUES, random)).join(', ');
      db.exec(`INSERT INTO ${table} VALUES (${row})`);
      return `${table} with (${short(row)})`;
    }
    const value = pick(VALUES, random);
    db.exec(`UPDATE ${table} SET ${column} = ${value} WHERE ${where}`);
    return `${table}.${column} = ${short(value)} WHERE ${where}`;
  };
}

function short(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 76)} …` : text);
}
