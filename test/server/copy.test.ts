import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import Database from 'better-sqlite3';
import { SyncError } from '../../lib/errors.ts';
import { runningServer } from './running-server.ts';

const REVIEW = [1_700_000_000_000, 1, -1, 3, 10, 5, 2500, 4000, 1];

function idOf(base: string, name: string): string {
  const db = new Database(join(base, '.anki-sync', 'users.db'), { readonly: true });
  try {
    return db.prepare('SELECT id FROM users WHERE login_name = ?').pluck().get(name) as string;
  } finally {
    db.close();
  }
}

function look(path: string): unknown {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare('SELECT (SELECT count(*) FROM revlog), usn FROM col').raw().get();
  } finally {
    db.close();
  }
}

test('a copy waits for the sync that runs, has all of it, and changes nothing', async (t) => {
  const to = mkdtempSync(join(tmpdir(), 'anki-sync-copy-'));
  t.after(() => rmSync(to, { recursive: true, force: true }));
  await using running = await runningServer();
  const { server, base } = running;
  const client = await running.user('ada');
  assert.equal((await client.post('start', { minUsn: 0, lnewer: false })).status, 200);
  const copying = server.copyUser(idOf(base, 'ada'), to);
  // the copy is first in the user's queue, and finds a sync that runs
  assert.equal((await client.post('applyChunk', { chunk: { done: true, revlog: [REVIEW] } })).status, 200);
  assert.deepEqual(readdirSync(to), []);
  assert.equal((await client.post('finish', {})).status, 200);
  assert.equal(await copying, true);
  assert.deepEqual(look(join(to, 'collection.anki2')), [1, 1]);
  const meta = (await client.post('meta', { v: 11, cv: 'x' })).json() as { usn: number };
  assert.equal(meta.usn, 1);
});

test('a sync whose client went away is not waited for longer than for any other', async (t) => {
  const to = mkdtempSync(join(tmpdir(), 'anki-sync-copy-'));
  t.after(() => rmSync(to, { recursive: true, force: true }));
  await using running = await runningServer({ syncIdleMillis: 300 });
  const client = await running.user('ada');
  assert.equal((await client.post('start', { minUsn: 0, lnewer: false })).status, 200);
  assert.equal((await client.post('applyChunk', { chunk: { done: true, revlog: [REVIEW] } })).status, 200);
  assert.equal(await running.server.copyUser(idOf(running.base, 'ada'), to), true);
  assert.deepEqual(look(join(to, 'collection.anki2')), [0, 0]);
  assert.equal((await client.post('finish', {})).status, 409);
});

test('nobody of that id, a user who never synced, and a server that closes', async (t) => {
  const to = mkdtempSync(join(tmpdir(), 'anki-sync-copy-'));
  t.after(() => rmSync(to, { recursive: true, force: true }));
  await using running = await runningServer();
  await running.user('ada');
  assert.equal(await running.server.copyUser('nobody', to), false);
  assert.equal(await running.server.copyUser(idOf(running.base, 'ada'), to), true);
  assert.deepEqual(readdirSync(to), ['media.db']);
  const id = idOf(running.base, 'ada');
  await running.close();
  await assert.rejects(running.server.copyUser(id, to), (error) => error instanceof SyncError && error.code === 'CLOSING');
});
