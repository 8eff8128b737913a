/** Values that no client can read, in the rows of an upload: each stops the official server's chunks, and is mended by ours. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { parseChunkRequest, parseGravesRequest } from '../../../lib/schema/schema11.ts';
import { parseLossless } from '../../../lib/schema/json.ts';
import { prepareUpload } from '../../../lib/storage/sqlite/anki2.ts';
import { mendRows } from '../../../lib/storage/sqlite/anki2-rows.ts';
import { RawClient } from '../../client/raw.ts';
import { startOfficialServer } from '../../oracle/official-server.ts';
import type { OfficialServer } from '../../oracle/official-server.ts';
import { PASSWORD, runningServer } from '../../server/running-server.ts';
import type { RunningServer } from '../../server/running-server.ts';
import { convertedByAnki, makeCollections, withSql } from './anki2-files.ts';

let folder: string;
let schema18: Buffer;
let schema11: Buffer;
let officialServer: OfficialServer;
let server: RunningServer;
let files = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anki2-rows-'));
  // one after the other: whatever fails, `after` knows what to end
  server = await runningServer();
  officialServer = await startOfficialServer({ users: { ada: PASSWORD } });
  await makeCollections(folder);
  schema18 = await readFile(join(folder, 'schema18.anki2'));
  schema11 = await readFile(join(folder, 'schema11.anki2'));
});

after(async () => {
  await officialServer?.stop();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function edited(base: Buffer, ...sql: string[]): Promise<Buffer> {
  const path = join(folder, `${++files}.anki2`);
  await withSql(base, path, 'UPDATE col SET usn = 7; UPDATE cards SET usn = 5; UPDATE notes SET usn = 5; INSERT INTO revlog VALUES (7, 1, 5, 3, 1, 1, 2500, 1, 1)', ...sql);
  const bytes = await readFile(path);
  await rm(path);
  return bytes;
}

/**
 * What a device that was away since usn 0 gets after the upload: `step status` of the first answer that it cannot go on with,
 * or `synced` when every answer of the official form came.
 */
async function syncAfterUpload(url: string, bytes: Buffer): Promise<string> {
  const client = new RawClient(url, { sessionKey: `session${++files}` });
  await client.hostKey('ada', PASSWORD);
  assert.equal((await client.post('upload', bytes)).text(), 'OK');
  const meta = await client.post('meta', { v: 11, cv: 'x' });
  if (meta.status !== 200) return `meta ${meta.status}`;
  const { mod, scm, usn } = meta.json() as { mod: number; scm: number; usn: number };
  assert.ok(Number.isSafeInteger(mod) && Number.isSafeInteger(scm) && Math.abs(usn) < 2 ** 31 - 1);
  const start = await client.post('start', { minUsn: 0, lnewer: false, graves: null });
  if (start.status !== 200) return `start ${start.status}`;
  parseGravesRequest({ chunk: parseLossless(start.text()) });
  const changes = await client.post('applyChanges', { changes: { models: [], decks: [[], []], tags: [] } });
  if (changes.status !== 200) return `applyChanges ${changes.status}`;
  for (;;) {
    const answer = await client.post('chunk');
    if (answer.status !== 200) return `chunk ${answer.status}`;
    // as a client reads it
    const chunk = parseChunkRequest({ chunk: parseLossless(answer.text()) });
    if (chunk.done) break;
  }
  await client.post('abort');
  return 'synced';
}

const lastCard = 'WHERE id = (SELECT max(id) FROM cards)';
const lastNote = 'WHERE id = (SELECT max(id) FROM notes)';
const card = (column: string, value: string): string => `UPDATE cards SET ${column} = ${value} ${lastCard}`;
const note = (column: string, value: string): string => `UPDATE notes SET ${column} = ${value} ${lastNote}`;
const review = (column: string, value: string): string => `UPDATE revlog SET ${column} = ${value}`;

