import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { prepareUpload } from '../../../lib/storage/sqlite/anki2.ts';
import type { UploadVerdict } from '../../../lib/storage/sqlite/anki2.ts';
import { RawClient } from '../../client/raw.ts';
import { startOfficialServer } from '../../oracle/official-server.ts';
import type { OfficialServer } from '../../oracle/official-server.ts';
import { convertedByAnki, makeCollections, mutantsOf, pageBytesOf, rootPage, withSql } from './anki2-files.ts';
import type { Mutant } from './anki2-files.ts';

let folder: string;
let schema18: Buffer;
let schema11: Buffer;
let server: OfficialServer;
let client: RawClient;
let files = 0;
const newPath = (): string => join(folder, `${++files}.anki2`);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anki2-'));
  [server] = await Promise.all([startOfficialServer({ users: { ada: 'pw' } }), makeCollections(folder)]);
  schema18 = await readFile(join(folder, 'schema18.anki2'));
  schema11 = await readFile(join(folder, 'schema11.anki2'));
  client = new RawClient(server.url, { sessionKey: 'session' });
  await client.hostKey('ada', 'pw');
});

after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function official(bytes: Uint8Array): Promise<'ok' | 'corrupt'> {
  const answer = (await client.post('upload', bytes)).text();
  assert.match(answer, /^OK$|^Your upload was corrupt/);
  return answer === 'OK' ? 'ok' : 'corrupt';
}

async function ours(bytes: Uint8Array): Promise<UploadVerdict> {
  const path = newPath();
  await writeFile(path, bytes);
  try {
    return prepareUpload(path);
  } finally {
    await rm(path, { force: true });
  }
}

function rows(path: string, sql: string): unknown[] {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare(sql).raw().all();
  } finally {
    db.close();
  }
}

async function edited(base: Buffer, ...sql: string[]): Promise<Buffer> {
  const path = newPath();
  await withSql(base, path, ...sql);
  const bytes = await readFile(path);
  await rm(path);
  return bytes;
}

