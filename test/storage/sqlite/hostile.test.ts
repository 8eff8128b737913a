import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { prepareUpload } from '../../../lib/storage/sqlite/anki2.ts';
import type { UploadVerdict } from '../../../lib/storage/sqlite/anki2.ts';
import { CorruptFile } from '../../../lib/storage/sqlite/anki2-corrupt.ts';
import { parseCreate } from '../../../lib/storage/sqlite/anki2-sql.ts';
import { checkBeforeOpening, openHostile, readHostileSchema } from '../../../lib/storage/sqlite/hostile.ts';
import { makeCollections, pageBytesOf, rootPage, withSql } from './anki2-files.ts';

const run = promisify(execFile);
/** For a process of its own: a loop within SQLite can only be killed. */
const JUDGE = `import { prepareUpload } from ${JSON.stringify(new URL('../../../lib/storage/sqlite/anki2.ts', import.meta.url).href)};
console.log(JSON.stringify(prepareUpload(process.argv[1])));`;
/** Minutes of work for each row. */
const HEAVY = `length(replace(hex(zeroblob(200000000)), '00', hex(zeroblob(2)))) > 0`;

let folder: string;
let schema18: Buffer;
let schema11: Buffer;
let files = 0;
const newPath = (): string => join(folder, `${++files}.anki2`);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hostile-'));
  const made = await makeCollections(folder);
  schema18 = await readFile(made.schema18);
  schema11 = await readFile(made.schema11);
});

after(() => rm(folder, { recursive: true, force: true }));

async function judgeInBoundedTime(path: string): Promise<UploadVerdict> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', JUDGE, path], { timeout: 30_000, killSignal: 'SIGKILL' });
  return JSON.parse(stdout) as UploadVerdict;
}

/** Refused, and not one byte of the file was changed: nothing of it was executed, nothing was converted. */
async function refusesUntouched(bytes: Buffer, reason?: RegExp, judge: (path: string) => UploadVerdict | Promise<UploadVerdict> = prepareUpload): Promise<void> {
  const path = newPath();
  await writeFile(path, bytes);
  const verdict = await judge(path);
  assert.equal(verdict.verdict, 'corrupt');
  if (reason !== undefined) assert.match(verdict.verdict === 'corrupt' ? verdict.reason : '', reason);
  assert.ok((await readFile(path)).equals(bytes), 'the file is as it came');
  await rm(path);
}

async function edited(...sql: string[]): Promise<Buffer> {
  const path = newPath();
  await withSql(schema11, path, ...sql);
  const bytes = await readFile(path);
  await rm(path);
  return bytes;
}