describe('an upload with a value that no client can read is taken, and what stands there then can be read:', () => {
  /** `[sql, what then stands there]` */
  const cases: Record<string, [sql: string, query: string, expected: unknown]> = {
    'a note whose fields are a blob': [note('flds', "CAST('a' || char(31) || 'ä' AS BLOB)"), `SELECT flds FROM notes ${lastNote}`, 'a\x1fä'],
    'a note whose fields are bytes of no text': [note('flds', "x'61ff1f62'"), `SELECT flds FROM notes ${lastNote}`, 'a\ufffd\x1fb'],
    'a note whose guid is a blob': [note('guid', "x'61'"), `SELECT guid FROM notes ${lastNote}`, 'a'],
    'a note whose tags are a blob': [note('tags', "x'20'"), `SELECT tags FROM notes ${lastNote}`, ' '],
    'a note whose notetype is text': [note('mid', "'x'"), `SELECT mid FROM notes ${lastNote}`, 0],
    'a note whose mod is a fraction': [note('mod', '1600000000.5'), `SELECT mod FROM notes ${lastNote}`, 1600000000],
    'a note whose usn is text': [note('usn', "'x'"), `SELECT usn FROM notes ${lastNote}`, 0],
    'a card of no known type': [card('type', '9'), `SELECT type FROM cards ${lastCard}`, 0],
    'a review card in no known queue': [`${card('type', '2')}; ${card('queue', '9')}`, `SELECT queue FROM cards ${lastCard}`, 2],
    'a card with a negative interval': [card('ivl', '-1'), `SELECT ivl FROM cards ${lastCard}`, 0],
    'a card with an infinite interval': [card('ivl', '1e999'), `SELECT ivl FROM cards ${lastCard}`, 4294967295],
    'a card whose deck is a blob': [card('did', "x'00'"), `SELECT did FROM cards ${lastCard}`, 0],
    'a card with an ease beyond 16 bits': [card('factor', '70000'), `SELECT factor FROM cards ${lastCard}`, 65535],
    'a card whose ease is a fraction': [card('factor', '2500.4'), `SELECT factor FROM cards ${lastCard}`, 2500],
    'a review with an answer beyond 8 bits': [review('ease', '300'), 'SELECT ease FROM revlog', 255],
    'a review whose card is text': [review('cid', "'x'"), 'SELECT cid FROM revlog', 0],
    'a grave of no known kind': ['INSERT INTO graves (usn, oid, type) VALUES (5, 1, 7)', 'SELECT count(*) FROM graves WHERE oid = 1', 0],
    'a grave without an id': ["INSERT INTO graves (usn, oid, type) VALUES (5, 'x', 1)", "SELECT count(*) FROM graves WHERE oid = 'x'", 0],
    'a collection whose usn is text': ["UPDATE col SET usn = 'x'", 'SELECT usn FROM col', 0],
    'a collection whose usn is beyond 32 bits': ['UPDATE col SET usn = 1 << 40', 'SELECT usn FROM col', 2 ** 30],
    'a collection whose mod is text': ["UPDATE col SET mod = 'x'", 'SELECT mod FROM col', 0],
    'a collection whose scm is a blob': ["UPDATE col SET scm = x'00'", 'SELECT scm FROM col', 0],
    'a collection whose last sync is text': ["UPDATE col SET ls = 'x'", 'SELECT ls FROM col', 0],
    'a collection that began at no time': ['UPDATE col SET crt = 9223372036854775807', 'SELECT crt FROM col', 253402300799],
  };
  for (const [name, [sql, query, expected]] of Object.entries(cases)) {
    test(name, async () => {
      const bytes = await edited(name.includes('collection') ? schema18 : schema11, sql);
      assert.match(await syncAfterUpload(officialServer.url, bytes), /^(meta|start|chunk) [45]00$/, "there, it stops the user's other devices");
      assert.equal(await syncAfterUpload(server.url, bytes), 'synced');
      const path = join(folder, `${++files}.anki2`);
      await writeFile(path, bytes);
      const verdict = prepareUpload(path);
      assert.ok(verdict.verdict === 'ok');
      assert.match(verdict.losses.join(), /^values that no client can read in 1 rows of (notes|cards|revlog|graves|col)$/);
      const db = new Database(path, { readonly: true });
      assert.deepEqual(db.prepare(query).raw().all(), [[expected]]);
      db.close();
      await rm(path);
    });
  }

  test('values that the official server reads as something else, or that grow past what it reads', async () => {
    for (const sql of [
      card('due', "'abc'"), card('due', '1e999'), card('due', '99999999999'), card('odue', "x'00'"), card('ivl', '1.5'), card('data', "x'00ff'"),
      review('time', "'x'"), review('type', '99'), note('usn', '1 << 40'), 'UPDATE col SET usn = 2147483647',
      'UPDATE col SET mod = 9223372036854775807', 'UPDATE col SET scm = -9223372036854775807',
    ]) {
      assert.equal(await syncAfterUpload(server.url, await edited(schema11, sql)), 'synced', sql);
    }
  });
});

test('text that is no Unicode comes with a replacement character, at which the official server stops', async () => {
  const bytes = await edited(schema11, note('flds', "CAST(x'61ff1f62' AS TEXT)"));
  assert.equal(await syncAfterUpload(officialServer.url, bytes), 'chunk 400');
  assert.equal(await syncAfterUpload(server.url, bytes), 'synced');
});

test('Anki opens, writes and closes what was mended in every table', async () => {
  const path = join(folder, 'mended.anki2');
  await writeFile(path, await edited(schema18, "UPDATE cards SET ivl = x'00', due = 1e999, queue = 'x', flags = 256, mod = 1.5", "UPDATE notes SET flds = CAST(flds AS BLOB), usn = 'x'", review('ease', '-1')));
  const verdict = prepareUpload(path);
  assert.deepEqual(verdict.verdict === 'ok' && verdict.losses.map((loss) => loss.replace(/\d+/, 'n')), [
    'values that no client can read in n rows of notes', 'values that no client can read in n rows of cards', 'values that no client can read in n rows of revlog',
  ]);
  assert.deepEqual((await readdir(folder)).filter((name) => name.startsWith('mended.anki2-')), [], 'nothing beside it');
  assert.deepEqual(await convertedByAnki([path]), [null]);
});