describe('a healthy upload', () => {
  for (const version of [18, 11] as const) {
    test(`of schema ${version} becomes a closed file of schema 11 that Anki opens`, async () => {
      const path = newPath();
      await writeFile(path, version === 18 ? schema18 : schema11);
      const verdict = prepareUpload(path);
      assert.ok(verdict.verdict === 'ok');
      assert.deepEqual(verdict, { verdict: 'ok', schemaVersion: version, losses: [], bytes: verdict.bytes });
      const { size } = await stat(path);
      assert.ok(verdict.bytes > 0 && verdict.bytes <= size);

      const bytes = await readFile(path);
      assert.deepEqual([bytes[18], bytes[19]], [1, 1], 'no WAL in the header');
      const name = path.slice(folder.length + 1);
      assert.deepEqual((await readdir(folder)).filter((file) => file.startsWith(name)), [name], 'nothing beside it');
      assert.deepEqual(rows(path, 'SELECT ver FROM col'), [[11]]);
      assert.deepEqual(rows(path, 'PRAGMA integrity_check'), [['ok']]);
      assert.deepEqual(
        rows(path, 'SELECT name FROM sqlite_master ORDER BY name').flat(),
        ['cards', 'col', 'graves', 'ix_cards_nid', 'ix_cards_sched', 'ix_cards_usn', 'ix_notes_csum', 'ix_notes_usn', 'ix_revlog_cid', 'ix_revlog_usn', 'notes', 'revlog'],
      );
      const before = join(folder, 'schema11.anki2');
      if (version === 11) {
        for (const table of ['col', 'notes', 'cards', 'revlog', 'graves']) {
          assert.deepEqual(rows(path, `SELECT * FROM ${table}`), rows(before, `SELECT * FROM ${table}`), table);
        }
      } else {
        assert.equal(rows(path, 'SELECT * FROM notes').length, rows(before, 'SELECT * FROM notes').length);
      }
      assert.equal(await official(bytes), 'ok');
      assert.deepEqual(await convertedByAnki([path]), [null]);
    });
  }

  test('keeps tables and plain indexes of add-ons, and what old releases and phones left', async () => {
    for (const base of [schema18, schema11]) {
      const bytes = await edited(
        base,
        'CREATE TABLE android_metadata (locale TEXT)',
        `CREATE TABLE "add-on" (id INTEGER PRIMARY KEY AUTOINCREMENT, "a ""b" VARCHAR(20) NOT NULL DEFAULT 'x', n NUMERIC(10, -2) DEFAULT -1.5e3,
           [c d] TEXT COLLATE NOCASE /* note */ UNIQUE ON CONFLICT IGNORE, t DEFAULT CURRENT_TIMESTAMP, f REFERENCES cards(id) ON DELETE SET NULL,
           UNIQUE (n, t), FOREIGN KEY (f) REFERENCES notes) -- end`,
        'INSERT INTO "add-on" (n, t) VALUES (1, 1), (2, 2)',
        'CREATE TABLE kv (k TEXT PRIMARY KEY, v ANY) STRICT, WITHOUT ROWID',
        'CREATE INDEX "add-on n" ON "add-on" (n DESC, [c d] COLLATE BINARY)',
        'CREATE INDEX cards_by_due ON cards (due)',
        'ANALYZE "add-on"',
      );
      const path = newPath();
      await writeFile(path, bytes);
      assert.equal(await official(bytes), 'ok');
      assert.equal(prepareUpload(path).verdict, 'ok');
      assert.equal(rows(path, 'SELECT * FROM "add-on"').length, 2);
      assert.deepEqual(rows(path, `SELECT name FROM sqlite_master WHERE type = 'index' AND name IN ('cards_by_due', 'add-on n')`).length, 2);
      assert.deepEqual(rows(path, `SELECT name FROM sqlite_master WHERE name GLOB 'sqlite_stat*'`), [], 'no statistics of strangers');
    }
  });

  test('gets the indexes that it lacks, and the right ones for those of the right name only', async () => {
    const bytes = await edited(schema11, 'DROP INDEX ix_cards_sched', 'DROP INDEX ix_notes_csum', 'CREATE INDEX ix_notes_csum ON notes (mid)');
    const path = newPath();
    await writeFile(path, bytes);
    assert.equal(prepareUpload(path).verdict, 'ok');
    assert.deepEqual(rows(path, 'SELECT name FROM pragma_index_info(\'ix_cards_sched\')').flat(), ['did', 'queue', 'due']);
    assert.deepEqual(rows(path, 'SELECT name FROM pragma_index_info(\'ix_notes_csum\')').flat(), ['csum']);
  });

  test('may have been written by Anki 2.0, with its comments, case and white space', async () => {
    const path = newPath();
    const db = new Database(path);
    db.exec(`
      create table if not exists col (id integer primary key, crt integer not null, mod integer not null, scm integer not null, ver integer not null,
        dty integer not null, usn integer not null, ls integer not null, conf text not null, models text not null, decks text not null,
        dconf text not null, tags text not null);
      CREATE TABLE notes (
        id              integer primary key,   /* 0 */
        guid            text not null,         /* 1 */
        mid integer not null, mod integer not null, usn integer not null, tags text not null, flds text not null,
        sfld            integer not null,         /* 7 */
        csum integer not null, flags integer not null, data text not null);
      create table cards ("id" integer primary key, nid integer not null, did integer not null, ord integer not null, mod integer not null,
        usn integer not null, type integer not null, queue integer not null, due integer not null, ivl integer not null, factor integer not null,
        reps integer not null, lapses integer not null, left integer not null, odue integer not null, odid integer not null, flags integer not null,
        data text not null);
      create table revlog (id integer primary key, cid integer not null, usn integer not null, ease integer not null, ivl integer not null,
        lastIvl integer not null, factor integer not null, time integer not null, type integer not null);
      create table graves (usn integer not null, oid integer not null, type integer not null);
      ATTACH '${join(folder, 'schema11.anki2')}' AS source;
      INSERT INTO col SELECT * FROM source.col;
    `);
    db.close();
    assert.equal(await official(await readFile(path)), 'ok');
    assert.equal(prepareUpload(path).verdict, 'ok');
    assert.equal(rows(path, `SELECT 1 FROM sqlite_master WHERE name GLOB 'ix_*'`).length, 7);
  });

  test('leaves no journal of an earlier life to be played back into it', async () => {
    const path = newPath();
    await writeFile(path, schema18);
    await writeFile(`${path}-wal`, 'stale');
    await writeFile(`${path}-journal`, 'stale');
    assert.equal(prepareUpload(path).verdict, 'ok');
    assert.deepEqual((await readdir(folder)).filter((file) => file.startsWith(path.slice(folder.length + 1) + '-')), []);
  });
});

