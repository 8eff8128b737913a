import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { parseLossless, rawNumber } from '../../../lib/schema/json.ts';
import type { Json } from '../../../lib/schema/json.ts';
import { Schema18Error } from '../../../lib/schema/schema18.ts';
import { downgradeToSchema11 } from '../../../lib/storage/sqlite/downgrade.ts';
import { ankiEnvironment, ankiPython, run } from '../../oracle/anki-python.ts';

const GENERATOR = fileURLToPath(new URL('../../oracle/generate-collection.py', import.meta.url));
const COL_COLUMNS = ['conf', 'models', 'decks', 'dconf', 'tags'];
const seed = String(Math.floor(Math.random() * 1e9));

let folder: string;
let files = 0;
const newFile = (): string => join(folder, `${++files}.anki2`);

async function anki(...args: string[]): Promise<string> {
  return run(await ankiPython(), [GENERATOR, ...args], { env: ankiEnvironment() });
}

async function generate(kind: string, withSeed = seed): Promise<string> {
  const file = newFile();
  await anki('generate', kind, withSeed, file);
  return file;
}

async function dump(file: string): Promise<Record<string, Json>> {
  return parseLossless(await anki('dump', file)) as Record<string, Json>;
}

/** A copy whose schema can be read without Anki's collation. */
async function openCopy(file: string): Promise<{ db: Database.Database; copy: string }> {
  const copy = newFile();
  await copyFile(file, copy);
  const db = new Database(copy);
  db.unsafeMode(true);
  db.pragma('writable_schema = ON');
  db.exec("UPDATE sqlite_master SET sql = replace(sql, 'COLLATE unicase', '')");
  db.close();
  return { db: new Database(copy), copy };
}

async function downgrade(file: string): Promise<{ copy: string; losses: string[] }> {
  const { db, copy } = await openCopy(file);
  try {
    return { copy, losses: downgradeToSchema11(db, db.prepare('SELECT ver FROM col').pluck().get() as number).losses };
  } finally {
    db.close();
  }
}

/** Numbers by value, so that 1.0 is 1; integers exactly. Keys in order. */
function comparable(value: Json): unknown {
  const number = rawNumber(value) ?? (typeof value === 'number' ? String(value) : undefined);
  if (number !== undefined) {
    if (/^-?\d+$/.test(number)) return BigInt(number);
    return Number.isInteger(Number(number)) ? BigInt(Number(number)) : Number(number);
  }
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(comparable);
  return new Map(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, comparable(inner)]));
}

function readCol(file: string): Record<string, string> {
  const db = new Database(file, { readonly: true });
  try {
    return db.prepare('SELECT * FROM col').get() as Record<string, string>;
  } finally {
    db.close();
  }
}

function assertSameCol(ours: string, theirs: string): void {
  const [a, b] = [readCol(ours), readCol(theirs)];
  for (const column of COL_COLUMNS) {
    const [left, right] = [parseLossless(a[column]!), parseLossless(b[column]!)] as Record<string, Json>[];
    assert.deepEqual(Object.keys(left!).sort(), Object.keys(right!).sort(), `ids of ${column}`);
    for (const [id, object] of Object.entries(left!)) assert.deepEqual(comparable(object), comparable(right![id]!), `${column} ${id}`);
    delete a[column];
    delete b[column];
  }
  assert.deepEqual(a, b);
}

function schemaAndRows(file: string): unknown {
  const db = new Database(file, { readonly: true });
  try {
    const schema = db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name").all();
    const tables = ['notes', 'cards', 'revlog', 'graves'];
    const rows = tables.map((table) => db.prepare(`SELECT * FROM ${table} ORDER BY 1, 2, 3`).raw().safeIntegers().all());
    return { schema, rows };
  } finally {
    db.close();
  }
}

/** Anki renames some decks when it upgrades, and stamps them with the time of that. */
function withoutDeckTimes(objects: Record<string, Json>): unknown {
  const decks = (objects.decks as Json[][]).map(([id, name, , ...rest]) => [id!, name!, ...rest]);
  return comparable({ ...objects, decks });
}

/** Anki reads 130 % as its default, and so its own downgrade writes that. */
function with250Percent(objects: Record<string, Json>): Record<string, Json> {
  for (const row of objects.deck_config as Json[][]) {
    const config = row[4] as Record<string, Json>;
    const ease = Number(rawNumber(config.initial_ease) ?? config.initial_ease);
    if (ease === Math.fround(1.3)) config.initial_ease = 2.5;
  }
  return objects;
}

/** Changes a copy whose schema was rewritten, and converts it. */
async function downgradeChanged(file: string, change: (db: Database.Database) => void) {
  const { db, copy } = await openCopy(file);
  db.unsafeMode(true);
  db.pragma('writable_schema = ON');
  try {
    change(db);
  } finally {
    db.close();
  }
  return downgrade(copy);
}

