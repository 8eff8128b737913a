import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { eraseMedia } from '../../lib/media/erase.ts';
import { settleMedia, type UserMedia } from '../../lib/media/user-media.ts';
import { MemoryMediaFiles, MemoryMediaStore } from '../../lib/storage/memory/media.ts';

const USER = { userId: 'u', folder: 'user' };

async function mediaOf(t: TestContext, names: string[]): Promise<UserMedia> {
  const [store, files] = [new MemoryMediaStore(), new MemoryMediaFiles()];
  t.after(() => Promise.all([store.close(), files.close()]));
  const folder = await files.stagingFolder(USER);
  const staged = names.map((name, index) => {
    const path = join(folder, String(index));
    writeFileSync(path, name);
    return { name, sha1: createHash('sha1').update(name).digest('hex'), path, offset: 0, bytes: Buffer.byteLength(name) };
  });
  await files.stage(USER, staged);
  await store.apply(USER, staged.map(({ name, sha1, bytes }) => ({ name, sha1, bytes })));
  return { store, files, user: USER };
}

const NAMES = Array.from({ length: 450 }, (_, number) => `file ${number}.png`);

test('all files and their names are gone, those that were not in their place yet too, and no device is told to delete its own', async (t) => {
  const media = await mediaOf(t, NAMES);
  const before = (await media.store.totals(USER)).lastUsn;
  await eraseMedia(media);
  const totals = await media.store.totals(USER);
  assert.deepEqual([totals.fileCount, totals.totalBytes], [0, 0]);
  assert.ok(totals.lastUsn > before, 'devices that have seen everything ask again');
  const left = await media.store.changesAfter(USER, 0, 1000);
  assert.deepEqual(left.filter(({ name }) => NAMES.includes(name)), []);
  assert.deepEqual(left.map(({ bytes }) => bytes), [0]);
  assert.equal(await media.files.hasAny?.(USER) ?? false, false);
});

test('what a crash cut off is finished by the next attempt', async (t) => {
  const media = await mediaOf(t, NAMES);
  await settleMedia(media);
  let calls = 0;
  const forget = media.store.forget.bind(media.store);
  media.store.forget = async (user, names) => {
    calls += 1;
    if (calls === 2) throw new Error('the power went');
    return forget(user, names);
  };
  await assert.rejects(eraseMedia(media), /the power went/);
  assert.equal((await media.store.totals(USER)).fileCount, 250);
  await eraseMedia(media);
  assert.equal((await media.store.totals(USER)).fileCount, 0);
});

test('a user without media stays as they are', async (t) => {
  const media = await mediaOf(t, []);
  await eraseMedia(media);
  assert.deepEqual(await media.store.totals(USER), { lastUsn: 0, totalBytes: 0, fileCount: 0 });
});