describe('the schema version', () => {
  test('above 18 is too new, which is no damage, even where the schema is one we do not know', async () => {
    assert.deepEqual(await ours(await edited(schema18, 'UPDATE col SET ver = 19')), { verdict: 'too-new', schemaVersion: 19 });
    assert.deepEqual(await ours(await edited(schema18, 'UPDATE col SET ver = 300', 'CREATE TABLE novelty (a)')), { verdict: 'too-new', schemaVersion: 300 });
  });

  const plainGraves = ['DROP TABLE graves', 'CREATE TABLE graves (usn integer NOT NULL, oid integer NOT NULL, type integer NOT NULL)'];
  /** As a client that could not downgrade at its end left it. The collation is put in afterwards: no connection here knows it. */
  const unfinished: Record<number, string[]> = {
    17: [...plainGraves, 'UPDATE col SET ver = 17'],
    16: [
      ...plainGraves,
      'DROP TABLE tags',
      'CREATE TABLE tags (tag text NOT NULL PRIMARY KEY COLLATE NOCASE, usn integer NOT NULL) without rowid',
      `INSERT INTO tags VALUES ('a', 0), ('B', -1), ('c', 3)`,
      'PRAGMA writable_schema = ON',
      `UPDATE sqlite_master SET sql = replace(sql, 'NOCASE', 'unicase') WHERE name = 'tags'`,
      'UPDATE col SET ver = 16',
    ],
    14: [
      'CREATE TABLE deck_config (id integer PRIMARY KEY NOT NULL, name text NOT NULL COLLATE NOCASE, mtime_secs integer NOT NULL, usn integer NOT NULL, config blob NOT NULL)',
      'CREATE TABLE config (KEY text NOT NULL PRIMARY KEY, usn integer NOT NULL, mtime_secs integer NOT NULL, val blob NOT NULL) without rowid',
      'CREATE TABLE tags (tag text NOT NULL PRIMARY KEY COLLATE NOCASE, usn integer NOT NULL) without rowid',
      `INSERT INTO deck_config SELECT key, value ->> '$.name', value ->> '$.mod', value ->> '$.usn', CAST(value AS BLOB) FROM col, json_each(col.dconf)`,
      `INSERT INTO config SELECT key, 0, 0, CAST(col.conf -> ('$."' || key || '"') AS BLOB) FROM col, json_each(col.conf)`,
      `INSERT INTO tags SELECT key, value FROM col, json_each(col.tags) WHERE key GLOB 'tag*'`,
      `UPDATE col SET dconf = '', conf = '', tags = '', ver = 14`,
      'PRAGMA writable_schema = ON',
      `UPDATE sqlite_master SET sql = replace(sql, 'NOCASE', 'unicase')`,
    ],
  };
  for (const [version, sql] of Object.entries(unfinished)) {
    test(`${version} is read, as the official server reads it`, async () => {
      const bytes = await edited(version === '14' ? schema11 : schema18, ...sql);
      assert.equal(await official(bytes), 'ok');
      const path = newPath();
      await writeFile(path, bytes);
      const verdict = prepareUpload(path);
      assert.deepEqual({ ...verdict, bytes: 0 }, { verdict: 'ok', schemaVersion: Number(version), losses: [], bytes: 0 });
      assert.deepEqual(await convertedByAnki([path]), [null]);
    });
  }

  for (const version of ['12', '13', '10', '0', '-1', `'x'`, '18.5']) {
    test(`${version} is corrupt, as on the official server`, async () => {
      const bytes = await edited(schema11, `UPDATE col SET ver = ${version}`);
      assert.equal((await ours(bytes)).verdict, 'corrupt');
      assert.equal(await official(bytes), 'corrupt');
    });
  }

  test('11 does not go with tables or indexes of later ones: no client could upgrade the file', async () => {
    for (const sql of ['CREATE TABLE tags (a)', 'CREATE TABLE Deck_Config (a)', 'CREATE INDEX idx_notes_mid ON notes (mid)', 'CREATE TABLE graves_old (a)']) {
      const bytes = await edited(schema11, sql);
      assert.equal((await ours(bytes)).verdict, 'corrupt', sql);
      assert.equal(await official(bytes), 'corrupt', sql);
    }
  });
});

