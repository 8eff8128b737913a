import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { stringifyLossless } from '../schema/json.ts';
import { jsonOfId } from '../schema/wire-values.ts';
import type { CollectionSession, CollectionStore, NamedObject, Row, RowKind, UserPlace } from '../storage/storage.ts';

export interface CollectionStoreSuite {
  name: string;
  /** A store over empty storage. Called once. */
  make(): Promise<CollectionStore>;
  /** The same storage after the first store was closed, or after a crash when it was not. */
  reopen(): Promise<CollectionStore>;
  cleanUp?(): Promise<void>;
}

/** Beyond 2^53, as add-ons make them. */
const HUGE = -7290854878769846350n;

const CARD = (id: number | bigint, mod: number, usn: number, more: { nid?: number; queue?: number; type?: number; due?: number } = {}): Row => [
  id, more.nid ?? 1, 1, 0, mod, usn, more.type ?? 0, more.queue ?? 0, more.due ?? 7, 0, 0, 0, 0, 0, 0, 0, 0, '{"pos":7}',
];
const NOTE = (id: number | bigint, mod: number, usn: number, flds = 'front\x1fback'): Row =>
  [id, 'guid', 1, mod, usn, ' a b ', flds, 'front', 123, 0, ''];
const REVLOG = (id: number | bigint, usn: number, ease = 3): Row => [id, 1, usn, ease, 10, -60, 2500, 4000, 1];

const textOf = (...rows: Row[]): string => stringifyLossless(rows.map((row) => row.map((value) => (typeof value === 'bigint' ? jsonOfId(value) : value))));

