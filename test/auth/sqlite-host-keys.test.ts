import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { User } from '../../lib/auth/authenticator.ts';
import { SqliteHostKeys } from '../../lib/auth/sqlite-host-keys.ts';
import type { SqliteHostKeysOptions } from '../../lib/auth/sqlite-host-keys.ts';
import { SqliteUserDirectory } from '../../lib/auth/user-directory.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import { dataFolder, otherProcess } from './folder.ts';

const DAY = 86_400_000;

interface Rooms {
  base: string;
  database: UsersDatabase;
  keys: SqliteHostKeys;
  ann: User;
  bob: User;
  /** Moves the clock that keys are issued and used by. */
  tomorrow(days?: number): void;
}

async function withKeys(options: SqliteHostKeysOptions, body: (rooms: Rooms) => Promise<void>): Promise<void> {
  const base = dataFolder();
  const database = await UsersDatabase.open(base);
  const directory = new SqliteUserDirectory(database);
  let now = Date.UTC(2026, 0, 1, 12);
  const keys = new SqliteHostKeys(database, { ...options, now: () => now });
  try {
    const [ann, bob] = [await directory.userFor('ann'), await directory.userFor('bob')];
    await body({ base, database, keys, ann, bob, tomorrow: (days = 1) => void (now += days * DAY) });
  } finally {
    await keys.close();
    await database.close();
  }
}

test('a key is version, routing id of the user and 256 random bits; the routing id is the same in all keys of a user', async () => {
  await withKeys({}, async ({ keys, ann, bob, database }) => {
    const form = /^1\.([a-z2-7]{16})\.([A-Za-z0-9_-]{43})$/;
    const [first, second, bobs] = [form.exec(await keys.issue(ann, { client: '' })), form.exec(await keys.issue(ann, { client: '' })), form.exec(await keys.issue(bob, { client: '' }))];
    assert.ok(first !== null && second !== null && bobs !== null);
    assert.equal(first[1], second[1]);
    assert.notEqual(first[1], bobs[1]);
    assert.notEqual(first[2], second[2]);
    assert.notEqual(first[1], ann.id);
    assert.equal(first[1], database.userById(ann.id)?.routing_id);
  });
});

test('a key that was printed works after the process was killed', async () => {
  await withKeys({}, async ({ base, keys, ann }) => {
    const { printed, ended, child } = otherProcess(base, 'issue and die', 'ann');
    const key = await printed;
    await ended;
    assert.equal(child.signalCode, 'SIGKILL');
    assert.deepEqual(keys.resolve(key), ann);
    const restarted = await UsersDatabase.open(base);
    try {
      assert.deepEqual(new SqliteHostKeys(restarted).resolve(key), ann);
    } finally {
      await restarted.close();
    }
  });
});

test('the last day of use is written down, once', async () => {
  await withKeys({}, async ({ keys, ann, tomorrow, database }) => {
    const key = await keys.issue(ann, { client: '' });
    const day = async (): Promise<number | undefined> => (await keys.list(ann.id))[0]?.lastUsedDay;
    const issued = await day();
    assert.deepEqual(keys.resolve(key), ann);
    await keys.close();
    assert.equal(await day(), issued);
    tomorrow(3);
    assert.deepEqual(keys.resolve(key), ann);
    assert.deepEqual(keys.resolve(key), ann);
    await keys.close(); // writes what is pending
    assert.equal(await day(), issued! + 3);
    assert.equal(database.users().length, 2);
  });
});

test('above the soft limit only keys end that nobody used for half a year', async () => {
  await withKeys({ softLimit: 3, unusedDays: 180 }, async ({ keys, ann, tomorrow }) => {
    const forgotten = await keys.issue(ann, { client: 'old phone' });
    const used = await keys.issue(ann, { client: 'desktop' });
    tomorrow(181);
    assert.deepEqual(keys.resolve(used), ann);
    await keys.close();
    const third = await keys.issue(ann, { client: 'phone' });
    assert.deepEqual(keys.resolve(forgotten), ann); // three are within the limit
    const more = [await keys.issue(ann, { client: 'tablet' }), await keys.issue(ann, { client: 'tablet' })];
    assert.equal(keys.resolve(forgotten), null);
    for (const key of [used, third, ...more]) assert.deepEqual(keys.resolve(key), ann);
  });
});