describe('the JSON of a schema 11 upload', () => {
  const set = (column: string, path: string, value: string): string => `UPDATE col SET ${column} = json_set(${column}, '${path}', json('${value}'))`;
  const remove = (column: string, path: string): string => `UPDATE col SET ${column} = json_remove(${column}, '${path}')`;
  const aNotetype = `(SELECT '$."' || key || '"' FROM json_each(models) LIMIT 1)`;
  const inNotetype = (path: string, value: string): string => `UPDATE col SET models = json_set(models, ${aNotetype} || '${path}', json('${value}'))`;

  const cases: Record<string, string[]> = {
    'is no JSON': [`UPDATE col SET conf = '{'`],
    'is a list': [`UPDATE col SET models = '[]'`],
    'is a blob': [`UPDATE col SET decks = CAST(decks AS BLOB)`],
    'is empty': [`UPDATE col SET dconf = ''`],
    'has a notetype without fields': [`UPDATE col SET models = json_remove(models, ${aNotetype} || '.flds')`],
    'has a notetype without a deck': [`UPDATE col SET models = json_remove(models, ${aNotetype} || '.did')`],
    'has a notetype of kind 2': [inNotetype('.type', '2')],
    'has a notetype whose id is a text of digits': [inNotetype('.id', '"123"')],
    'has a notetype whose time is a fraction': [inNotetype('.mod', '1.0')],
    'has a field whose size is negative': [inNotetype('.flds[0].size', '-1')],
    'has a field whose order is null': [inNotetype('.flds[0].ord', 'null')],
    'has a sticky field of 1, and one of "true"': [inNotetype('.flds[0].sticky', '1'), inNotetype('.flds[1].sticky', '"true"')],
    'has a sticky field of "yes"': [inNotetype('.flds[0].sticky', '"yes"')],
    'has a sticky field of 2': [inNotetype('.flds[0].sticky', '2')],
    'has a sticky field of null': [inNotetype('.flds[0].sticky', 'null')],
    'has a field with an id of 64 bits': [inNotetype('.flds[0].id', '-7290854878769846350')],
    'has a template without a question': [`UPDATE col SET models = json_remove(models, ${aNotetype} || '.tmpls[0].qfmt')`],
    'has an unknown key': [inNotetype('.novelty', '{"a":[1.50,99999999999999999999]}')],
    'has an id that is no number': [`UPDATE col SET models = replace(models, '"' || (SELECT key FROM json_each(models) LIMIT 1) || '":', '"x":')`],
    'has a deck without dyn': [remove('decks', '$."1".dyn')],
    'has a deck whose dyn is true': [set('decks', '$."1".dyn', 'true')],
    'has a deck whose dyn is false': [set('decks', '$."1".dyn', 'false')],
    'has a deck whose dyn is 2': [set('decks', '$."1".dyn', '2')],
    'has a deck without counts of today': [remove('decks', '$."1".lrnToday')],
    'has a deck whose preset is a text': [set('decks', '$."1".conf', '"1"')],
    'has a deck whose collapsed is 0': [set('decks', '$."1".collapsed', '0')],
    'has a deck whose usn is beyond 32 bits': [set('decks', '$."1".usn', '3000000000')],
    'has a filtered deck': [set('decks', '$."1".dyn', '1'), set('decks', '$."1".resched', 'true'), set('decks', '$."1".terms', '[["a","5",0]]')],
    'has a filtered deck with a term of two': [set('decks', '$."1".dyn', '1'), set('decks', '$."1".resched', 'true'), set('decks', '$."1".terms', '[["a",5]]')],
    'has a filtered deck with a term of four': [set('decks', '$."1".dyn', '1'), set('decks', '$."1".resched', 'true'), set('decks', '$."1".terms', '[["a",5,0,0]]')],
    'has a preset without a maximum': [remove('dconf', '$."1".maxTaken')],
    'has a preset with odd steps': [set('dconf', '$."1".new', '"odd"')],
    'has a preset with an odd question action': [set('dconf', '$."1".questionAction', '2')],
    'has a preset with weights of text': [set('dconf', '$."1".fsrsWeights', '["1"]')],
    'has a preset with a null search': [set('dconf', '$."1".weightSearch', 'null')],
    'has tags with a usn of text': [set('tags', '$.a', '"1"')],
    'has tags with a usn': [set('tags', '$.a', '-1')],
    'has tags with a fraction': [set('tags', '$.a', '1.0')],
    'has a config nested 120 levels deep': [set('conf', '$.deep', '['.repeat(120) + ']'.repeat(120))],
    'has a config nested 200 levels deep': [set('conf', '$.deep', '['.repeat(200) + ']'.repeat(200))],
    'has a config nested deeper than SQLite reads': [
      `UPDATE col SET conf = '{"deep":' || replace(hex(zeroblob(1500)), '00', '[') || replace(hex(zeroblob(1500)), '00', ']') || '}'`,
    ],
    'has a config of any kind': [set('conf', '$.anything', '[1.0, null, {}]')],
  };

  for (const [name, sql] of Object.entries(cases)) {
    test(`${name}: judged as by the official server`, async () => {
      const bytes = await edited(schema11, ...sql);
      assert.notDeepEqual(rowsOfCol(bytes), rowsOfCol(schema11), 'the case changes something');
      assert.equal((await ours(bytes)).verdict, await official(bytes));
    });
  }

  function rowsOfCol(bytes: Buffer): unknown[] {
    const db = new Database(bytes);
    try {
      return db.prepare('SELECT * FROM col').raw().all();
    } finally {
      db.close();
    }
  }
});