describe('a schema that could run something is refused before anything runs', () => {
  const cases: Record<string, string[]> = {
    'a trigger on col': ['CREATE TRIGGER t AFTER UPDATE ON col BEGIN DELETE FROM notes; END'],
    'a trigger with the name of an index of Anki': ['DROP INDEX ix_notes_usn', 'CREATE TRIGGER ix_notes_usn DELETE ON notes BEGIN SELECT 1; END'],
    'a view': ['CREATE VIEW v AS SELECT 1'],
    'a view in the place of revlog': ['DROP TABLE revlog', 'CREATE VIEW revlog AS SELECT id, 0 cid FROM notes'],
    'a view that never ends, in the place of revlog': [
      'DROP TABLE revlog',
      'CREATE VIEW revlog AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n',
    ],
    'a view that never ends, in the place of col': [
      'DROP TABLE col',
      'CREATE VIEW col AS WITH RECURSIVE n(ver) AS (SELECT 1 UNION ALL SELECT ver + 1 FROM n) SELECT ver FROM n WHERE ver < 0',
    ],
    'a virtual table of fts5': ['CREATE VIRTUAL TABLE search USING fts5 (a)'],
    'a virtual table of rtree': ['CREATE VIRTUAL TABLE boxes USING rtree (id, a, b)'],
    'a virtual table in the place of graves': ['DROP TABLE graves', 'CREATE VIRTUAL TABLE graves USING fts5 (usn, oid, type)'],
    'a generated column': ['CREATE TABLE t (a, b AS (a + 1))'],
    'a stored generated column': ['CREATE TABLE t (a, b INT GENERATED ALWAYS AS (a + 1) STORED)'],
    'a generated column in notes': ['ALTER TABLE notes ADD COLUMN g AS (length(flds))'],
    'an index on an expression': ['CREATE INDEX i ON notes (length(flds))'],
    'a heavy index on an expression': ['CREATE TABLE t (a)', `CREATE INDEX i ON t ((${HEAVY}))`],
    'a partial index': ['CREATE INDEX i ON notes (mid) WHERE abs(mid) > 1'],
    'a partial index with the name of Anki\'s': ['CREATE INDEX idx_cards_odid ON cards (odid) WHERE abs(odid) != 0'],
    'a check': ['CREATE TABLE t (a CHECK (a > 0))'],
    'a named check of the table': ['CREATE TABLE t (a, CONSTRAINT c CHECK (a > 0))'],
    'a heavy check': [`CREATE TABLE t (a CHECK (a IS NULL OR ${HEAVY}))`, 'INSERT INTO t VALUES (NULL)', 'PRAGMA ignore_check_constraints = ON', 'INSERT INTO t VALUES (1), (2), (3)'],
    'a default that is an expression': ['CREATE TABLE t (a DEFAULT (random()))'],
    'a heavy default in notes': [`ALTER TABLE notes ADD COLUMN g DEFAULT (NULL)`, 'PRAGMA writable_schema = ON', `UPDATE sqlite_master SET sql = replace(sql, 'DEFAULT (NULL)', 'DEFAULT (${HEAVY.replaceAll("'", "''")})') WHERE name = 'notes'`],
    'a check in col': ['PRAGMA writable_schema = ON', `UPDATE sqlite_master SET sql = replace(sql, 'ver integer NOT NULL', 'ver integer NOT NULL CHECK (ver > 0)') WHERE name = 'col'`],
    'an order that Anki does not have': ['PRAGMA writable_schema = ON', `UPDATE sqlite_master SET sql = replace(sql, 'guid text NOT NULL', 'guid text NOT NULL COLLATE other') WHERE name = 'notes'`],
    'Anki\'s order in a table of its own': ['CREATE TABLE t (a)', 'PRAGMA writable_schema = ON', `UPDATE sqlite_master SET sql = 'CREATE TABLE t (a COLLATE unicase)' WHERE name = 't'`],
  };
  for (const [name, sql] of Object.entries(cases)) {
    const judge = /never ends|heavy/.test(name) ? judgeInBoundedTime : prepareUpload;
    test(name, async () => refusesUntouched(await edited(...sql), undefined, judge));
  }
});

describe('a schema that contradicts itself is refused', () => {
  const set = (column: string, value: string, name: string): string => `UPDATE sqlite_master SET ${column} = ${value} WHERE name = '${name}'`;
  const cases: Record<string, string[]> = {
    'an entry with another name than its text': [set('name', `'graves2'`, 'graves')],
    'an entry whose text makes another table': [set('sql', `'CREATE TABLE other (usn, oid, type)'`, 'graves')],
    'a table whose text makes a view': [set('sql', `'CREATE VIEW graves AS SELECT 1 usn, 2 oid, 3 type'`, 'graves')],
    'a view whose text makes a table': [set('type', `'view'`, 'graves')],
    'an entry of no known type': [set('type', `'thing'`, 'graves')],
    'an entry whose type is written in capitals': [set('type', `'TABLE'`, 'graves')],
    'a trigger that calls itself a table': ['CREATE TABLE x (a)', set('sql', `'CREATE TRIGGER x AFTER INSERT ON notes BEGIN SELECT 1; END'`, 'x')],
    'an index that calls itself another table\'s': [set('tbl_name', `'cards'`, 'ix_notes_usn')],
    'a table without a text': [set('sql', 'NULL', 'graves')],
    'a table whose text is a number': [set('sql', '7', 'graves')],
    'a table whose text is a blob': [set('sql', 'CAST(sql AS BLOB)', 'graves')],
    'an index without a text': [set('sql', 'NULL', 'ix_notes_usn')],
    'two tables of one name': [`INSERT INTO sqlite_master SELECT type, upper(name), upper(tbl_name), rootpage, replace(sql, 'graves', 'GRAVES') FROM sqlite_master WHERE name = 'graves'`],
    'two statements in one text': [set('sql', `sql || '; DROP TABLE notes'`, 'graves')],
    'a table in the place of the schema': [set('rootpage', '1', 'graves')],
    'two tables in one place': [set('rootpage', `(SELECT rootpage FROM sqlite_master WHERE name = 'cards')`, 'graves')],
    'a table on a page that is not there': [set('rootpage', '99999', 'graves')],
    'a statistics table that is a view': ['DROP TABLE IF EXISTS sqlite_stat4', set('sql', `'CREATE VIEW sqlite_stat1 AS SELECT 1 tbl, 2 idx, 3 stat'`, 'sqlite_stat1'), set('type', `'view'`, 'sqlite_stat1')],
    'a table that pretends to be SQLite\'s': ['CREATE TABLE x (a)', `UPDATE sqlite_master SET name = 'sqlite_x', tbl_name = 'sqlite_x', sql = 'CREATE TABLE sqlite_x (a)' WHERE name = 'x'`],
    'a text cut by a NUL': [set('sql', `'CREATE TABLE graves (usn, oid, type)' || char(0) || ' CHECK (1))'`, 'graves')],
    'a column more than in the text': [set('sql', `'CREATE TABLE notes (id integer primary key, guid)'`, 'notes')],
  };
  for (const [name, sql] of Object.entries(cases)) {
    test(name, async () => {
      const bytes = await edited('PRAGMA writable_schema = ON', ...sql);
      const path = newPath();
      await writeFile(path, bytes);
      assert.equal(prepareUpload(path).verdict, 'corrupt');
      await rm(path);
    });
  }
});

