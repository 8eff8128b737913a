import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { it } from 'node:test';
import { begin } from '../../lib/media/begin.ts';
import { mediaChanges, readAhead, type MediaChangeRow } from '../../lib/media/changes.ts';
import { mediaSanity } from '../../lib/media/sanity-check.ts';
import type { MediaStore } from '../../lib/storage/storage.ts';
import { MemoryMediaFiles, MemoryMediaStore } from '../../lib/storage/memory/media.ts';
import { ada } from './user-media.ts';

const files = new MemoryMediaFiles();

function added(name: string): { name: string; sha1: string; bytes: number } {
  return { name, sha1: hash('sha1', name), bytes: 10 };
}

it('begin answers the last usn, and the host key as what was once a session key', async () => {
  const store = new MemoryMediaStore();
  assert.deepEqual(await begin({ store, files, user: ada }, 'anki', 'key'), { usn: 0, sk: 'key' });
  await store.apply(ada, [added('a'), added('b')]);
  assert.deepEqual(await begin({ store, files, user: ada }, 'anki', 'key'), { usn: 2, sk: 'key' });
});

it('begin without a client version is refused', async () => {
  await assert.rejects(begin({ store: new MemoryMediaStore(), files, user: ada }, '', 'key'), { status: 400 });
});

it('changes come after the usn that is asked for, 1000 a page, deleted ones without a sha1', async () => {
  const store = new MemoryMediaStore();
  const names = Array.from({ length: 1500 }, (_, index) => `${index}.png`);
  await store.apply(ada, names.map(added));
  await store.apply(ada, [{ name: '0.png', deleted: true }]);
  const first = JSON.parse(await mediaChanges(store, ada, 0)) as MediaChangeRow[];
  assert.equal(first.length, 1000);
  assert.deepEqual(first[0], ['1.png', 2, hash('sha1', '1.png')]);
  const second = JSON.parse(await mediaChanges(store, ada, first.at(-1)![1])) as MediaChangeRow[];
  assert.equal(second.length, 500);
  assert.deepEqual(second.at(-1), ['0.png', 1501, '']);
  assert.deepEqual(JSON.parse(await mediaChanges(store, ada, 1501)) as MediaChangeRow[], []);
});

it('the page behind an answer is asked for ahead, whatever the last name looks like; behind the last one nothing is', async () => {
  const asked: number[] = [];
  const store = new MemoryMediaStore();
  const rowsAfter = async (usn: number): Promise<string> => mediaChanges(store, ada, usn);
  const ahead: MediaStore = Object.assign(Object.create(store) as MediaStore, {
    changesTextAfter: async (_: unknown, afterUsn: number) => (asked.push(afterUsn), '[]'),
  });
  await readAhead(ahead, ada, await rowsAfter(0));
  assert.deepEqual(asked, []);
  await store.apply(ada, [added('a'), added(',7,"ab"]]'), added(`${'x'.repeat(200)}"`)]);
  await readAhead(ahead, ada, await rowsAfter(0));
  await store.apply(ada, [{ name: 'a', deleted: true }]);
  await readAhead(ahead, ada, await rowsAfter(0));
  assert.deepEqual(asked, [3, 4]);
});

it('the sanity check counts files, not deletions', async () => {
  const store = new MemoryMediaStore();
  await store.apply(ada, [added('a'), added('b')]);
  await store.apply(ada, [{ name: 'a', deleted: true }]);
  assert.equal(await mediaSanity(store, ada, 1), 'OK');
  assert.equal(await mediaSanity(store, ada, 2), 'mediaSanity');
  assert.equal(await mediaSanity(store, ada, 0), 'mediaSanity');
});