describe('a damaged upload', () => {
  test('gets the verdict of the official server, whatever was damaged', { timeout: 240_000 }, async (t) => {
    const vacuumed = await edited(schema11, 'PRAGMA auto_vacuum = FULL', 'VACUUM');
    assert.notEqual(vacuumed.readUInt32BE(52), 0, 'has pointer maps');
    const mutants: Mutant[] = [
      ...mutantsOf('schema 18', schema18, 18, 2),
      ...mutantsOf('schema 11', schema11, 11),
      ...mutantsOf('with pointer maps', vacuumed, 52),
      ...[0, 1, 2, 3, 4, 5, 8, 10, 50, 100].map((entry) => {
        const bytes = Buffer.from(vacuumed);
        bytes[bytes.readUInt16BE(16) + entry * 5]! ^= 2;
        return { name: `pointer map entry ${entry}`, bytes };
      }),
      { name: 'a text', bytes: Buffer.from('Front\tBack\n'.repeat(1000)) },
      { name: 'a short text', bytes: Buffer.from('xy') },
      { name: 'the magic alone', bytes: Buffer.from('SQLite format 3\0') },
    ];
    const counts = { ok: 0, corrupt: 0 };
    const differing: { mutant: Mutant; reason: string }[] = [];
    for (const mutant of mutants) {
      const theirs = await official(mutant.bytes);
      const verdict = await ours(mutant.bytes);
      counts[theirs]++;
      // the official server has one answer for damaged and for too new
      if (verdict.verdict === theirs || (verdict.verdict === 'too-new' && theirs === 'corrupt')) continue;
      // never the other way: what the official server refuses, we refuse
      assert.deepEqual([theirs, verdict.verdict], ['ok', 'corrupt'], mutant.name);
      differing.push({ mutant, reason: verdict.verdict === 'corrupt' ? verdict.reason : '' });
    }
    t.diagnostic(`${mutants.length} files compared: ${counts.ok} ok, ${counts.corrupt} corrupt for the official server; we refuse ${differing.length} more`);
    assert.ok(counts.ok >= 40 && counts.corrupt >= 80, 'both verdicts are well tried');

    // On purpose: the official server never reads notetypes, decks, presets and config of a schema 18 file, and so accepts
    // one whose messages do not parse or whose columns lost their names. No client can use it, and nothing can convert it.
    const paths = await Promise.all(differing.map(async ({ mutant }) => {
      const path = newPath();
      await writeFile(path, mutant.bytes);
      return path;
    }));
    const byAnki = await convertedByAnki(paths);
    for (const [i, { mutant, reason }] of differing.entries()) {
      assert.notEqual(byAnki[i], null, `${mutant.name}: we say "${reason}", and Anki converts it`);
    }
    assert.ok(differing.length < mutants.length / 20);
  });

  test('of an empty index: its only page calls itself one with children', async () => {
    const bytes = Buffer.from(schema11);
    const root = await rootPage(join(folder, 'schema11.anki2'), 'ix_revlog_cid');
    bytes[(root - 1) * pageBytesOf(bytes)] = 2;
    assert.equal(await official(bytes), 'corrupt');
    assert.equal((await ours(bytes)).verdict, 'corrupt');
  });

  test('of names: an index entry that its row does not have, though both are well-formed', async () => {
    const at = schema18.indexOf('Zebra');
    assert.ok(at > 0);
    const bytes = Buffer.from(schema18);
    bytes.write('Zabra', at);
    assert.equal(await official(bytes), 'corrupt');
    assert.equal((await ours(bytes)).verdict, 'corrupt');
  });

  test('of tags: out of the order that only Anki\'s collation knows', async () => {
    const bytes = Buffer.from(schema18);
    // ümlaut < Ümlaut0 in the order of the collation; ýmlaut stands behind all of them
    let changed = 0;
    for (let at = bytes.indexOf('ümlaut'); at !== -1; at = bytes.indexOf('ümlaut', at + 1)) {
      // notes hold their tags between blanks
      if (bytes[at - 1] === 0x20) continue;
      bytes.write('ýmlaut', at);
      changed++;
    }
    assert.ok(changed > 0);
    assert.equal(await official(bytes), 'corrupt');
    assert.deepEqual(await ours(bytes), { verdict: 'corrupt', reason: 'the names in tags are out of order' });
  });
});

