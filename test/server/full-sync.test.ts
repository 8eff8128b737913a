/** Uploads and downloads of whole collections: what is answered, and what then lies on the disk. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { Player, queryOf } from '../collection/player.ts';
import { ankiEnvironment, ankiPython, run } from '../oracle/anki-python.ts';
import { changedBy, someCollection } from './collection-bytes.ts';
import { runningServer } from './running-server.ts';
import { until } from './until.ts';

const CORRUPT = 'Your upload was corrupt. Please use Check Database, or restore from backup.';

const numbered = (collection: Buffer, number: number): Promise<Buffer> => changedBy(collection, `UPDATE notes SET guid = 'upload ${number}'`);
const guidOf = async (bytes: Buffer): Promise<unknown> => (await queryOf(bytes, 'SELECT guid FROM notes'))[0];

async function collectionOfAnyUser(): Promise<Buffer> {
  await using server = await runningServer();
  return await someCollection(await server.newUser());
}

describe('a refused upload keeps what was there, and leaves no file:', () => {
  const refusals: [string, (good: Buffer) => Promise<Buffer> | Buffer, string][] = [
    ['garbage', () => Buffer.from('garbage'), CORRUPT],
    ['nothing', () => Buffer.alloc(0), CORRUPT],
    ['a file that was cut', (good) => good.subarray(0, good.length - 5000), CORRUPT],
    ['a newer schema', (good) => changedBy(good, 'UPDATE col SET ver = 19'), 'This collection was made by a newer Anki than this server knows. Please ask the administrator to update the server.'],
    ['a view', (good) => changedBy(good, 'CREATE VIEW v AS SELECT 1'), CORRUPT],
  ];
  for (const [what, made, words] of refusals) {
    test(what, async () => {
      await using server = await runningServer();
      const user = await server.user('ann');
      const good = await someCollection(user);
      const before = await new Player(user).meta();
      const response = await user.post('upload', await made(good));
      assert.deepEqual([response.status, response.text()], [200, words]);
      const { ts: _, ...meta } = await new Player(user).meta();
      const { ts: __, ...metaBefore } = before;
      assert.deepEqual(meta, metaBefore);
      assert.equal((await new Player(user).query('SELECT count(*) FROM notes'))[0] + '', '1');
      await until(() => server.stagedFiles().length === 0);
      assert.deepEqual(await readdir(join(server.base, 'ann')).then((names) => names.filter((name) => name.startsWith('.snap'))), []);
      const told = server.log.find(({ request, level }) => request === 'upload' && level === 'warn');
      assert.ok(told?.detail, 'the log says why');
      assert.equal(told.user, 'ann');
    });
  }

  test('a sync that runs meanwhile goes on', async () => {
    await using server = await runningServer();
    const user = new Player(await server.user('ann'));
    await user.begin();
    await user.start();
    await user.other('another').client.post('upload', Buffer.from('garbage'));
    assert.equal(await user.status('finish'), 200);
  });
});

describe('past a limit', () => {
  test('an upload is told so in words: packed, or unpacked, and at the limit it passes', async () => {
    const collection = await collectionOfAnyUser();
    const packed = zstdCompressSync(collection);
    const outcomes: unknown[] = [];
    for (const limits of [
      { maxPackedBytes: packed.length }, { maxPackedBytes: packed.length - 1 },
      { maxUnpackedBytes: collection.length }, { maxUnpackedBytes: collection.length - 1 },
    ]) {
      await using server = await runningServer(limits);
      const user = await server.user('ann');
      const response = await user.post('upload', packed, { packed: true });
      outcomes.push([response.status, response.text()]);
      assert.equal((await new Player(user).meta())['empty'], response.text() !== 'OK');
      assert.deepEqual(server.stagedFiles(), []);
    }
    const [passed, refused] = [[200, 'OK'], [200, 'collection exceeds size limit']];
    assert.deepEqual(outcomes, [passed, refused, passed, refused]);
  });

  test('a collection that is there already goes on syncing', async () => {
    await using server = await runningServer({ maxPackedBytes: 1, maxUnpackedBytes: 1 });
    const user = new Player(await server.newUser());
    await user.begin();
    const { scm } = await user.meta();
    await user.sync();
    // the official server tells a new scm here, which makes every sync a one-way sync
    assert.equal((await user.meta())['scm'], scm);
    assert.equal((await user.query('SELECT count(*) FROM notes'))[0] + '', '1');
  });

  test('any other body is 413', async () => {
    await using server = await runningServer();
    const user = await server.newUser();
    const response = await user.post('meta', { v: 11, cv: 'x'.repeat(70_000) });
    assert.deepEqual([response.status, response.text().split(':')[0]], [413, 'BODY_TOO_LARGE']);
  });
});

test('a body past its limit in a step of a sync is 400, at which clients offer a one-way sync', async () => {
  await using server = await runningServer();
  const user = new Player(await server.newUser());
  await user.begin();
  await user.start();
  // of the class that is held to 64 KiB
  assert.equal(await user.status('sanityCheck2', { client: ['x'.repeat(70_000)] }), 400);
  assert.equal(server.log.at(-1)!.code, 'STEP_FAILED');
});

test('a body cut by its sender leaves no file, and no change', async () => {
  await using server = await runningServer();
  const user = await server.user('ann');
  const packed = zstdCompressSync(await someCollection(user));
  const before = await new Player(user).meta();
  // small media never become a file before they are whole
  const media = zstdCompressSync(randomBytes(10 * 1024 * 1024));
  for (const [path, body] of [['sync/upload', packed], ['msync/uploadChanges', media]] as const) {
    const request = user.open(path);
    await request.write(body.subarray(0, body.length >> 1));
    await until(() => server.stagedFiles().length > 0);
    request.destroy();
    await until(() => server.stagedFiles().length === 0);
    await until(() => server.log.at(-1)?.code === 'CLIENT_GONE');
  }
  assert.equal((await new Player(user).meta())['mod'], before['mod']);
});

describe('an upload that is taken', () => {
  test('replaces the collection as a whole, and what was there stays as a snapshot', async () => {
    await using server = await runningServer();
    const user = await server.user('ann');
    const collection = await someCollection(user);
    const uploaded = await changedBy(collection, "UPDATE notes SET guid = 'uploaded'; UPDATE col SET usn = 77, mod = 88, scm = 99");
    assert.equal((await user.post('upload', uploaded)).text(), 'OK');
    const folder = join(server.base, 'ann');
    // the log of the old collection must not be replayed into the new one
    assert.deepEqual((await readdir(folder)).filter((name) => /^collection.*(-wal|-shm|-journal)$|\.new$/.test(name)), []);
    assert.deepEqual(server.stagedFiles(), []);
    const { usn, mod, scm, empty } = await new Player(user).meta();
    assert.deepEqual({ usn, mod, scm, empty }, { usn: 77, mod: 88, scm: 99, empty: false });
    const [snapshot, ...more] = await readdir(join(folder, '.snapshots'));
    assert.deepEqual(more, []);
    assert.deepEqual(await guidOf(await readFile(join(folder, '.snapshots', snapshot!))), ['guid']);
    assert.deepEqual(await new Player(user).query('SELECT guid FROM notes'), [['uploaded']]);
  });

  test('leaves as many snapshots as the option says, the newest ones', async () => {
    await using server = await runningServer({ snapshots: { maxCount: 2 } });
    const user = await server.user('ann');
    const collection = await someCollection(user);
    for (const number of [1, 2, 3, 4]) assert.equal((await user.post('upload', await numbered(collection, number))).text(), 'OK');
    const folder = join(server.base, 'ann', '.snapshots');
    const kept = await Promise.all((await readdir(folder)).sort().map(async (name) => guidOf(await readFile(join(folder, name)))));
    assert.deepEqual(kept, [['upload 2'], ['upload 3']]);
  });

  test('comes back as it was', async () => {
    await using server = await runningServer();
    const user = await server.user('ann');
    const collection = await changedBy(await someCollection(user), "UPDATE notes SET data = 'an add-on''s'; CREATE TABLE addon (x); INSERT INTO addon VALUES (7)");
    assert.equal((await user.post('upload', collection)).text(), 'OK');
    assert.deepEqual(await new Player(user).query('SELECT data, x FROM notes, addon'), [["an add-on's", 7]]);
  });
});

test('what schema 11 cannot carry of an upload is told in the log', { timeout: 180_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-upload-'));
  try {
    const script = `
import sys
from anki.collection import Collection
col = Collection(sys.argv[1])
note = col.new_note(col.models.by_name("Basic"))
note.fields = ["front", "back"]
note.tags = ["parent::child"]
col.add_note(note, 1)
col.tags.set_collapsed("parent", False)
col.close(downgrade=False)
`;
    const path = join(folder, 'collection.anki2');
    await run(await ankiPython(), ['-c', script, path], { env: ankiEnvironment() });
    await using server = await runningServer();
    const user = await server.user('ann');
    assert.equal((await user.post('upload', await readFile(path))).text(), 'OK');
    const line = server.log.find(({ detail }) => detail?.startsWith('not kept in schema 11: '));
    assert.deepEqual([line?.level, line?.request, line?.user], ['info', 'upload', 'ann']);
    assert.deepEqual(await new Player(user).query('SELECT ver, flds FROM col, notes'), [[11, 'front\x1fback']]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

describe('a download', () => {
  test('tells its size beforehand, is a zstd frame without a Content-Encoding, and leaves no file', async () => {
    await using server = await runningServer();
    const user = await server.newUser();
    await new Player(user).begin();
    const response = await user.post('download', {});
    assert.equal(response.headers['anki-original-size'], String(response.body.length));
    assert.equal(response.headers['content-encoding'], undefined);
    assert.equal(response.headers['content-type'], 'application/octet-stream');
    assert.equal(response.wire.readUInt32LE(0), 0xfd2fb528, "a zstd frame's magic number");
    await until(() => server.stagedFiles().length === 0);
  });

  test('whose receiver goes away leaves no file', async () => {
    await using server = await runningServer();
    const user = await server.newUser();
    const collection = await someCollection(user);
    // random bytes: nothing between the two may be able to hold all of them
    await user.post('upload', await changedBy(collection, 'CREATE TABLE addon (x); INSERT INTO addon VALUES (randomblob(20000000))'));
    const message = await user.sendUnread('POST', 'sync/download', {});
    assert.equal(server.stagedFiles().length, 1);
    message.destroy();
    await until(() => server.stagedFiles().length === 0);
    assert.equal(await new Player(user).status('meta', { v: 11, cv: '' }), 200);
  });

  test('that is not read stops nobody, not even the same user', async () => {
    await using server = await runningServer();
    const user = await server.newUser();
    const collection = await someCollection(user);
    await user.post('upload', await changedBy(collection, 'CREATE TABLE addon (x); INSERT INTO addon VALUES (randomblob(20000000))'));
    const message = await user.sendUnread('POST', 'sync/download', {});
    const { usn } = await new Player(user).meta();
    await new Player(user).sync();
    assert.equal((await new Player(user).meta())['usn'], (usn as number) + 1);
    let bytes = 0;
    for await (const piece of message) bytes += (piece as Buffer).length;
    assert.ok(bytes > 20_000_000, 'the download arrives whole');
  });
});