test('a script that signs in again and again pushes out its own keys, not those of the phone', async () => {
  await withKeys({ softLimit: 2, hardLimit: 5 }, async ({ keys, ann, bob, tomorrow }) => {
    const phone = await keys.issue(ann, { client: 'phone' });
    const bobs = await keys.issue(bob, { client: 'script' });
    const scripts: string[] = [];
    for (let i = 0; i < 12; i++) {
      tomorrow();
      scripts.push(await keys.issue(ann, { client: 'script' }));
    }
    assert.deepEqual(keys.resolve(phone), ann);
    assert.deepEqual(keys.resolve(bobs), bob);
    assert.deepEqual(scripts.map((key) => keys.resolve(key) !== null), [...Array(8).fill(false), ...Array(4).fill(true)]);
    assert.equal((await keys.list(ann.id)).length, 5);
  });
});

test('the key that is being issued is never the one that ends', async () => {
  await withKeys({ softLimit: 1, hardLimit: 1 }, async ({ keys, ann }) => {
    await keys.issue(ann, { client: 'a' });
    const last = await keys.issue(ann, { client: 'a' });
    assert.deepEqual(keys.resolve(last), ann);
    assert.equal((await keys.list(ann.id)).length, 1);
  });
});

test('an endless client name is cut, not refused', async () => {
  await withKeys({}, async ({ keys, ann }) => {
    const key = await keys.issue(ann, { client: 'x'.repeat(100_000), address: 'y'.repeat(100_000) });
    assert.deepEqual(keys.resolve(key), ann);
    assert.equal((await keys.list(ann.id))[0]?.client, 'x'.repeat(200));
  });
});

test('when the users cannot be read, a key is neither right nor wrong', async () => {
  await withKeys({}, async ({ database, keys, ann }) => {
    const key = await keys.issue(ann, { client: '' });
    await database.close();
    assert.throws(() => keys.resolve(key), { code: 'AUTH_UNAVAILABLE', status: 503 });
    await assert.rejects(keys.issue(ann, { client: '' }), { status: 503 });
  });
});

test('a device that syncs all the time is written down once a minute, and each time it is another version or elsewhere', async () => {
  await withKeys({}, async ({ keys, ann, database, tomorrow }) => {
    const MINUTE = 1 / 24 / 60;
    const key = await keys.issue(ann, { client: 'one', address: '192.0.2.1' });
    const write = database.write.bind(database);
    let writes = 0;
    database.write = ((name: 'markSynced', syncs: never) => {
      if (name === 'markSynced') writes++;
      return write(name, syncs);
    }) as typeof write;
    const after = async (minutes: number, client: string, address: string): Promise<number> => {
      tomorrow(minutes * MINUTE);
      keys.synced(key, { client, address });
      const [entry] = await keys.list(ann.id);
      assert.deepEqual([entry!.client, entry!.address], [client, address]);
      return writes;
    };
    assert.equal(await after(0, 'one', '192.0.2.1'), 1);
    assert.equal(await after(0.5, 'one', '192.0.2.1'), 1);
    assert.equal(await after(0.6, 'one', '192.0.2.1'), 2);
    assert.equal(await after(0.1, 'two', '192.0.2.1'), 3);
    assert.equal(await after(0.1, 'two', '192.0.2.2'), 4);
  });
});

test('what a device did last is on disk after a close, and does not bring back a key that has ended', async () => {
  await withKeys({}, async ({ base, keys, ann }) => {
    const [kept, ended] = [await keys.issue(ann, { client: 'kept' }), await keys.issue(ann, { client: 'ended' })];
    for (const key of [kept, ended]) keys.synced(key, { client: '', address: '192.0.2.7' });
    await keys.revoke(ann.id, (await keys.list(ann.id)).find(({ client }) => client === 'ended')!.keyId);
    keys.synced(ended, { client: 'ended' });
    await keys.close();
    const restarted = await UsersDatabase.open(base);
    try {
      const list = await new SqliteHostKeys(restarted).list(ann.id);
      assert.deepEqual(list.map(({ client, address, lastSyncSecs }) => [client, address, lastSyncSecs]), [['kept', '192.0.2.7', Date.UTC(2026, 0, 1, 12) / 1000]]);
      assert.equal(new SqliteHostKeys(restarted).resolve(ended), null);
    } finally {
      await restarted.close();
    }
  });
});

test('two who look at their devices at the same time both see the sync that has just been', async () => {
  await withKeys({}, async ({ keys, ann, bob }) => {
    for (const user of [ann, bob]) keys.synced(await keys.issue(user, { client: 'x' }), { client: 'x' });
    const lists = await Promise.all([keys.list(ann.id), keys.list(bob.id)]);
    assert.ok(lists.every(([device]) => device?.lastSyncSecs !== undefined));
  });
});