describe('the text of a table or index', () => {
  const refused = [
    'CREATE TABLE t (a CHECK (1))',
    'CREATE TABLE t (a/* ) */CHECK/**/(1))',
    'CREATE TABLE t (a "check", b CHECK(1))',
    'CREATE TABLE t (a -- check\nCHECK (1))',
    'CREATE TABLE t (a AS (1))',
    'CREATE TABLE t (a int generated always as (1))',
    'CREATE TABLE t (a "generated" "always" AS (1))',
    'CREATE TABLE t (a DEFAULT (1 + 1))',
    'CREATE TABLE t (a DEFAULT (random()))',
    "CREATE TABLE t (a DEFAULT x'00')",
    'CREATE TABLE t (a DEFAULT -abs(1))',
    'CREATE TABLE t (a COLLATE other)',
    'CREATE TABLE t (a) WITHOUT ROWID, STRICT, OTHER',
    'CREATE TABLE t AS SELECT 1',
    'CREATE TABLE main.t (a)',
    'CREATE TEMP TABLE t (a)',
    'CREATE TABLE t (a); DROP TABLE notes',
    'CREATE TABLE t (a) /* not ended',
    'CREATE TABLE t (a, "b)',
    'CREATE TABLE t ()',
    'CREATE TABLE t (a,)',
    'CREATE TABLE t (\ufeffa)',
    'CREATE TABLE t (a)\0',
    'CREATE TABLE t (a 1_000)',
    'CREATE INDEX i ON t (a + 1)',
    'CREATE INDEX i ON t (length(a))',
    'CREATE INDEX i ON t ((a))',
    'CREATE VIEW v AS SELECT 1',
    'CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1; END',
    'CREATE VIRTUAL TABLE t USING fts5 (a)',
    'DROP TABLE notes',
    '',
  ];
  for (const sql of refused) {
    test(`is refused: ${JSON.stringify(sql)}`, () => assert.throws(() => parseCreate(sql), CorruptFile));
  }

  const accepted = [
    'CREATE TABLE t (a)',
    'create table t(a,b)',
    'CREATE TABLE "a ""b""" ([x y] TEXT, `c``d` INT, \'e\' BLOB)',
    'CREATE TABLE t (left integer not null, key text, "check" text, type UNSIGNED BIG INT (10, 2))',
    'CREATE TABLE t (a INTEGER PRIMARY KEY ASC ON CONFLICT REPLACE AUTOINCREMENT, b NULL DEFAULT NULL UNIQUE)',
    "CREATE TABLE t (a DEFAULT 'it''s', b DEFAULT -1, c DEFAULT +.5e-3, d DEFAULT (7), e DEFAULT CURRENT_TIMESTAMP, f DEFAULT word, g DEFAULT TRUE)",
    'CREATE TABLE t (a CONSTRAINT c NOT NULL, b, CONSTRAINT d PRIMARY KEY (a COLLATE nocase DESC, b) ON CONFLICT IGNORE, UNIQUE (b)) WITHOUT ROWID',
    'CREATE TABLE t (a REFERENCES x (y) ON DELETE SET DEFAULT ON UPDATE NO ACTION MATCH FULL NOT DEFERRABLE INITIALLY DEFERRED NOT NULL, FOREIGN KEY (a) REFERENCES x)',
    'CREATE TABLE t (a INT, b TEXT) STRICT',
    'CREATE TABLE t -- a comment, with a ) and a check (1)\n (a /* and ) another */, b)',
    'CREATE TABLE größe (länge, 日本 INT)',
  ];
  for (const sql of accepted) {
    test(`is read as SQLite reads it: ${sql}`, () => {
      const parsed = parseCreate(sql);
      assert.ok(parsed.kind === 'table');
      const db = new Database(':memory:');
      try {
        db.exec(sql);
        assert.deepEqual(
          db.prepare('SELECT name, hidden FROM pragma_table_xinfo(?)').raw().all(parsed.name),
          parsed.columns.map((column) => [column.name, 0]),
        );
      } finally {
        db.close();
      }
    });
  }

  test('has its WHERE only read, to be compared with Anki\'s own', () => {
    const index = parseCreate('CREATE INDEX idx_cards_odid ON cards (odid)\nWHERE odid != 0');
    assert.ok(index.kind === 'index');
    assert.equal(index.where, 'odid != 0');
  });
});

