/** The process is killed, as the power would end it: what was answered is there afterwards, and nothing else is. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { uploadChanges } from '../../lib/media/upload.ts';
import { FolderMediaFiles } from '../../lib/storage/files/folder.ts';
import { SqliteMediaStore } from '../../lib/storage/sqlite/media.ts';
import { RawClient } from '../client/raw.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { contentsOf, journals, piecesOf, query, writeCollection } from './collections.ts';
import { serverProcess } from './server-process.ts';
import { until } from './until.ts';
import { metaOf, notesOn, ok, untilSanityCheck, wholeSync } from './whole-sync.ts';

let base: string;
beforeEach(() => (base = mkdtempSync(join(tmpdir(), 'anki-sync-crash-'))));
afterEach(() => rmSync(base, { recursive: true, force: true }));

const staged = (): string[] => {
  const folder = join(base, '.anki-sync', 'staging');
  return existsSync(folder) ? readdirSync(folder) : [];
};

/** The same device at the server that runs now. */
const at = (server: { url: string }, client: RawClient): RawClient =>
  new RawClient(server.url, { key: client.key, sessionKey: client.sessionKey });

test('what finish, upload, uploadChanges and hostKey answered is there after a kill', async () => {
  const path = join(base, 'made.anki2');
  writeCollection(path, 1024 ** 2);
  const media = uploadZip([['picture.png', 'the bytes'], ['ü.png', 'more']]);

  let server = await serverProcess(base);
  const ada = await server.user('ada');
  await server.kill();

  server = await serverProcess(base);
  assert.equal(await wholeSync(at(server, ada), 10), 10);
  const synced = await metaOf(at(server, ada));
  await server.kill();

  server = await serverProcess(base);
  assert.deepEqual(await metaOf(at(server, ada)), synced);
  assert.equal(await notesOn(at(server, ada)), 10);
  await ok(at(server, ada).msync('uploadChanges', media));
  await server.kill();

  server = await serverProcess(base);
  const changes = (await ok(at(server, ada).msync('mediaChanges', { lastUsn: 0 }))).json() as { data: [string, number, string][] };
  assert.deepEqual(changes.data.map(([name]) => name), ['picture.png', 'ü.png']);
  const files = await ok(at(server, ada).msync('downloadFiles', { files: ['picture.png', 'ü.png'] }));
  assert.ok(files.body.includes('the bytes'));
  assert.equal((await ok(at(server, ada).post('upload', piecesOf(path)))).text(), 'OK');
  await server.kill();

  await using last = await serverProcess(base);
  await ok(at(last, ada).post('abort'));
  assert.equal(await notesOn(at(last, ada)), query(path, 'SELECT count(*) FROM notes'));
});

test('media that waited at a kill come to their places after the next start, though their user does not come', async () => {
  const server = await serverProcess(base);
  await server.user('ada');
  await server.kill();
  // as a server leaves them that is killed within two seconds
  const user = { userId: 'ada', folder: 'ada' };
  const [store, files] = [new SqliteMediaStore({ base }), new FolderMediaFiles({ base })];
  await uploadChanges({ store, files, user }, uploadZip([['picture.png', 'the bytes'], ['gone.png', 'gone']]));
  await uploadChanges({ store, files, user }, uploadZip([['gone.png', null]]));
  await store.close();
  await files.close();
  assert.deepEqual(readdirSync(join(base, 'ada', 'media')), []);

  await using again = await serverProcess(base);
  const waiting = join(base, 'ada', '.anki-sync-media', 'staged');
  await until(() => readdirSync(waiting).length === 0);
  assert.deepEqual(readdirSync(join(base, 'ada', 'media')), ['picture.png']);
  assert.equal(await again.stop(), 0);
});

test('nothing is there of a sync that was killed before finish, and the next one works', async () => {
  const server = await serverProcess(base);
  const ada = await server.user('ada');
  await wholeSync(ada, 4);
  const before = await metaOf(ada);
  await untilSanityCheck(ada, 50);
  await server.kill();

  await using again = await serverProcess(base);
  const client = at(again, ada);
  assert.equal((await client.post('finish')).status, 409);
  assert.deepEqual(await metaOf(client), before);
  assert.equal(await notesOn(client), 4);
  assert.equal(await wholeSync(client, 3), 7);
  assert.equal(await again.stop(), 0);
  assert.deepEqual(journals(base, 'ada'), []);
});

test('an upload that was killed half-way changes nothing, and its part is cleared away at the next start', async () => {
  const path = join(base, 'made.anki2');
  writeCollection(path, 4 * 1024 ** 2);
  const server = await serverProcess(base);
  const ada = await server.user('ada');
  await wholeSync(ada, 4);
  const upload = ada.open('sync/upload');
  const frame = zstdCompressSync(Buffer.alloc(1024 ** 2, 'not yet a collection'));
  await upload.write(frame.subarray(0, frame.length - 5));
  await until(() => staged().length === 1);
  await server.kill();
  upload.destroy();
  assert.equal(staged().length, 1);

  await using again = await serverProcess(base);
  assert.deepEqual(staged(), []);
  assert.equal(await notesOn(at(again, ada)), 4);
});

test('a copy that was being sent is cleared away at the next start, and the download can be taken again', async () => {
  const path = join(base, 'made.anki2');
  writeCollection(path, 64 * 1024 ** 2);
  const server = await serverProcess(base);
  const ada = await server.user('ada');
  await ok(ada.post('upload', piecesOf(path)));
  const download = await ada.sendUnread('POST', 'sync/download', {});
  assert.equal(staged().length, 1);
  await server.kill();
  download.destroy();
  assert.equal(staged().length, 1);

  await using again = await serverProcess(base);
  assert.deepEqual(staged(), []);
  const whole = await ok(at(again, ada).post('download'));
  const received = join(base, 'received.anki2');
  writeFileSync(received, whole.body);
  assert.equal(contentsOf(received), contentsOf(path));
});
