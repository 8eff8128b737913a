/**
 * V8 ends the whole process when one large object does not fit into a thread's heap any more. So nothing that a client sends,
 * and nothing that it once uploaded, may bring a thread near that. A process of its own, because it would be gone otherwise.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Database from 'better-sqlite3';
import type { RawClient } from '../client/raw.ts';
import { piecesOf, writeCollection } from '../engine/collections.ts';
import { serverProcess, type ServerProcess } from '../engine/server-process.ts';
import { ok, wholeSync } from '../engine/whole-sync.ts';

const MIB = 1024 ** 2;

let folder: string;
let server: ServerProcess;
let ada: RawClient;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'anki-sync-bounds-'));
  server = await serverProcess(join(folder, 'base'));
  ada = await server.user('ada');
});
after(async () => {
  await server.kill();
  rmSync(folder, { recursive: true, force: true });
});

const HOSTILE: Record<string, string> = {
  'twenty million empty lists': `{"chunk":[${'[],'.repeat(20_000_000)}[]]}`,
  'four million new keys': `{"chunk":{${Array.from({ length: 4_000_000 }, (_, i) => `"k${i}":1,`).join('')}"a":1}}`,
  'more text than a thread may hold': `{"chunk":"${'ж'.repeat(33 * MIB)}"}`,
};
for (const [what, body] of Object.entries(HOSTILE)) {
  test(`a body of ${what} is refused with the words that make clients offer a one-way sync`, async () => {
    await ok(ada.post('start', { minUsn: 0, lnewer: false, graves: null }));
    const refused = await ada.post('applyChunk', body);
    assert.equal(refused.status, 400);
    assert.match(refused.text(), /^STEP_FAILED: too large/);
    await ok(ada.post('abort'));
  });
}

test('commas in the text of long notes are not counted as values', async () => {
  await ok(ada.post('start', { minUsn: 0, lnewer: false, graves: null }));
  const { models } = (await ok(ada.post('applyChanges', { changes: { models: [], decks: [[], []], tags: [] } }))).json() as { models: { id: number }[] };
  const long = '\\",:[{'.repeat(MIB);
  const notes = [1, 2, 3].map((id) => [id, `g${id}`, models[0]!.id, 1_700_000_000, 0, '', `${long}\x1fb`, '', '', 0, '']);
  await ok(ada.post('applyChunk', { chunk: { done: true, notes } }));
  await ok(ada.post('abort'));
});

test('notetypes larger than a thread may hold fail the step, and nothing of them is kept', async () => {
  const changes = { models: [] as unknown[], decks: [[], []], tags: [] };
  await ok(ada.post('start', { minUsn: 0, lnewer: false, graves: null }));
  const { models } = (await ok(ada.post('applyChanges', { changes }))).json() as { models: object[] };
  const large = [1, 2].map((id) => ({ ...models[0], id, name: `large ${id}`, css: 'x'.repeat(25 * MIB) }));
  assert.equal((await ada.post('applyChanges', { changes: { ...changes, models: large } })).status, 400);
  assert.equal((await ada.post('finish')).status, 409);
  await ok(ada.post('start', { minUsn: 0, lnewer: false, graves: null }));
  const kept = (await ok(ada.post('applyChanges', { changes }))).json() as { models: object[] };
  assert.equal(kept.models.length, models.length);
  await ok(ada.post('abort'));
});

test('250 notes of a megabyte each leave in several chunks, in the order of ids and without a gap', async () => {
  const path = join(folder, 'long-notes.anki2');
  writeCollection(path, 250 * 20_000);
  const db = new Database(path);
  db.prepare(`UPDATE notes SET flds = substr(hex(zeroblob(?)), 1) || ' ж' || x'1f' || 'b'`).run(MIB / 2);
  const ids = db.prepare('SELECT id FROM notes ORDER BY id DESC').pluck().all();
  db.close();
  assert.equal((await ok(ada.post('upload', piecesOf(path)))).text(), 'OK');

  await ok(ada.post('start', { minUsn: 0, lnewer: false, graves: null }));
  const received: unknown[] = [];
  let chunks = 0;
  for (let done = false; !done; chunks++) {
    const answer = await ok(ada.post('chunk'));
    assert.ok(answer.body.length < 16 * MIB);
    const chunk = answer.json() as { done: boolean; notes?: [number][] };
    received.push(...(chunk.notes ?? []).map(([id]) => id));
    done = chunk.done;
  }
  assert.deepEqual(received, ids);
  assert.ok(chunks > 30);
  await ok(ada.post('abort'));
});

test('a note too long for a normal sync fails the step, not the server', async () => {
  const path = join(folder, 'longest-note.anki2');
  writeCollection(path, 20_000);
  const db = new Database(path);
  db.prepare(`UPDATE notes SET flds = hex(zeroblob(?)) || x'1f' || 'b'`).run(150 * MIB);
  db.close();
  assert.equal((await ok(ada.post('upload', piecesOf(path)))).text(), 'OK');
  await ok(ada.post('start', { minUsn: 0, lnewer: false, graves: null }));
  assert.equal((await ada.post('chunk')).status, 400);
  assert.equal((await ada.post('chunk')).status, 409);
  assert.equal(await wholeSync(await server.user('bob'), 2), 2);
});