describe('refused on purpose, though the official server accepts it', () => {
  const differences: { name: string; why: string; make: () => Promise<Buffer> }[] = [
    {
      name: 'an empty file',
      why: 'there, the collection is gone afterwards',
      make: async () => Buffer.alloc(0),
    },
    {
      name: 'a file of one byte',
      why: 'SQLite takes it for an empty one',
      make: async () => Buffer.from('x'),
    },
    {
      name: 'a database without a collection',
      why: 'there, the collection is gone afterwards',
      make: () => edited(Buffer.alloc(0), 'CREATE TABLE other (a)'),
    },
    {
      name: 'a trigger',
      why: 'it would run in the sync of this user, with the rights of the server',
      make: () => edited(schema11, 'CREATE TRIGGER t AFTER INSERT ON revlog BEGIN DELETE FROM notes; END'),
    },
    { name: 'a view', why: 'it runs when it is read', make: () => edited(schema11, 'CREATE VIEW v AS SELECT * FROM notes') },
    {
      name: 'a virtual table',
      why: 'it runs code of a module that trusts what it stored',
      make: () => edited(schema11, 'CREATE VIRTUAL TABLE search USING fts5 (a)'),
    },
    {
      name: 'a table with a check',
      why: 'the expression runs with each row',
      make: () => edited(schema11, 'CREATE TABLE t (a CHECK (length(a) < 9))'),
    },
    { name: 'a partial index', why: 'the expression runs with each row', make: () => edited(schema11, 'CREATE INDEX i ON notes (mid) WHERE usn > 3') },
    {
      name: 'two rows in col',
      why: 'which of them is the collection depends on who asks',
      make: () => edited(schema18, 'INSERT INTO col SELECT 2, crt, mod, scm, ver, dty, usn, ls, conf, models, decks, dconf, tags FROM col'),
    },
    {
      name: 'a table that Anki makes and drops while it upgrades',
      why: 'no client could open the converted file',
      make: () => edited(schema18, 'CREATE TABLE graves_old (a)'),
    },
    {
      name: 'an empty index whose only page calls itself one with children',
      why: 'the next review could not be written; as schema 11, it is corrupt there too',
      make: async () => {
        const bytes = Buffer.from(schema18);
        bytes[((await rootPage(join(folder, 'schema18.anki2'), 'ix_revlog_cid')) - 1) * pageBytesOf(bytes)] = 2;
        return bytes;
      },
    },
    { name: 'a missing table', why: 'nothing can be synced without it', make: () => edited(schema11, 'DROP TABLE revlog') },
    {
      name: 'a table of Anki with a column more',
      why: 'every release writes rows by position',
      make: () => edited(schema18, 'ALTER TABLE graves ADD COLUMN more'),
    },
  ];

  for (const { name, why, make } of differences) {
    test(`${name}: ${why}`, async () => {
      const bytes = await make();
      assert.equal((await ours(bytes)).verdict, 'corrupt');
      assert.equal(await official(bytes), 'ok');
    });
  }
});

