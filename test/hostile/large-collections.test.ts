/** Uploads that are small on the wire and enormous in the file: each is answered, in bounded memory, and changes nothing when it is refused. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import Database from 'better-sqlite3';
import type { RawClient } from '../client/raw.ts';
import { piecesOf, writeCollection } from '../engine/collections.ts';
import { peakBytes, residentBytes, serverProcess, type ServerProcess } from '../engine/server-process.ts';
import { wholeSync } from '../engine/whole-sync.ts';

const MIB = 1024 ** 2;
/** Whole in the long form: two gibibytes are not written in a moment. */
const EMPTY_BYTES = (process.env['HOSTILE_FILES'] === undefined ? 256 : 2048) * MIB;
/** What the process may take above what it takes at work on a small collection. */
const MORE_BYTES = 400 * MIB;
const CORRUPT = 'Your upload was corrupt. Please use Check Database, or restore from backup.';
const numbers = (count: number): string => `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;

let folder: string;
let server: ServerProcess;
let ada: RawClient;
let restingBytes: number;
let good: Buffer;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'anki-sync-large-'));
  server = await serverProcess(join(folder, 'base'));
  ada = await server.user('ada');
  writeCollection(join(folder, 'good.anki2'), 40_000);
  good = readFileSync(join(folder, 'good.anki2'));
  assert.equal((await ada.post('upload', good)).text(), 'OK');
  await ada.post('meta', { v: 11, cv: 'x' });
  restingBytes = residentBytes(server.pid);
});
after(async () => {
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function uploaded(sql: string, more?: (path: string) => void): Promise<string> {
  const path = join(folder, 'large.anki2');
  writeFileSync(path, good);
  const db = new Database(path);
  db.unsafeMode(true);
  db.pragma('synchronous = OFF');
  db.pragma('journal_mode = OFF');
  db.exec(sql);
  db.close();
  more?.(path);
  const before = state();
  const response = await ada.post('upload', piecesOf(path), { signal: AbortSignal.timeout(300_000) });
  rmSync(path);
  assert.equal(response.status, 200);
  const words = response.text();
  if (words !== 'OK') assert.deepEqual(state(), before);
  const grown = peakBytes(server.pid) - restingBytes;
  assert.ok(grown < MORE_BYTES, `${Math.round(grown / MIB)} MiB more`);
  return words;
}

function state(): unknown {
  const user = join(folder, 'base', 'ada');
  const { ino, size } = statSync(join(user, 'collection.anki2'));
  return { ino, size, files: readdirSync(user, { recursive: true }).sort() };
}

const sameDecks = (count: number): string =>
  inCol('decks', `(${numbers(count)} SELECT json_group_object(i, json_set(d, '$.id', i)) FROM n, (SELECT decks -> '$."1"' AS d FROM col))`);
const inCol = (column: string, value: string): string => `UPDATE col SET ${column} = ${value}`;

describe('an upload is refused:', () => {
  const cases: Record<string, string> = {
    'a config of 100 MB': inCol('conf', `'{"a":"' || hex(zeroblob(50000000)) || '"}'`),
    'tags of millions of values': inCol('tags', `(${numbers(2_100_000)} SELECT '{' || group_concat('"' || i || '":1') || '}' FROM n)`),
    'a config of millions of empty lists': inCol('conf', `'{"a":[' || replace(hex(zeroblob(2200000)), '00', '[],') || '[]]}'`),
    'a config nested a million levels deep': inCol('conf', `'{"a":' || replace(hex(zeroblob(1000000)), '00', '[') || replace(hex(zeroblob(1000000)), '00', ']') || '}'`),
    'a hundred thousand decks of one name': sameDecks(100_000),
    'three thousand tables': Array.from({ length: 3000 }, (_, i) => `CREATE TABLE t${i} (a)`).join(';'),
    'a table of two thousand columns of long names': `CREATE TABLE t (${Array.from({ length: 1990 }, (_, i) => `"${'c'.repeat(200)}${i}"`).join(', ')})`,
  };
  for (const [name, sql] of Object.entries(cases)) test(name, async () => assert.equal(await uploaded(sql), CORRUPT));

  test(`${EMPTY_BYTES / MIB} MiB of which all but the first pages are empty`, async () => {
    const words = await uploaded('SELECT 1', (path) => {
      const db = new Database(path);
      const pageBytes = db.pragma('page_size', { simple: true }) as number;
      db.close();
      const head = readFileSync(path);
      head.writeUInt32BE(EMPTY_BYTES / pageBytes, 28);
      writeFileSync(path, head);
      truncateSync(path, EMPTY_BYTES);
    });
    assert.equal(words, CORRUPT);
  });
});

describe('an upload is taken:', () => {
  test('a note of 100 MB, at which a normal sync asks for a one-way sync', async () => {
    assert.equal(await uploaded(`UPDATE notes SET usn = 5, flds = hex(zeroblob(50000000)) || char(31) || 'b' WHERE id = (SELECT max(id) FROM notes)`), 'OK');
    await ada.post('start', { minUsn: 0, lnewer: false, graves: null });
    assert.equal((await ada.post('chunk')).status, 400);
  });

  test('thirty thousand decks of one name, and a deck of that name then comes in a sync', async () => {
    assert.equal(await uploaded(sameDecks(30_000)), 'OK');
    await ada.post('start', { minUsn: 0, lnewer: false, graves: null });
    const changes = (await ada.post('applyChanges', { changes: { models: [], decks: [[], []], tags: [] } })).json() as { decks: [{ id: number; name: string }[]] };
    assert.equal(changes.decks[0].length, 30_000);
    await ada.post('abort');
    await ada.post('start', { minUsn: 0, lnewer: false, graves: null });
    const one = { ...changes.decks[0][0]!, id: 1_000_000 };
    assert.equal((await ada.post('applyChanges', { changes: { models: [], decks: [[one], []], tags: [] } })).status, 200);
    await ada.post('abort');
  });

  test('three hundred thousand graves and reviews, all of them pending', async () => {
    const rows = `${numbers(300_000)} INSERT INTO revlog SELECT i, 1, 5, 3, 1, 1, 2500, 1, 1 FROM n; ${numbers(300_000)} INSERT INTO graves SELECT 5, i, 0 FROM n`;
    assert.equal(await uploaded(rows), 'OK');
    const start = await ada.post('start', { minUsn: 0, lnewer: false, graves: null });
    assert.equal((start.json() as { cards: unknown[] }).cards.length, 300_000);
    assert.equal((await ada.post('chunk')).status, 200);
    await ada.post('abort');
  });

  test('three hundred thousand rows of a wrong type in every column', async () => {
    const rows = `${numbers(300_000)} INSERT INTO revlog SELECT i, x'00', 'x', 1e999, 'x', x'00', 'x', x'00', 'x' FROM n`;
    assert.equal(await uploaded(rows), 'OK');
    assert.ok(server.lines.some((line) => line.includes('values that no client can read in 300000 rows of revlog')));
  });
});

test('after all of these nothing waits in the staging folder, and other users sync', async () => {
  assert.deepEqual(readdirSync(join(folder, 'base', '.anki-sync', 'staging')), []);
  assert.ok(!server.lines.some((line) => /INTERNAL|THREAD_LOST/.test(line)));
  assert.equal(await wholeSync(await server.user('bob'), 2), 2);
});