/** What every `CollectionStore` must do; run it from a file of your own with node:test. */
export function collectionStoreSuite(suite: CollectionStoreSuite): void {
  describe(`CollectionStore: ${suite.name}`, () => {
    const made = suite.make();
    let store: CollectionStore;
    let users = 0;
    const newUser = (): UserPlace => ({ userId: `u${(users += 1)}`, folder: `user-${users}` });
    const setUp = async (): Promise<UserPlace> => {
      store ??= await made;
      return newUser();
    };
    /** Runs `work` in a session of its own and commits. */
    const synced = async (user: UserPlace, work: (session: CollectionSession) => Promise<void>, now = Date.now()): Promise<void> => {
      const session = await store.begin(user, 'session');
      await work(session);
      await session.commit(now);
    };
    const looking = async <T>(user: UserPlace, look: (session: CollectionSession) => Promise<T>): Promise<T> => {
      const session = await store.begin(user, 'look');
      try {
        return await look(session);
      } finally {
        await session.rollback();
      }
    };
    const all = (user: UserPlace, kind: RowKind): Promise<string> =>
      looking(user, async (session) => session.rows(kind, await session.pendingIds(kind, 0)));

    after(async () => {
      await (await made).close();
      await suite.cleanUp?.();
    });

    test('a user who was never seen has a fresh, empty collection', async () => {
      const user = await setUp();
      const meta = await store.meta(user);
      assert.deepEqual(
        { mod: meta.modifiedMillis, usn: meta.usn, empty: meta.empty },
        { mod: 0, usn: 0, empty: true },
      );
      assert.ok(meta.schemaModifiedMillis > 0);
      assert.deepEqual(await store.meta(user), meta);
      const counts = await looking(user, (session) => session.counts());
      assert.deepEqual(counts, { cards: 0, notes: 0, revlog: 0, notetypes: 6, decks: 1, deckConfigs: 1 });
    });

    test('nothing of a session is seen before its commit, and everything after it', async () => {
      const user = await setUp();
      const before = await store.meta(user);
      await synced(
        user,
        async (session) => {
          assert.equal(session.usn, before.usn);
          await session.mergeRows('cards', [CARD(11, 5, 0)], 0);
        },
        1_700_000_000_123,
      );
      const meta = await store.meta(user);
      assert.deepEqual(
        { mod: meta.modifiedMillis, usn: meta.usn, empty: meta.empty, scm: meta.schemaModifiedMillis },
        { mod: 1_700_000_000_123, usn: before.usn + 1, empty: false, scm: before.schemaModifiedMillis },
      );
    });

    test('mod rises with every commit, also when the clock went back', async () => {
      const user = await setUp();
      const session = await store.begin(user, 's');
      assert.equal(await session.commit(5_000), 5_000);
      const late = await store.begin(user, 's');
      assert.equal(await late.commit(4_000), 5_001);
      assert.equal((await store.meta(user)).modifiedMillis, 5_001);
    });

    test('a mod that a wrong clock left far ahead is not kept: no client would be newer for as long', async () => {
      const user = await setUp();
      const year = 365 * 86_400_000;
      assert.equal(await (await store.begin(user, 's')).commit(1_700_000_000_000 + year), 1_700_000_000_000 + year);
      assert.equal(await (await store.begin(user, 's')).commit(1_700_000_000_000), 1_700_000_000_000);
    });

    test('a rollback leaves no trace of any kind of object', async () => {
      const user = await setUp();
      const before = await store.meta(user);
      const session = await store.begin(user, 's');
      await session.mergeRows('cards', [CARD(1, 1, 0)], 0);
      await session.mergeRows('notes', [NOTE(1, 1, 0)], 0);
      await session.mergeRows('revlog', [REVLOG(1, 0)], 0);
      await session.applyGraves({ cards: [9], notes: [8], decks: [1] }, 0);
      await session.addTags(['tag'], 0);
      await session.setConfig('{"a":1}');
      await session.setCreationSecs(5);
      await session.putObjects('decks', [deck(44, 'D', 0)]);
      await session.rollback();
      assert.deepEqual(await store.meta(user), before);
      await looking(user, async (after) => {
        assert.deepEqual(await after.counts(), { cards: 0, notes: 0, revlog: 0, notetypes: 6, decks: 1, deckConfigs: 1 });
        assert.deepEqual(await after.allTags(), []);
        assert.notEqual(await after.config(), '{"a":1}');
        assert.notEqual(await after.creationSecs(), 5);
      });
    });

    test('a session that has ended refuses every call', async () => {
      const user = await setUp();
      const session = await store.begin(user, 's');
      await session.commit(1);
      await assert.rejects(session.counts());
      await assert.rejects(session.mergeRows('cards', [CARD(1, 1, 0)], 0));
      await assert.rejects(session.commit(2));
      await session.rollback();
    });

    test('rows keep every digit of 64-bit ids, and come back in the order asked for', async () => {
      const user = await setUp();
      await synced(user, async (session) => {
        await session.mergeRows('cards', [CARD(3, 1, 0), CARD(HUGE, 1, 0), CARD(2, 1, 0)], 0);
      });
      await looking(user, async (session) => {
        const ids = await session.pendingIds('cards', 0);
        assert.deepEqual(ids, [HUGE, 2, 3]);
        assert.equal(await session.rows('cards', [3, HUGE, 777]), textOf(CARD(3, 1, 0), CARD(HUGE, 1, 0)));
      });
    });

    test('how long rows are is told in the order asked for, with 0 for those that are gone', async () => {
      const user = await setUp();
      await synced(user, async (session) => {
        await session.mergeRows('notes', [NOTE(3, 1, 0), NOTE(4, 1, 0, 'ж'.repeat(5000))], 0);
      });
      await looking(user, async (session) => {
        const [longer = 0, gone, shorter = 0] = await session.rowBytes('notes', [4, 777, 3]);
        assert.ok(longer >= 10_000 && longer < 11_000, `${longer} bytes`);
        assert.equal(gone, 0);
        assert.ok(shorter > 0 && shorter < 1000, `${shorter} bytes`);
      });
    });

    test('pending ids are those from a usn on, by usn and id', async () => {
      const user = await setUp();
      await synced(user, async (session) => {
        await session.mergeRows('revlog', [REVLOG(5, 1), REVLOG(4, 2), REVLOG(3, 2), REVLOG(9, 0), REVLOG(8, -1)], 0);
      });
      await looking(user, async (session) => {
        assert.deepEqual(await session.pendingIds('revlog', 1), [5, 3, 4]);
        assert.deepEqual(await session.pendingIds('revlog', 3), []);
        assert.deepEqual(await session.pendingIds('revlog', -1), [8]);
      });
    });

    test('what clients compute for themselves is sent empty', async () => {
      const user = await setUp();
      await synced(user, (session) => session.mergeRows('notes', [NOTE(1, 2, 0)], 0));
      assert.deepEqual(JSON.parse(await all(user, 'notes')), [[1, 'guid', 1, 2, 0, ' a b ', 'front\x1fback', '', '', 0, '']]);
    });

    for (const [kind, row] of [['cards', CARD], ['notes', NOTE]] as const) {
      test(`${kind}: ours stays only when it is pending and at least as new`, async () => {
        const user = await setUp();
        const mods = async (): Promise<[number, number][]> =>
          (JSON.parse(await all(user, kind)) as number[][]).map((r) => [r[0]!, r[kind === 'cards' ? 4 : 3]!]);
        await synced(user, (session) => session.mergeRows(kind, [row(1, 100, 5), row(2, 100, 5), row(3, 100, 5), row(4, 100, 4)], 0));
        await synced(user, (session) => session.mergeRows(kind, [row(1, 99, 6), row(2, 100, 6), row(3, 101, 6), row(4, 99, 6)], 5));
        assert.deepEqual((await mods()).sort(), [[1, 100], [2, 100], [3, 101], [4, 99]]);
      });
    }

    test('a revlog row never overwrites', async () => {
      const user = await setUp();
      await synced(user, (session) => session.mergeRows('revlog', [REVLOG(1, 0, 1)], 0));
      await synced(user, (session) => session.mergeRows('revlog', [REVLOG(1, 0, 4), REVLOG(2, 0, 2)], 0));
      const rows = JSON.parse(await all(user, 'revlog')) as number[][];
      assert.deepEqual(rows.map((r) => [r[0], r[3]]), [[1, 1], [2, 2]]);
    });

    test('graves remove objects and are kept, even of objects that were never here', async () => {
      const user = await setUp();
      await synced(user, async (session) => {
        await session.mergeRows('cards', [CARD(1, 1, 0), CARD(2, 1, 0)], 0);
        await session.mergeRows('notes', [NOTE(1, 1, 0)], 0);
        await session.putObjects('decks', [deck(55, 'D', 0)]);
      });
      await synced(user, (session) => session.applyGraves({ cards: [1, 77], notes: [1, HUGE], decks: [55] }, 3));
      await looking(user, async (session) => {
        assert.deepEqual(sorted(await session.pendingGraves(3)), { cards: [1, 77], notes: [HUGE, 1], decks: [55] });
        assert.deepEqual(await session.pendingGraves(4), { cards: [], notes: [], decks: [] });
        const counts = await session.counts();
        assert.deepEqual([counts.cards, counts.notes, counts.decks], [1, 0, 1]);
      });
      await synced(user, (session) => session.applyGraves({ cards: [1, 1], notes: [], decks: [] }, 9));
      assert.deepEqual(await looking(user, (session) => session.pendingGraves(9)), { cards: [1], notes: [], decks: [] });
    });

    test('counts follow what syncs add and remove, and say the same when counted anew', async () => {
      const user = await setUp();
      const counts = (anew: boolean): Promise<number[]> =>
        looking(user, async (session) => {
          const { cards, notes, revlog } = await session.counts(anew);
          return [cards, notes, revlog];
        });
      const check = async (expected: number[]): Promise<void> => {
        for (const anew of [false, true, false]) assert.deepEqual(await counts(anew), expected);
      };
      await synced(user, async (session) => {
        await session.mergeRows('cards', [CARD(1, 1, 0), CARD(2, 1, 0)], 0);
        assert.equal((await session.counts()).cards, 2);
        await session.mergeRows('cards', [CARD(2, 2, 0), CARD(3, 1, 0), CARD(3, 2, 0)], 0);
        await session.mergeRows('notes', [NOTE(1, 1, 0)], 0);
        await session.mergeRows('revlog', [REVLOG(1, 0), REVLOG(2, 0)], 0);
      });
      await check([3, 1, 2]);
      await synced(user, async (session) => {
        await session.counts();
        await session.applyGraves({ cards: [1, 1, 77], notes: [5], decks: [] }, 3);
        await session.mergeRows('revlog', [REVLOG(2, 0), REVLOG(3, 0)], 0);
      });
      await check([2, 1, 3]);
      const session = await store.begin(user, 's');
      await session.counts();
      await session.mergeRows('cards', [CARD(9, 1, 0)], 0);
      await session.applyGraves({ cards: [2], notes: [1], decks: [] }, 3);
      await session.rollback();
      await check([2, 1, 3]);
    });

    test('notetypes, decks and presets keep every key and digit', async () => {
      const user = await setUp();
      const json = `{"id":66,"name":"Ünïcode \\"quoted\\"","mod":12,"usn":4,"future":{"x":1.0,"id":${HUGE}},"flds":[{"id":${HUGE}},{}],"tmpls":[{}],"sortf":1}`;
      const object: NamedObject = { id: 66, name: 'Ünïcode "quoted"', mtimeSecs: 12, usn: 4, json };
      for (const kind of ['notetypes', 'decks', 'deckConfigs'] as const) {
        await synced(user, (session) => session.putObjects(kind, [object]));
        const pending = await looking(user, (session) => session.pendingObjects(kind, 4));
        assert.deepEqual(pending.map(({ json: _, ...stamp }) => stamp), [{ id: 66, name: 'Ünïcode "quoted"', mtimeSecs: 12, usn: 4 }]);
        assert.equal(pending[0]!.json, json);
        assert.deepEqual(await looking(user, (session) => session.pendingObjects(kind, 5)), []);
        assert.ok((await looking(user, (session) => session.objectStamps(kind))).some((stamp) => stamp.id === 66));
      }
      const shape = (await looking(user, (session) => session.notetypeShapes())).find(({ id }) => id === 66);
      assert.deepEqual(shape, { id: 66, name: 'Ünïcode "quoted"', mtimeSecs: 12, fieldCount: 2, templateCount: 1, sortField: 1 });
    });

    test('tags have a usn each', async () => {
      const user = await setUp();
      await synced(user, (session) => session.addTags(['one', 'zwölf::"x"', '__proto__'], 3));
      await synced(user, (session) => session.addTags(['late'], 4));
      await looking(user, async (session) => {
        assert.deepEqual(new Set(await session.allTags()), new Set(['one', 'zwölf::"x"', '__proto__', 'late']));
        assert.deepEqual(await session.pendingTags(4), ['late']);
      });
    });

    test('config is replaced whole, and the creation time kept', async () => {
      const user = await setUp();
      await synced(user, async (session) => {
        await session.setConfig(`{"schedVer":2,"creationOffset":-60,"big":${HUGE}}`);
        await session.setCreationSecs(1_600_000_000);
      });
      await looking(user, async (session) => {
        assert.equal(await session.config(), `{"schedVer":2,"creationOffset":-60,"big":${HUGE}}`);
        assert.equal(await session.creationSecs(), 1_600_000_000);
      });
      const { v2Scheduler, v2Timezone } = await store.meta(user);
      assert.deepEqual({ v2Scheduler, v2Timezone }, { v2Scheduler: true, v2Timezone: true });
    });

    test('buried cards get the queue of their type back, and nothing else changes', async () => {
      const user = await setUp();
      await synced(user, (session) =>
        session.mergeRows(
          'cards',
          [
            CARD(1, 5, 1, { type: 0, queue: -3 }),
            CARD(2, 5, 1, { type: 2, queue: -2 }),
            CARD(3, 5, 1, { type: 1, queue: -3, due: 1_700_000_000 }),
            CARD(4, 5, 1, { type: 3, queue: -2, due: 40 }),
            CARD(5, 5, 1, { type: 2, queue: -1 }),
          ],
          0,
        ),
      );
      await synced(user, (session) => session.unburyCards());
      const rows = JSON.parse(await all(user, 'cards')) as number[][];
      assert.deepEqual(rows.map((row) => [row[0], row[4], row[5], row[7]]), [[1, 5, 1, 0], [2, 5, 1, 2], [3, 5, 1, 1], [4, 5, 1, 3], [5, 5, 1, -1]]);
    });

    test('stamps of notes are those of the notes that exist', async () => {
      const user = await setUp();
      await synced(user, (session) => session.mergeRows('notes', [NOTE(1, 30, 2), NOTE(HUGE, 31, 3)], 0));
      const stamps = await looking(user, (session) => session.noteStamps([1, HUGE, 5]));
      assert.deepEqual(new Set(stamps.map((stamp) => `${stamp.id} ${stamp.usn} ${stamp.mtimeSecs}`)), new Set(['1 2 30', `${HUGE} 3 31`]));
    });

    const unsent: Record<string, (session: CollectionSession) => Promise<void>> = {
      cards: (session) => session.mergeRows('cards', [CARD(1, 1, -1)], 0),
      notes: (session) => session.mergeRows('notes', [NOTE(1, 1, -1)], 0),
      revlog: (session) => session.mergeRows('revlog', [REVLOG(1, -1)], 0),
      graves: (session) => session.applyGraves({ cards: [1], notes: [], decks: [] }, -1),
      notetypes: (session) => session.putObjects('notetypes', [deck(5, 'N', -1)]),
      decks: (session) => session.putObjects('decks', [deck(5, 'D', -1)]),
      deckConfigs: (session) => session.putObjects('deckConfigs', [deck(5, 'C', -1)]),
      tags: (session) => session.addTags(['t'], -1),
    };
    for (const [table, put] of Object.entries(unsent)) {
      test(`an object with usn -1 is noticed in ${table}`, async () => {
        const user = await setUp();
        await looking(user, async (session) => {
          assert.equal(await session.hasUnsentObjects(), false);
          await put(session);
          assert.equal(await session.hasUnsentObjects(), true);
        });
      });
    }

    test('an export is a whole schema 11 file, with the usn raised by one and a new mod', async () => {
      const user = await setUp();
      await synced(user, (session) => session.mergeRows('notes', [NOTE(1, 2, 0)], 0), 1000);
      const before = await store.meta(user);
      const file = await store.exportFile(user);
      try {
        const db = new Database(file.path, { readonly: true });
        const row = db.prepare('SELECT usn, mod, scm, ver FROM col').get() as Record<string, number>;
        const notes = db.prepare('SELECT id, flds FROM notes').all();
        const check = db.pragma('integrity_check', { simple: true });
        const pages = (db.pragma('page_count', { simple: true }) as number) * (db.pragma('page_size', { simple: true }) as number);
        db.close();
        assert.deepEqual({ usn: row['usn'], scm: row['scm'], ver: row['ver'] }, { usn: before.usn + 1, scm: before.schemaModifiedMillis, ver: 11 });
        assert.ok(row['mod']! > before.modifiedMillis);
        assert.deepEqual(notes, [{ id: 1, flds: 'front\x1fback' }]);
        assert.equal(check, 'ok');
        assert.equal(file.bytes, pages);
        const after = await store.meta(user);
        assert.deepEqual([after.usn, after.modifiedMillis], [row['usn'], row['mod']]);
      } finally {
        await rm(file.path, { force: true });
      }
    });

    test('an import replaces everything, and is gone from the staging folder', async () => {
      const [source, target] = [await setUp(), await setUp()];
      await synced(source, async (session) => {
        await session.mergeRows('cards', [CARD(HUGE, 2, 0)], 0);
        await session.addTags(['kept'], 0);
        await session.applyGraves({ cards: [4], notes: [], decks: [] }, 0);
      });
      await synced(target, (session) => session.mergeRows('notes', [NOTE(5, 2, 0)], 0));
      const file = await store.exportFile(source);
      await store.importFile(target, file.path);
      await assert.rejects(writeFile(file.path, '', { flag: 'r+' }), { code: 'ENOENT' });
      // each has a file of its own
      assert.deepEqual({ ...(await store.meta(target)), inode: 0 }, { ...(await store.meta(source)), inode: 0 });
      assert.equal(await all(target, 'notes'), '[]');
      assert.equal(await all(target, 'cards'), textOf(CARD(HUGE, 2, 0)));
      await looking(target, async (session) => {
        assert.deepEqual(await session.allTags(), ['kept']);
        assert.deepEqual((await session.pendingGraves(0)).cards, [4]);
      });
    });

    test('an import that fails leaves what was there', async () => {
      const user = await setUp();
      await synced(user, (session) => session.mergeRows('notes', [NOTE(5, 2, 0)], 0));
      const before = await store.meta(user);
      await assert.rejects(store.importFile(user, join(await store.stagingFolder(user), 'not-there.anki2')));
      assert.deepEqual(await store.meta(user), before);
      assert.deepEqual((JSON.parse(await all(user, 'notes')) as number[][]).map((row) => row[0]), [5]);
    });

    test('users do not see each other', async () => {
      const [one, two] = [await setUp(), await setUp()];
      const session = await store.begin(one, 's');
      await session.mergeRows('notes', [NOTE(5, 2, 0)], 0);
      assert.equal(await all(two, 'notes'), '[]');
      await session.commit(7);
      assert.equal(await all(two, 'notes'), '[]');
      assert.equal((await store.meta(two)).modifiedMillis, 0);
    });

    test('a user whose data was let go is found again', async () => {
      const user = await setUp();
      await synced(user, (session) => session.mergeRows('notes', [NOTE(5, 2, 0)], 0));
      await store.release(user);
      await store.release(user);
      assert.equal((JSON.parse(await all(user, 'notes')) as unknown[]).length, 1);
    });

    test('what was committed is there after the store was closed, and what was not is gone', async () => {
      const user = await setUp();
      await synced(user, (session) => session.mergeRows('notes', [NOTE(5, 2, 0)], 0), 42);
      const open = await store.begin(user, 's');
      await open.mergeRows('notes', [NOTE(6, 2, 0)], 0);
      await store.close();
      store = await suite.reopen();
      assert.equal((await store.meta(user)).modifiedMillis, 42);
      assert.deepEqual((JSON.parse(await all(user, 'notes')) as number[][]).map((row) => row[0]), [5]);
      const last = store;
      after(() => last.close());
    });

    test('an overview counts cards, notes, and reviews by the days of the collection, and changes nothing', async (t) => {
      const user = await setUp();
      if (store.overview === undefined) return t.skip('this store has no overview');
      const DAY = 86_400_000;
      // three o'clock in the morning, where the user is: the day before has an hour to go
      const nowMillis = Date.UTC(2026, 10, 21, 1);
      const request = { nowMillis, days: 7 };
      assert.equal(await store.overview(user, request), null);
      const answered = (atMillis: number, ease: number, millis: number): Row => [atMillis, 1, 1, ease, 10, -60, 2500, millis, 1];
      await synced(user, async (session) => {
        await session.setConfig('{"rollover":4,"localOffset":-120}');
        await session.mergeRows('notes', [NOTE(1, 5, 1)], 0);
        await session.mergeRows('cards', [CARD(1, 5, 1), CARD(2, 5, 1)], 0);
        await session.mergeRows('revlog', [
          answered(nowMillis - 1000, 3, 4000), answered(nowMillis - 2 * 3_600_000, 1, 6000), answered(nowMillis - DAY, 2, 1000),
          answered(nowMillis - 6 * DAY, 4, 500), answered(nowMillis - 7 * DAY, 4, 500), answered(nowMillis + 2 * DAY, 3, 500), answered(nowMillis - 2000, 0, 500),
        ], 0);
      }, nowMillis);
      const before = await store.meta(user);
      const overview = await store.overview(user, request);
      assert.deepEqual(overview && [overview.cards, overview.notes, overview.modifiedMillis, overview.lastSyncMillis], [2, 1, nowMillis, nowMillis]);
      assert.deepEqual(overview?.reviewDays, [
        { daysAgo: 0, reviews: 2, millis: 10_000 }, { daysAgo: 1, reviews: 1, millis: 1000 }, { daysAgo: 6, reviews: 1, millis: 500 },
      ]);
      assert.deepEqual((await store.overview(user, { nowMillis, days: 0 }))?.reviewDays, []);
      // an hour later it is another day
      assert.deepEqual((await store.overview(user, { nowMillis: nowMillis + 3_600_000, days: 7 }))?.reviewDays.map(({ daysAgo, reviews }) => [daysAgo, reviews]), [[1, 2], [2, 1]]);
      assert.deepEqual(await store.meta(user), before);
    });
  });
}

function deck(id: number, name: string, usn: number): NamedObject {
  return { id, name, mtimeSecs: 9, usn, json: `{"id":${id},"name":${JSON.stringify(name)},"mod":9,"usn":${usn}}` };
}

function sorted(graves: { cards: (number | bigint)[]; notes: (number | bigint)[]; decks: (number | bigint)[] }): unknown {
  const sort = (ids: (number | bigint)[]): (number | bigint)[] => [...ids].sort((a, b) => (a < b ? -1 : 1));
  return { cards: sort(graves.cards), notes: sort(graves.notes), decks: sort(graves.decks) };
}