test('a column that turns every number into text is refused', async () => {
  const path = join(folder, 'declared.anki2');
  const declared = `UPDATE sqlite_master SET sql = replace(sql, 'ivl integer', 'ivl text') WHERE name = 'cards'`;
  await withSql(schema11, path, 'PRAGMA writable_schema = ON', declared);
  await withSql(await readFile(path), path, "UPDATE cards SET ivl = '1'");
  assert.deepEqual(prepareUpload(path), { verdict: 'corrupt', reason: 'the table cards is declared so that it cannot hold Anki\'s values' });
});

describe('where columns are declared without a type,', () => {
  const I32 = ['-2147483648', '2147483647'];
  const U32 = ['0', '4294967295'];
  const I64 = ['-9223372036854775808', '9223372036854775807'];
  const USN = ['-2147483648', '1073741824'];
  /** The least and the most that clients read. */
  const numbers: Record<string, Record<string, string[]>> = {
    notes: { mid: I64, mod: I64, usn: USN },
    cards: {
      nid: I64, did: I64, ord: ['0', '65535'], mod: I64, usn: USN, type: ['0', '3'], queue: ['-3', '4'], due: I32, ivl: U32, factor: ['0', '65535'],
      reps: U32, lapses: U32, left: U32, odue: I32, odid: I64, flags: ['0', '255'],
    },
    revlog: { cid: I64, usn: USN, ease: ['0', '255'], ivl: I32, lastIvl: I32, factor: U32, time: U32, type: ['0', '5'] },
    graves: { usn: USN },
    col: {
      crt: ['0', '253402300799'], mod: ['-4503599627370496', '4503599627370496'], scm: ['-4503599627370496', '4503599627370496'], dty: I64,
      ls: ['-4503599627370496', '4503599627370496'], usn: ['-1073741824', '1073741824'],
    },
  };
  const texts: Record<string, string[]> = { notes: ['guid', 'tags', 'flds'], cards: ['data'] };
  let db: Database.Database;

  before(() => {
    db = new Database(':memory:');
    for (const [table, columns] of Object.entries(numbers)) {
      const names = [...Object.keys(columns), ...(texts[table] ?? []), ...(table === 'graves' ? ['oid', 'type'] : [])];
      const values = names.map((name) => (texts[table]?.includes(name) === true ? "'x'" : '1'));
      db.exec(`CREATE TABLE ${table} (id integer PRIMARY KEY, ${names.join(', ')}); INSERT INTO ${table} VALUES (1, ${values.join(', ')})`);
    }
  });

  after(() => db.close());

  /** What mending says of a row with these values. The next one finds it as it was. */
  function mended(table: string, values: Record<string, string>): string[] {
    const before = db.serialize();
    db.exec(`UPDATE ${table} SET ${Object.entries(values).map(([column, value]) => `${column} = ${value}`).join(', ')}`);
    const losses = mendRows(db);
    assert.deepEqual(mendRows(db), [], 'nothing is left');
    db.close();
    db = new Database(before);
    return losses;
  }

  for (const [table, columns] of Object.entries(numbers)) {
    test(`each value of ${table} that no client can read is found by itself`, () => {
      const loss = [`values that no client can read in 1 rows of ${table}`];
      for (const [column, range] of Object.entries(columns)) {
        const beyond = range === I64 ? [] : [`${range[0]} - 1`, `${range[1]} + 1`];
        for (const value of ["'1'", "x'31'", '2.0', '1.5', '1e999', '-1e999', 'NULL', ...beyond]) {
          assert.deepEqual(mended(table, { [column]: value }), loss, `${column} = ${value}`);
        }
      }
      for (const column of texts[table] ?? []) {
        for (const value of ['1', '1.5', "x'31'", 'NULL']) assert.deepEqual(mended(table, { [column]: value }), loss, `${column} = ${value}`);
      }
    });

    test(`the largest and the smallest numbers of ${table} that clients read are left alone`, () => {
      for (const end of [0, 1]) {
        const extreme = Object.fromEntries(Object.entries(columns).map(([column, range]) => [column, range[end]!]));
        assert.deepEqual(mended(table, extreme), []);
        for (const [column, value] of Object.entries(extreme)) assert.deepEqual(mended(table, { [column]: value }), [], `${column} = ${value}`);
      }
    });
  }
});

test('a key that stands twice in an object of col is there once, as the last of the two says', async () => {
  const path = join(folder, 'twice.anki2');
  const deck = (keys: string): string => `UPDATE col SET decks = replace(decks, '"dyn":', '${keys}"dyn":')`;
  await writeFile(path, await edited(schema11, deck('"name":"same","novelty":{"a":1,"a":1.50},')));
  assert.equal(prepareUpload(path).verdict, 'ok');
  const db = new Database(path, { readonly: true });
  const text = db.prepare('SELECT decks FROM col').pluck().get() as string;
  db.close();
  const decks = Object.values(parseLossless(text) as object).length;
  assert.equal(text.match(/"name":/g)!.length, decks);
  assert.equal(text.match(/"novelty":\{"a":1.50\}/g)!.length, decks);
});