describe('pages that lead in circles', () => {
  /** An interior page of a table whose children are all the same page. */
  function interior(pageBytes: number, child: number, cells: number): Buffer {
    const page = Buffer.alloc(pageBytes);
    page[0] = 5;
    page.writeUInt16BE(cells, 3);
    page.writeUInt16BE(pageBytes - cells * 6, 5);
    page.writeUInt32BE(child, 8);
    for (let i = 0; i < cells; i++) {
      const at = pageBytes - (i + 1) * 6;
      page.writeUInt16BE(at, 12 + i * 2);
      page.writeUInt32BE(child, at);
      page[at + 4] = 1;
    }
    return page;
  }

  /** The tree of a table becomes 18 pages high and 400 wide, with only 19 pages, the last of them with one row: 400^18 ways to it. */
  async function withManyWays(table: string): Promise<Buffer> {
    const path = newPath();
    await writeFile(path, schema11);
    const root = await rootPage(path, table);
    await rm(path);
    const pageBytes = pageBytesOf(schema11);
    const pages = schema11.length / pageBytes;
    const levels = Array.from({ length: 17 }, (_, i) => interior(pageBytes, pages + i + 2, 400));
    const leaf = Buffer.alloc(pageBytes);
    const row = Buffer.from([19, 1, 19, ...Array<number>(18).fill(0)]);
    row.copy(leaf, pageBytes - row.length);
    leaf[0] = 13;
    leaf.writeUInt16BE(1, 3);
    leaf.writeUInt16BE(pageBytes - row.length, 5);
    leaf.writeUInt16BE(pageBytes - row.length, 8);
    const bytes = Buffer.concat([schema11, ...levels, leaf]);
    interior(pageBytes, pages + 1, 400).copy(bytes, (root - 1) * pageBytes);
    bytes.writeUInt32BE(bytes.length / pageBytes, 28);
    return bytes;
  }

  for (const table of ['col', 'sqlite_stat1', 'sqlite_stat4', 'notes']) {
    test(`in ${table}, with more ways than can ever be walked`, async () => {
      await refusesUntouched(await withManyWays(table), undefined, judgeInBoundedTime);
    });

    test(`in ${table}, which is its own child`, async () => {
      const path = newPath();
      await writeFile(path, schema11);
      const root = await rootPage(path, table);
      await rm(path);
      const bytes = Buffer.from(schema11);
      const pageBytes = pageBytesOf(bytes);
      interior(pageBytes, root, 3).copy(bytes, (root - 1) * pageBytes);
      await refusesUntouched(bytes, undefined, judgeInBoundedTime);
    });
  }

  test('in the schema, whose first page is its own child', async () => {
    const bytes = Buffer.from(schema11);
    bytes[100] = 5;
    bytes.writeUInt16BE(0, 103);
    bytes.writeUInt32BE(1, 108);
    await refusesUntouched(bytes, /reaches a page twice/, judgeInBoundedTime);
  });

  test('in a chain of overflow pages', async () => {
    const path = newPath();
    await writeFile(path, schema11);
    const root = await rootPage(path, 'col');
    await rm(path);
    const bytes = Buffer.from(schema11);
    const pageBytes = pageBytesOf(bytes);
    // the one row of col: its size, seven bits a byte, its id in one byte, and as much of it as SQLite's format leaves here
    let at = (root - 1) * pageBytes + bytes.readUInt16BE((root - 1) * pageBytes + 8);
    let payload = bytes[at]! & 0x7f;
    while (bytes[at++]! >= 0x80) payload = payload * 128 + (bytes[at]! & 0x7f);
    assert.ok(payload > pageBytes);
    const least = Math.floor(((pageBytes - 12) * 32) / 255) - 23;
    const filled = least + ((payload - least) % (pageBytes - 4));
    const next = bytes.readUInt32BE(at + 1 + (filled <= pageBytes - 35 ? filled : least));
    bytes.writeUInt32BE(next, (next - 1) * pageBytes);
    await refusesUntouched(bytes, undefined, judgeInBoundedTime);
  });

  test('in the free list', async () => {
    const bytes = Buffer.from(schema11);
    const trunk = bytes.readUInt32BE(32);
    assert.notEqual(trunk, 0);
    bytes.writeUInt32BE(trunk, (trunk - 1) * pageBytesOf(bytes));
    await refusesUntouched(bytes, undefined, judgeInBoundedTime);
  });
});