test('a reason for the log holds nothing of the file', async () => {
  const secret = 'hunter2';
  const made = await Promise.all([
    edited(schema11, `CREATE VIEW ${secret} AS SELECT '${secret}' AS ${secret}`),
    edited(schema11, `CREATE TABLE ${secret} (${secret} CHECK (${secret} <> '${secret}'))`),
    edited(schema11, `CREATE TABLE ${secret} (a)`, 'PRAGMA writable_schema = ON', `UPDATE sqlite_master SET sql = 'CREATE TABLE ${secret} (${secret}' WHERE name = '${secret}'`),
    edited(schema11, `CREATE TABLE ${secret} (a)`, `INSERT INTO ${secret} VALUES (1)`, `CREATE INDEX ${secret}2 ON ${secret} (a)`,
      'PRAGMA writable_schema = ON', `UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'ix_notes_usn') WHERE name = '${secret}2'`),
    edited(schema11, `UPDATE col SET conf = '${secret}'`),
  ]);
  for (const bytes of made) {
    const verdict = await ours(bytes);
    assert.equal(verdict.verdict, 'corrupt');
    assert.ok(!JSON.stringify(verdict).includes(secret), JSON.stringify(verdict));
  }
});

test('our own troubles are thrown, not blamed on the file', async () => {
  assert.throws(() => prepareUpload(join(folder, 'missing.anki2')), { code: 'ENOENT' });
  const path = join(folder, 'folder.anki2');
  await copyFile(join(folder, 'schema11.anki2'), path);
  const holder = new Database(path);
  try {
    holder.exec('BEGIN EXCLUSIVE');
    assert.throws(() => prepareUpload(path), { code: 'SQLITE_BUSY' });
  } finally {
    holder.close();
  }
});
