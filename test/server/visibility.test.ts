/** When a sync can be seen: in the file on the disk, by other users, after a restart. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { RawClient } from '../client/raw.ts';
import { card, many, note } from '../collection/objects.ts';
import { Player } from '../collection/player.ts';
import { runningServer } from './running-server.ts';

/** Cards in a copy of a user's files, as the disk has them now: what a loss of power would leave. */
async function cardsOnDisk(base: string, folder: string): Promise<number> {
  const copy = await mkdtemp(join(tmpdir(), 'anki-sync-copy-'));
  try {
    await cp(join(base, folder), copy, { recursive: true });
    const db = new Database(join(copy, 'collection.anki2'));
    const count = db.prepare('SELECT count(*) FROM cards').pluck().get() as number;
    db.close();
    return count;
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

test('before finish nothing of a sync is on the disk, and after it everything', async () => {
  await using server = await runningServer();
  const user = new Player(await server.user('ann'));
  await user.begin();
  await user.start();
  await user.rows({ cards: many(250, 10_000, (id) => card({ id })) });
  assert.equal(await cardsOnDisk(server.base, 'ann'), 1);
  await user.finish();
  assert.equal(await cardsOnDisk(server.base, 'ann'), 251);
});

test('a restart keeps what was finished and who is signed in, and forgets what was not finished', async () => {
  const first = await runningServer();
  try {
    const user = new Player(await first.user('ann'));
    await user.begin();
    await user.start();
    await user.rows({ cards: [card({ id: 6001 })] });
    await first.close();
    const second = await runningServer({ base: first.base });
    try {
      const again = new Player(new RawClient(second.url, { key: user.client.key, sessionKey: user.client.sessionKey }));
      assert.equal(await again.status('finish'), 409);
      assert.deepEqual(Object.keys((await again.held()).cards), ['6000']);
    } finally {
      await second.stop();
    }
  } finally {
    await rm(first.base, { recursive: true, force: true });
  }
});

test('closing writes everything back: no log lies beside any collection', async () => {
  const server = await runningServer();
  try {
    await new Player(await server.user('ann')).begin();
    await server.close();
    assert.deepEqual((await readdir(join(server.base, 'ann'))).filter((name) => /-wal|-shm|-journal/.test(name)), []);
    assert.equal(await cardsOnDisk(server.base, 'ann'), 1);
  } finally {
    await rm(server.base, { recursive: true, force: true });
  }
});

test('two users sync at the same time, and neither sees the other', async () => {
  await using server = await runningServer();
  const [ann, bob] = [new Player(await server.user('ann')), new Player(await server.user('bob'))];
  await ann.start();
  await bob.start();
  await ann.changes();
  await bob.rows({ cards: [card({ id: 1 })] });
  await ann.rows({ cards: [card({ id: 2 })], notes: [] });
  await bob.finish();
  await ann.finish();
  assert.deepEqual([Object.keys((await ann.held()).cards), Object.keys((await bob.held()).cards)], [['2'], ['1']]);
});

test('one name in two spellings is one user, and names that climb stay in the data folder', async () => {
  await using server = await runningServer();
  await new Player(await server.user('Zoë')).begin();
  assert.deepEqual(Object.keys((await new Player(await server.user('Zoe\u0308')).held()).cards), ['6000']);
  for (const name of ['../escape', '..', '.', 'a/b', '/etc', 'c:\\x', '.anki-sync']) {
    const user = new Player(await server.user(name));
    await user.begin();
    assert.deepEqual(Object.keys((await user.held()).cards), ['6000'], name);
  }
  await server.server.close();
  const folders = (await readdir(server.base, { withFileTypes: true })).filter((entry) => entry.isDirectory() && entry.name !== '.anki-sync');
  assert.equal(folders.length, 8, folders.map(({ name }) => name).join(' '));
  for (const { name } of folders) assert.ok((await readFile(join(server.base, name, 'collection.anki2'))).length > 0);
});

test('a note too large for a single piece of the wire arrives whole', async () => {
  await using server = await runningServer();
  const user = new Player(await server.user('ann'));
  const front = 'é'.repeat(3_000_000);
  await user.begin({ notes: [note({ flds: `${front}\x1fback` })] });
  assert.equal((await user.held()).notes[5000]![6], `${front}\x1fback`);
});

test('a collection that is replaced or removed by hand between two syncs is noticed by meta, which tells no older state', async () => {
  await using server = await runningServer();
  const user = new Player(await server.user('ann'));
  await user.begin();
  const before = await user.meta();
  assert.deepEqual((await user.meta())['mod'], before['mod']);
  const path = join(server.base, 'ann', 'collection.anki2');
  await cp(path, `${path}.other`);
  const db = new Database(`${path}.other`);
  db.exec('UPDATE col SET mod = 77, usn = 5');
  db.close();
  await rename(`${path}.other`, path);
  const { mod, usn } = await user.meta();
  assert.deepEqual([mod, usn], [77, 5]);
  await rm(path);
  assert.equal((await user.meta())['usn'], 0);
});
