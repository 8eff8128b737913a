import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { uploadZip } from '../media/raw-zip.ts';
import { runningServer } from '../server/running-server.ts';
import { journals, piecesOf, writeCollection } from './collections.ts';
import { until } from './until.ts';
import { metaOf, notesOn, ok, untilSanityCheck, wholeSync } from './whole-sync.ts';

let base: string;
beforeEach(() => (base = mkdtempSync(join(tmpdir(), 'anki-sync-close-'))));
afterEach(() => rmSync(base, { recursive: true, force: true }));

test('after close nothing is open: no log beside a database, no unfinished sync, and another server may have the folder', async () => {
  const first = await runningServer({ base, threads: 2 });
  const [ada, bob] = [await first.user('ada'), await first.user('bob')];
  await wholeSync(ada, 3);
  const before = await metaOf(ada);
  await wholeSync(bob, 1);
  await ok(bob.msync('uploadChanges', uploadZip([['a.png', 'bytes']])));
  await untilSanityCheck(ada, 40);
  await first.close();
  assert.deepEqual([...journals(base, 'ada'), ...journals(base, 'bob'), ...journals(base, '.anki-sync')], []);

  const second = await runningServer({ base });
  const again = await second.user('ada');
  assert.deepEqual(await metaOf(again), before);
  assert.equal(await notesOn(again), 3);
  await second.stop();
});

test('an upload that is under way when the server closes is still taken; what begins later is told to come again', async () => {
  const path = join(base, 'made.anki2');
  writeCollection(path, 2 * 1024 ** 2);
  const first = await runningServer({ base });
  const [ada, bob] = [await first.user('ada'), await first.user('bob')];
  let closing: Promise<void> | undefined;
  async function* body(): AsyncGenerator<Uint8Array> {
    for await (const piece of piecesOf(path)) {
      yield piece;
      if (closing !== undefined) continue;
      await until(() => first.stagedFiles().length === 1);
      closing = first.server.close();
      const refused = await bob.post('meta', { v: 11, cv: 'test' });
      assert.equal(refused.status, 503);
      assert.equal(refused.text(), 'CLOSING');
      assert.ok(Number(refused.headers['retry-after']) > 0);
    }
  }
  assert.equal((await ok(ada.post('upload', body()))).text(), 'OK');
  await closing;
  await first.close();
  assert.deepEqual(first.stagedFiles(), []);

  const second = await runningServer({ base });
  assert.ok((await notesOn(await second.user('ada'))) > 100);
  await second.stop();
});

test('a client that hangs in mid-upload keeps the server from closing only until its connection is cut', async () => {
  const first = await runningServer({ base });
  const ada = await first.user('ada');
  const upload = ada.open('sync/upload');
  const frame = zstdCompressSync(Buffer.alloc(1024 ** 2, 'not yet a collection'));
  await upload.write(frame.subarray(0, frame.length - 5));
  await until(() => first.stagedFiles().length === 1);
  const closing = first.close();
  upload.destroy();
  await closing;
  assert.deepEqual(first.stagedFiles(), []);
});

test('a download that is being sent when the server closes is sent to its end', async () => {
  const path = join(base, 'made.anki2');
  writeCollection(path, 32 * 1024 ** 2);
  const first = await runningServer({ base });
  const ada = await first.user('ada');
  await ok(ada.post('upload', piecesOf(path)));
  const download = await ada.sendUnread('POST', 'sync/download', {});
  await first.server.close();
  let bytes = 0;
  for await (const piece of download) bytes += (piece as Buffer).length;
  assert.ok(bytes > 1024 ** 2 && download.complete);
  await until(() => first.stagedFiles().length === 0);
  await first.close();
});
