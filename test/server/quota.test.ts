/** What a user may have at most is told in words that Anki shows, and nothing that makes it less is refused. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { uploadZip } from '../media/raw-zip.ts';
import { someCollection } from './collection-bytes.ts';
import { runningServer } from './running-server.ts';

const KIB = 1024;

test('media past the quota are refused as a whole, with words; deletions and smaller files pass', async () => {
  await using server = await runningServer({ quota: { maxMediaBytes: 10 * KIB } });
  const user = await server.user('ann');
  const send = async (...changes: [string, string | null][]): Promise<{ data: unknown; err: string }> => (await user.msync('uploadChanges', uploadZip(changes))).json() as { data: unknown; err: string };
  await user.msync('begin', { v: 'test' });
  assert.deepEqual((await send(['a.png', 'a'.repeat(6 * KIB)], ['b.png', 'b'.repeat(4 * KIB)])).err, '');
  const { data, err } = await send(['c.png', 'c']);
  assert.equal(data, null);
  assert.equal(err, 'Your media would have 0.0 MiB, and the sync server allows 0.0 MiB. Your files on this device are fine, and your cards sync as before. Please delete some media.');
  assert.deepEqual(server.log.findLast(({ request }) => request === 'uploadChanges')?.code, 'QUOTA_EXCEEDED');
  assert.equal((await send(['a.png', 'a'.repeat(5 * KIB)])).err, '');
  assert.equal((await send(['b.png', null], ['c.png', 'c'.repeat(5 * KIB)])).err, '');
  assert.notEqual((await send(['d.png', 'd'])).err, '');
  assert.deepEqual((await user.msync('mediaSanity', { local: 2 })).json(), { data: 'OK', err: '' });
  const other = await server.user('bob');
  await other.msync('begin', { v: 'test' });
  assert.equal(((await other.msync('uploadChanges', uploadZip([['a.png', 'a'.repeat(6 * KIB)]]))).json() as { err: string }).err, '');
});

test('a collection past the quota is refused, with words, and what was there stays', async () => {
  await using large = await runningServer();
  const collection = await someCollection(await large.user('ann'));
  await using server = await runningServer({ quota: { maxCollectionBytes: collection.length - 1 } });
  const user = await server.user('ann');
  const answer = await user.post('upload', collection);
  assert.equal(answer.status, 200);
  assert.match(answer.text(), /^Your collection would have \d\.\d MiB, and the sync server allows \d\.\d MiB\. Your cards on this device are fine\. Nothing was sent\.$/);
  assert.equal((await user.post('meta', { v: 11, cv: 'x' })).json().empty, true);
  assert.equal(server.log.findLast(({ request, version }) => request === 'upload' && version !== undefined)?.event, 'upload.refused');
  await using exact = await runningServer({ quota: { maxCollectionBytes: collection.length } });
  assert.equal((await (await exact.user('ann')).post('upload', collection)).text(), 'OK');
});
