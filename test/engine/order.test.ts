/** What may not wait for what, shown by the order of events: every test would hang, not be slow, if it were otherwise. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { uploadZip } from '../media/raw-zip.ts';
import { runningServer, type RunningServer } from '../server/running-server.ts';
import { contentsOf, piecesOf, query, writeCollection } from './collections.ts';
import { until } from './until.ts';
import { metaOf, notesOn, ok, untilSanityCheck, wholeSync } from './whole-sync.ts';

const folder = mkdtempSync(join(tmpdir(), 'anki-sync-order-'));
const large = join(folder, 'large.anki2');

before(() => writeCollection(large, 100 * 1024 ** 2));
after(() => rmSync(folder, { recursive: true, force: true }));

/** The file in pieces, half of them before `meanwhile` is called, and the last one after it has ended. */
async function* piecesAround(path: string, meanwhile: () => Promise<void>): AsyncGenerator<Uint8Array> {
  const half = statSync(path).size / 2;
  let bytes = 0;
  let called = false;
  for await (const piece of piecesOf(path)) {
    bytes += piece.length;
    if (!called && bytes > half) {
      called = true;
      await meanwhile();
    }
    yield piece;
  }
}

/** Everything another user may want: sign in, sync a collection, send media. */
async function everything(server: RunningServer, name: string): Promise<void> {
  const client = await server.user(name);
  assert.equal(await wholeSync(client, 20), 20);
  assert.equal(await wholeSync(client, 1), 21);
  await ok(client.msync('begin', { v: 'test' }));
  const answer = await ok(client.msync('uploadChanges', uploadZip([['a.png', 'bytes']])));
  assert.deepEqual(answer.json(), { data: [1, 1], err: '' });
}

for (const threads of [1, 2]) {
  describe(`with ${threads} thread${threads > 1 ? 's' : ''}`, () => {
    test("another user signs in, syncs and sends media before the last byte of one user's 100 MB upload was sent", async () => {
      await using server = await runningServer({ threads });
      const [ada, bob] = [await server.user('ada'), await server.user('bob')];
      let ended = false;
      const body = piecesAround(large, async () => {
        await wholeSync(bob, 2);
        await everything(server, 'cecil');
        ended = true;
      });
      const uploaded = await ok(ada.post('upload', body));
      assert.equal(uploaded.text(), 'OK');
      assert.ok(ended);
    });

    test('another user does all that while a client hangs half-way; the upload that is then cut changes nothing and is logged', async () => {
      await using server = await runningServer({ threads });
      const ada = await server.user('ada');
      await wholeSync(ada, 3);
      const before = await metaOf(ada);
      const cut = new AbortController();
      let hanging!: () => void;
      const halfSent = new Promise<void>((resolve) => (hanging = resolve));
      const body = piecesAround(large, () => {
        hanging();
        return new Promise<never>(() => {});
      });
      const uploading = ada.post('upload', body, { signal: cut.signal });
      uploading.catch(() => {});
      await halfSent;
      await everything(server, 'bob');
      assert.equal(server.stagedFiles().length, 1);
      cut.abort();
      await assert.rejects(uploading);
      await until(() => server.log.some(({ request, code }) => request === 'upload' && code === 'CLIENT_GONE'));
      assert.deepEqual(server.stagedFiles(), []);
      assert.deepEqual(await metaOf(ada), before);
      assert.equal(await notesOn(ada), 3);
    });

    test("while one user's upload is being checked, another user's sync ends", async () => {
      await using server = await runningServer({ threads });
      const [ada, bob] = [await server.user('ada'), await server.user('bob')];
      await untilSanityCheck(bob, 7);
      const order: string[] = [];
      let sent!: () => void;
      const allSent = new Promise<void>((resolve) => (sent = resolve));
      async function* body(): AsyncGenerator<Uint8Array> {
        yield* piecesOf(large);
        sent();
      }
      const uploading = ok(ada.post('upload', body())).then(() => order.push('upload answered'));
      await allSent;
      await ok(bob.post('finish'));
      order.push('sync ended');
      await uploading;
      assert.deepEqual(order, ['sync ended', 'upload answered']);
    });
  });
}

test('a download stays what it was at its beginning, whatever the receiver and other devices do meanwhile', async () => {
  await using server = await runningServer({ threads: 2 });
  const ada = await server.user('ada');
  await ok(ada.post('upload', piecesOf(large)));
  const slow = await ada.sendUnread('POST', 'sync/download', {});
  const other = ada.withSession('another device');
  await wholeSync(other, 5);
  const small = join(folder, 'small.anki2');
  writeCollection(small, 1024 ** 2, 2);
  await ok(other.post('upload', piecesOf(small)));
  assert.equal(server.stagedFiles().length, 1, 'the copy is still being sent');

  const pieces: Buffer[] = [];
  for await (const piece of slow) pieces.push(piece as Buffer);
  const received = zstdDecompressSync(Buffer.concat(pieces));
  assert.equal(received.length, Number(slow.headers['anki-original-size']));
  const path = join(folder, 'received.anki2');
  writeFileSync(path, received);
  assert.equal(query(path, 'PRAGMA integrity_check'), 'ok');
  assert.equal(contentsOf(path), contentsOf(large));
  await until(() => server.stagedFiles().length === 0);
  assert.equal(await notesOn(other), query(small, 'SELECT count(*) FROM notes'));
});

test('the copy made for a download goes with the client that went away', async () => {
  await using server = await runningServer();
  const ada = await server.user('ada');
  await ok(ada.post('upload', piecesOf(large)));
  const download = await ada.sendUnread('POST', 'sync/download', {});
  assert.equal(server.stagedFiles().length, 1);
  download.destroy();
  await until(() => server.stagedFiles().length === 0);
});