describe('the header', () => {
  const withHeader = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(schema11);
    change(bytes);
    return bytes;
  };
  const cases: Record<string, Buffer | (() => Buffer)> = {
    'with the largest page size': () => withHeader((bytes) => bytes.writeUInt16BE(1, 16)),
    'with a page size of 512': () => withHeader((bytes) => bytes.writeUInt16BE(512, 16)),
    'with a page size of 0': () => withHeader((bytes) => bytes.writeUInt16BE(0, 16)),
    'with a page size that is no power of two': () => withHeader((bytes) => bytes.writeUInt16BE(4095, 16)),
    'with more pages than there are': () => withHeader((bytes) => bytes.writeUInt32BE(0x7fff_ffff, 28)),
    'with the text of UTF-16': () => withHeader((bytes) => bytes.writeUInt32BE(2, 56)),
    'of a format to come': () => withHeader((bytes) => void (bytes[19] = 3)),
    'of another kind of file': () => withHeader((bytes) => bytes.write('SQLite format 4', 0)),
  };
  for (const [name, bytes] of Object.entries(cases)) {
    test(`${name} is refused`, async () => refusesUntouched(typeof bytes === 'function' ? bytes() : bytes));
  }

  test('that says WAL, as clients send it, is a complete file', () => {
    assert.deepEqual([schema18[18], schema18[19]], [2, 2], 'what today\'s client uploads');
  });

  test('that says WAL for reading only is a complete file, as for the official server', async () => {
    const path = newPath();
    const bytes = Buffer.from(schema18);
    bytes[18] = 10;
    await writeFile(path, bytes);
    assert.equal(prepareUpload(path).verdict, 'ok');
  });
});

test('a schema or statistics of absurd size are refused before SQLite holds them in memory', async () => {
  const tables = Array.from({ length: 2001 }, (_, i) => `CREATE TABLE t${i} (a);`).join('');
  await refusesUntouched(await edited(`BEGIN; ${tables} COMMIT`), /too many entries/);
  const columns = Array.from({ length: 1500 }, (_, i) => `${'c'.repeat(300)}${i}`).join(', ');
  await refusesUntouched(await edited(`CREATE TABLE t (${columns})`), /too large/);
  await refusesUntouched(await edited(`INSERT INTO sqlite_stat1 VALUES ('notes', NULL, hex(zeroblob(1000000)))`), /too large/);
});

test('a file is opened with everything off that it could use', async () => {
  const path = newPath();
  await writeFile(path, schema11);
  checkBeforeOpening(path);
  const db = openHostile(path);
  try {
    assert.equal(db.pragma('trusted_schema', { simple: true }), 0);
    assert.equal(db.pragma('foreign_keys', { simple: true }), 0);
    assert.equal(db.pragma('cell_size_check', { simple: true }), 1);
    assert.ok([0, undefined].includes(db.pragma('mmap_size', { simple: true }) as number | undefined));
    // defensive mode: the pragma is ignored, the schema stays read-only
    db.pragma('writable_schema = ON');
    assert.throws(() => db.exec(`UPDATE sqlite_master SET sql = '' WHERE name = 'notes'`), { code: 'SQLITE_ERROR' });
    assert.deepEqual([...readHostileSchema(db).tables.keys()].sort(), ['cards', 'col', 'graves', 'notes', 'revlog']);
  } finally {
    db.close();
  }
});