function appendToBlob(db: Database.Database, table: string, column: string, id: string, bytes: number[]): void {
  const rowid = { notetypes: 'id', decks: 'id', deck_config: 'id', fields: 'ntid', templates: 'ntid' }[table];
  const changed = db.prepare(`UPDATE ${table} NOT INDEXED SET ${column} = CAST(${column} || ? AS BLOB) WHERE ${rowid} = ${id}`);
  assert.ok(changed.run(Buffer.from(bytes)).changes > 0);
}

let plain: string;
before(async () => {
  console.log(`seed ${seed}`);
  folder = await mkdtemp(join(tmpdir(), 'downgrade-'));
  plain = await generate('plain');
});
after(() => rm(folder, { recursive: true, force: true }));

describe('a collection of schema 18 becomes what Anki itself makes of it', () => {
  for (const kind of ['plain', 'natural', 'random', 'random', 'big']) {
    test(`${kind}: every object key by key, every table, and after an upgrade by Anki`, async (context) => {
      const round = `${seed}${files}`;
      context.diagnostic(`seed ${round}`);
      const file = await generate(kind, round);
      const theirs = newFile();
      await anki('downgrade', file, theirs);
      const { copy } = await downgrade(file);
      assertSameCol(copy, theirs);
      assert.deepEqual(schemaAndRows(copy), schemaAndRows(theirs));
      assert.deepEqual(withoutDeckTimes(await dump(copy)), withoutDeckTimes(await dump(theirs)));
    });
  }

  test('after an upgrade by Anki, all that users and add-ons made is there again', async () => {
    const file = await generate('natural');
    const before = await dump(file);
    assert.deepEqual(comparable(await dump((await downgrade(file)).copy)), comparable(with250Percent(before)));
  });
});

describe('older schemas', () => {
  for (const version of [14, 15, 16, 17]) {
    test(`schema ${version} ends as if Anki had upgraded it`, async () => {
      const old = newFile();
      await anki('as-schema', String(version), await generate('natural'), old);
      const { copy } = await downgrade(old);
      assert.equal(readCol(copy).ver, 11);
      assert.deepEqual(withoutDeckTimes(await dump(copy)), withoutDeckTimes(with250Percent(await dump(old))));
    });
  }

  test('schema 11 and unknown schemas are refused', async () => {
    const { db } = await openCopy(plain);
    for (const version of [11, 12, 13, 19, NaN]) assert.throws(() => downgradeToSchema11(db, version), Schema18Error);
    db.close();
  });
});

describe('what schema 11 cannot carry is reported', () => {
  test('nothing, for a plain collection', async () => {
    assert.deepEqual((await downgrade(plain)).losses, []);
  });

  test('the tag tree', async () => {
    const { losses } = await downgradeChanged(plain, (db) => db.exec("INSERT INTO tags VALUES ('a', 0, 0, NULL), ('b', 0, 1, x'00')"));
    assert.deepEqual(losses, [
      'tags: unfolded in the tag tree, folded again in schema 11 (1 tags)',
      'tags: settings newer than this server (1 tags)',
    ]);
  });

  test('protobuf fields that we do not know, by object and number', async () => {
    const field200 = [0xc0, 0x0c, 0x01];
    const { losses } = await downgradeChanged(plain, (db) => {
      db.exec('DELETE FROM notetypes WHERE id <> (SELECT min(id) FROM notetypes); UPDATE notetypes SET id = 7');
      db.exec('DELETE FROM fields; DELETE FROM templates');
      db.exec("INSERT INTO fields VALUES (7, 0, 'a', x''), (7, 1, 'b', x''), (7, 2, 'c', x''), (7, 3, 'd', x'')");
      db.exec("INSERT INTO templates VALUES (7, 0, 'a', 0, 0, x'')");
      for (const table of ['notetypes', 'fields', 'templates']) appendToBlob(db, table, 'config', '7', field200);
      appendToBlob(db, 'notetypes', 'config', '7', [0x42, 0x03, ...field200]);
      appendToBlob(db, 'decks', 'common', '1', field200);
      appendToBlob(db, 'decks', 'kind', '1', [0x0a, 0x03, ...field200]);
      appendToBlob(db, 'deck_config', 'config', '1', field200);
    });
    assert.deepEqual(losses.sort(), [
      'deck config: protobuf field 200 is newer than this server (deck config 1)',
      'deck kind: protobuf field 1.200 is newer than this server (deck 1)',
      'deck: protobuf field 200 is newer than this server (deck 1)',
      'field: protobuf field 200 is newer than this server (field 0 of notetype 7, field 1 of notetype 7, field 2 of notetype 7 and 1 more)',
      'notetype: protobuf field 200 is newer than this server (notetype 7)',
      'notetype: protobuf field 8.200 is newer than this server (notetype 7)',
      'template: protobuf field 200 is newer than this server (template 0 of notetype 7)',
    ]);
  });

  test('parts of a notetype that does not exist', async () => {
    const { losses } = await downgradeChanged(plain, (db) => db.exec("INSERT INTO fields VALUES (5, 0, 'a', x'')"));
    assert.deepEqual(losses, ['fields without a notetype (notetype 5)']);
  });

  test('numbers that are none, which Anki could not read again from its own downgrade', async () => {
    const nan = [0x00, 0x00, 0xc0, 0x7f];
    const { copy, losses } = await downgradeChanged(plain, (db) => {
      appendToBlob(db, 'deck_config', 'config', '1', [0x0a, 0x04, ...nan, 0x32, 0x04, ...nan, 0xcd, 0x02, ...nan, 0x5d, ...nan]);
      appendToBlob(db, 'decks', 'kind', '1', [0x0a, 0x05, 0x55, ...nan]);
    });
    const preset = JSON.parse(readCol(copy).dconf!)['1'];
    assert.deepEqual([preset.new.delays, preset.fsrsParams6, preset.secondsToShowQuestion, preset.new.initialFactor], [[], [], 0, 2500]);
    assert.equal(JSON.parse(readCol(copy).decks!)['1'].desiredRetention, null);
    assert.equal(losses.length, 4);
    assert.equal((await dump(copy)).ver, 18);
  });
});

