/** What every `MediaStore` must do, as tests for `node:test`. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import type { MediaChange, MediaStore, UserPlace } from '../storage/storage.ts';

/** One store to be tested, fresh for each test. */
export interface MediaStoreUnderTest {
  store: MediaStore;
  /** Lets go of the store without any farewell and opens another one on the same data. Left out where nothing rests. */
  reopen?: () => Promise<MediaStore>;
  /** Closes and removes everything. */
  done: () => Promise<void>;
}

const ada: UserPlace = { userId: 'ada', folder: 'ada' };
const bob: UserPlace = { userId: 'bob', folder: 'bob' };

function added(name: string, content = name): MediaChange {
  return { name, sha1: hash('sha1', content), bytes: Buffer.byteLength(content) };
}

function deleted(name: string): MediaChange {
  return { name, deleted: true };
}

export function mediaStoreSuite(title: string, make: () => Promise<MediaStoreUnderTest>): void {
  const test = (sentence: string, body: (store: MediaStore) => Promise<void>): void => {
    it(sentence, async () => {
      const under = await make();
      try {
        await body(under.store);
      } finally {
        await under.done();
      }
    });
  };
  const testReopening = (sentence: string, body: (store: MediaStore, reopen: () => Promise<MediaStore>) => Promise<void>): void => {
    it(sentence, async (context) => {
      const under = await make();
      try {
        if (under.reopen === undefined) context.skip('nothing rests');
        else await body(under.store, under.reopen);
      } finally {
        await under.done();
      }
    });
  };

  describe(`${title} is a MediaStore`, () => {
    test('a user who was never seen has an empty index at usn 0', async (store) => {
      assert.deepEqual(await store.totals(ada), { lastUsn: 0, totalBytes: 0, fileCount: 0 });
      assert.deepEqual(await store.changesAfter(ada, 0, 1000), []);
      assert.deepEqual(await store.entries(ada, ['a.png']), []);
      assert.deepEqual(await store.unsettled(ada), []);
    });

    test('each change takes the next usn, and the last one is answered', async (store) => {
      assert.equal(await store.apply(ada, [added('a', '1'), added('b', '22')]), 2);
      assert.equal(await store.apply(ada, [added('c', '333')]), 3);
      assert.deepEqual(await store.changesAfter(ada, 0, 1000), [
        { name: 'a', sha1: hash('sha1', '1'), bytes: 1, usn: 1 },
        { name: 'b', sha1: hash('sha1', '22'), bytes: 2, usn: 2 },
        { name: 'c', sha1: hash('sha1', '333'), bytes: 3, usn: 3 },
      ]);
      assert.deepEqual(await store.totals(ada), { lastUsn: 3, totalBytes: 6, fileCount: 3 });
    });

    test('a replaced file moves to a new usn and counts once', async (store) => {
      await store.apply(ada, [added('a', 'old'), added('b')]);
      await store.apply(ada, [added('a', 'newer')]);
      assert.deepEqual((await store.changesAfter(ada, 0, 1000)).map(({ name, usn }) => [name, usn]), [['b', 2], ['a', 3]]);
      assert.deepEqual(await store.entries(ada, ['a']), [{ name: 'a', sha1: hash('sha1', 'newer'), bytes: 5, usn: 3 }]);
      assert.deepEqual(await store.totals(ada), { lastUsn: 3, totalBytes: 6, fileCount: 2 });
    });

    test('a deleted file stays in the index with its sha1 and no bytes, and can come back', async (store) => {
      await store.apply(ada, [added('a')]);
      assert.equal(await store.apply(ada, [deleted('a')]), 2);
      assert.deepEqual(await store.entries(ada, ['a']), [{ name: 'a', sha1: hash('sha1', 'a'), bytes: 0, usn: 2 }]);
      assert.deepEqual(await store.totals(ada), { lastUsn: 2, totalBytes: 0, fileCount: 0 });
      await store.apply(ada, [added('a', 'back')]);
      assert.deepEqual(await store.totals(ada), { lastUsn: 3, totalBytes: 4, fileCount: 1 });
    });

    test('a name may change several times in one call, in order', async (store) => {
      assert.equal(await store.apply(ada, [added('a', '1'), deleted('a'), added('a', '333')]), 3);
      assert.deepEqual(await store.entries(ada, ['a']), [{ name: 'a', sha1: hash('sha1', '333'), bytes: 3, usn: 3 }]);
      assert.deepEqual(await store.totals(ada), { lastUsn: 3, totalBytes: 3, fileCount: 1 });
      assert.deepEqual(await store.unsettled(ada), [added('a', '333')]);
    });

    test('a call that fails changes nothing', async (store) => {
      await store.apply(ada, [added('a')]);
      await store.settled(ada);
      const before = [await store.totals(ada), await store.changesAfter(ada, 0, 1000)];
      await assert.rejects(store.apply(ada, [added('b'), added('a', 'new'), deleted('never seen')]));
      await assert.rejects(store.apply(ada, [deleted('a'), deleted('a')]));
      assert.deepEqual([await store.totals(ada), await store.changesAfter(ada, 0, 1000)], before);
      assert.deepEqual(await store.unsettled(ada), []);
    });

    test('changes come in the order of usn, in pages that lose nothing', async (store) => {
      const names = Array.from({ length: 25 }, (_, index) => `file ${24 - index}`);
      await store.apply(ada, names.map((name) => added(name)));
      const paged: string[] = [];
      for (let usn = 0; ; ) {
        const page = await store.changesAfter(ada, usn, 10);
        const rows = JSON.stringify(page.map(({ name, usn: at, sha1, bytes }) => [name, at, bytes === 0 ? '' : sha1]));
        if (store.changesTextAfter !== undefined) assert.deepEqual(JSON.parse(await store.changesTextAfter(ada, usn, 10)), JSON.parse(rows));
        if (page.length === 0) break;
        assert.ok(page.length <= 10);
        paged.push(...page.map(({ name }) => name));
        usn = page.at(-1)!.usn;
      }
      assert.deepEqual(paged, names);
    });

    test('a page of changes that was written before does not outlive a change', async (store) => {
      const page = async (): Promise<unknown> => JSON.parse(await store.changesTextAfter!(ada, 1, 10)).length;
      if (store.changesTextAfter === undefined) return;
      await store.apply(ada, [added('a'), added('b'), added('c')]);
      assert.equal(await page(), 2);
      assert.equal(await page(), 2);
      await store.apply(ada, [added('d')]);
      assert.equal(await page(), 3);
      await store.forget(ada, ['b']);
      assert.equal(await page(), 2);
      await store.apply(bob, [added('other'), added('of bob')]);
      assert.equal(JSON.parse(await store.changesTextAfter(bob, 1, 10)).length, 1);
      assert.equal(await page(), 2);
    });

    test('entries are found by exact name only', async (store) => {
      await store.apply(ada, [added('Ä.png', 'capital'), added('ä.png', 'small')]);
      await store.apply(ada, ['a%', 'a\\b.png', 'con', ' ', '👩‍🔬.jpg'].map((name) => added(name)));
      const sha1Of = async (name: string): Promise<string | undefined> => (await store.entries(ada, [name]))[0]?.sha1;
      assert.equal(await sha1Of('Ä.png'), hash('sha1', 'capital'));
      assert.equal(await sha1Of('ä.png'), hash('sha1', 'small'));
      assert.equal(await sha1Of('a'), undefined);
      assert.equal(await sha1Of('ab'), undefined);
      const found = await store.entries(ada, ['a\\b.png', 'con', ' ', '👩‍🔬.jpg', 'nope']);
      assert.deepEqual(found.map(({ name }) => name).sort(), [' ', 'a\\b.png', 'con', '👩‍🔬.jpg']);
    });

    test('what was applied stays unsettled until it is settled', async (store) => {
      await store.apply(ada, [added('a'), added('b')]);
      await store.settled(ada);
      await store.apply(ada, [added('c')]);
      await store.apply(ada, [deleted('a')]);
      const byName = (one: MediaChange, other: MediaChange): number => (one.name < other.name ? -1 : 1);
      assert.deepEqual((await store.unsettled(ada)).sort(byName), [deleted('a'), added('c')]);
      assert.deepEqual(await store.unsettledTotals(ada), { names: 2, bytes: 1 });
      await store.settled(ada);
      assert.deepEqual(await store.unsettled(ada), []);
      assert.deepEqual(await store.unsettledTotals(ada), { names: 0, bytes: 0 });
    });

    test('what was applied can be settled little by little', async (store) => {
      await store.apply(ada, [added('a'), added('bb'), added('ccc'), added('dddd')]);
      await store.apply(ada, [deleted('bb')]);
      const left = new Set(['a', 'bb', 'ccc', 'dddd']);
      while (left.size > 0) {
        const some = await store.unsettled(ada, 3);
        assert.ok(some.length > 0);
        await store.settled(ada, some);
        for (const { name } of some) assert.ok(left.delete(name), `${name} was settled before`);
        assert.deepEqual((await store.unsettled(ada)).map(({ name }) => name).sort(), [...left]);
        assert.equal((await store.unsettledTotals(ada)).names, left.size);
      }
      assert.deepEqual(await store.unsettledTotals(ada), { names: 0, bytes: 0 });
    });

    test('a forgotten name leaves neither a deletion nor a usn', async (store) => {
      await store.apply(ada, [added('a'), added('b'), added('c')]);
      await store.apply(ada, [deleted('c')]);
      await store.forget(ada, ['a', 'c', 'never seen']);
      assert.deepEqual((await store.changesAfter(ada, 0, 1000)).map(({ name, bytes }) => [name, bytes]), [['b', 1], ['c', 0]]);
      assert.deepEqual(await store.totals(ada), { lastUsn: 4, totalBytes: 1, fileCount: 1 });
      assert.ok(!(await store.unsettled(ada)).some(({ name }) => name === 'a'), 'nothing is to be settled for a forgotten name');
    });

    test('users do not see each other', async (store) => {
      await store.apply(ada, [added('a')]);
      assert.deepEqual(await store.totals(bob), { lastUsn: 0, totalBytes: 0, fileCount: 0 });
      await store.apply(bob, [added('a', 'other')]);
      await store.settled(bob);
      assert.deepEqual(await store.unsettled(ada), [added('a')]);
      assert.equal((await store.entries(ada, ['a']))[0]?.sha1, hash('sha1', 'a'));
    });

    test('a released user is still there', async (store) => {
      await store.apply(ada, [added('a')]);
      await store.release(ada);
      await store.release(bob);
      assert.deepEqual(await store.totals(ada), { lastUsn: 1, totalBytes: 1, fileCount: 1 });
      assert.deepEqual(await store.unsettled(ada), [added('a')]);
    });

    testReopening('what was applied, and that it is unsettled, is there after a reopening without farewell', async (store, reopen) => {
      await store.apply(ada, [added('a'), added('b')]);
      await store.settled(ada);
      await store.apply(ada, [deleted('a'), added('c')]);
      const again = await reopen();
      assert.deepEqual(await again.totals(ada), { lastUsn: 4, totalBytes: 2, fileCount: 2 });
      assert.deepEqual(await again.unsettled(ada), [deleted('a'), added('c')]);
    });
  });
}