test('a usn beyond 32 bits, at which Anki does not stop either, becomes 0', async () => {
  const { copy } = await downgradeChanged(plain, (db) => db.exec('UPDATE deck_config SET usn = 3000000000; UPDATE decks SET usn = -9223372036854775808'));
  const { decks, dconf } = readCol(copy);
  for (const column of [decks!, dconf!]) assert.deepEqual([...new Set(Object.values(JSON.parse(column) as Record<string, { usn: number }>).map(({ usn }) => usn))], [0]);
});

describe('a damaged collection is refused, and stays as it was', () => {
  const damages: Record<string, string> = {
    'a truncated notetype': "UPDATE notetypes SET config = CAST(substr(config, 1, length(config) - 1) AS BLOB)",
    'a truncated deck': "UPDATE decks SET kind = x'0a7f08'",
    'a truncated preset': "UPDATE deck_config SET config = x'0a08'",
    'a packed list that ends inside a number': "UPDATE deck_config SET config = x'0a050000803f00'",
    'a value of another wire type': "UPDATE deck_config SET config = x'4d00000000'",
    'a deck of no kind': "UPDATE decks SET kind = x''",
    'a deck of an unknown kind': "UPDATE decks SET kind = x'1a00'",
    'a notetype of an unknown kind': "UPDATE notetypes SET config = x'0802'",
    'text instead of a blob': "UPDATE decks SET common = 'text'",
    'a blob instead of a name': "UPDATE decks SET name = x'41'",
    'text instead of a time': "UPDATE notetypes SET mtime_secs = 'soon'",
    'a fraction instead of a usn': 'UPDATE deck_config SET usn = 1.5',
    'a negative position': "INSERT INTO fields VALUES ((SELECT min(id) FROM notetypes), -1, 'x', x'')",
    'a name that is no UTF-8': "UPDATE notetypes SET name = CAST(x'ff' || id AS TEXT)",
    'text in a blob that is no UTF-8': "UPDATE notetypes SET config = x'1a01ff'",
    'a config value as text': "INSERT INTO config VALUES ('x', 0, 0, '1')",
    'two decks of the same name': "DROP INDEX idx_decks_name; INSERT INTO decks SELECT id + 1, name, mtime_secs, usn, common, kind FROM decks",
    'two notetypes of the same name': "DROP INDEX idx_notetypes_name; UPDATE notetypes SET name = 'same'",
    'two rows in col': 'INSERT INTO col SELECT id + 1, crt, mod, scm, ver, dty, usn, ls, conf, models, decks, dconf, tags FROM col',
    'a missing table': 'DROP TABLE templates',
    'a missing column': 'ALTER TABLE tags DROP COLUMN collapsed',
    'a table that its own text names otherwise':
      "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'TABLE fields', 'TABLE FIELDS'); PRAGMA writable_schema = RESET",
  };
  for (const [damage, sql] of Object.entries(damages)) {
    test(damage, async () => {
      const { db } = await openCopy(plain);
      db.unsafeMode(true).exec(sql);
      db.unsafeMode(false);
      const before = db.serialize();
      assert.throws(() => downgradeToSchema11(db, 18), Schema18Error);
      assert.ok(before.equals(db.serialize()));
      db.close();
    });
  }

  test('every blob that is cut off anywhere either converts or is refused', async () => {
    const { db } = await openCopy(plain);
    const kind = db.prepare('SELECT kind FROM decks').pluck().get() as Buffer;
    const config = db.prepare('SELECT config FROM deck_config').pluck().get() as Buffer;
    let refused = 0;
    for (let length = 0; length < config.length; length++) {
      db.exec('SAVEPOINT cut');
      db.prepare('UPDATE deck_config SET config = ?').run(config.subarray(0, length));
      db.prepare('UPDATE decks SET kind = ?').run(kind);
      try {
        downgradeToSchema11(db, 18);
        assert.equal(db.prepare('SELECT ver FROM col').pluck().get(), 11);
      } catch (error) {
        assert.ok(error instanceof Schema18Error);
        refused++;
      }
      db.exec('ROLLBACK TO cut; RELEASE cut');
    }
    assert.ok(refused > config.length / 2);
    db.close();
  });
});
