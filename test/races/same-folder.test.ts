/** A user who is removed while requests are on the way, and somebody who then gets the name and with it the folder. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { SqliteHostKeys } from '../../lib/auth/sqlite-host-keys.ts';
import { SqliteUsers } from '../../lib/auth/sqlite-users.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import { CHEAP } from '../auth/cheap.ts';
import { RawClient } from '../client/raw.ts';
import { card, many, note } from '../collection/objects.ts';
import { Player } from '../collection/player.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { changedBy, someCollection } from '../server/collection-bytes.ts';
import { runningServer, type RunningServer } from '../server/running-server.ts';
import { until } from '../server/until.ts';

const PASSWORD = 'correct horse';

/** A server with its own users, and what `anki-sync user` would do beside it. */
async function withUsers(work: (server: RunningServer, users: SqliteUsers, database: UsersDatabase) => Promise<void>): Promise<void> {
  await using server = await runningServer({ authenticator: undefined, threads: 2 } as never);
  const database = await UsersDatabase.open(server.base);
  try {
    await work(server, new SqliteUsers(database, CHEAP), database);
  } finally {
    await database.close();
  }
}

async function signedIn(server: RunningServer, name: string, session: string): Promise<RawClient> {
  const client = new RawClient(server.url, { sessionKey: session });
  await client.hostKey(name, PASSWORD);
  return client;
}

test('a user who is removed and added again in mid-sync goes on at once, and nothing of the sync before is kept', async () => {
  await withUsers(async (server, users) => {
    await users.add('ann', PASSWORD);
    const before = new Player(await signedIn(server, 'ann', 'before'));
    await before.begin();
    await before.start();
    await before.rows({ notes: many(3, 5001, (id) => note({ id, guid: `guid${id}` })), cards: many(3, 6001, (id) => card({ id })) });

    await users.remove('ann');
    assert.equal(await before.status('finish'), 403);
    await users.add('ann', PASSWORD);
    const after = new Player(await signedIn(server, 'ann', 'after'));
    // the session of the one before held the collection: this was 503 for as long as it was not abandoned
    await after.sync({ notes: [note({ id: 5009, guid: 'guid5009' })], cards: [card({ id: 6009, nid: 5009 })] });
    assert.deepEqual(Object.keys((await after.held()).notes), ['5000', '5009']);
    // closes, replaces and copies the file: only possible where nobody else has it open
    const { body } = await after.client.post('download', {}, { version: 10 });
    assert.equal((await after.client.post('upload', body)).text(), 'OK');
    assert.deepEqual(server.log.filter(({ level }) => level === 'error'), []);
  });
});

test('media of a user who is removed and added again: staged files are served, and settled', async () => {
  await withUsers(async (server, users) => {
    await users.add('ann', PASSWORD);
    const before = await signedIn(server, 'ann', 'before');
    assert.equal((await before.msync('uploadChanges', uploadZip([['a.txt', 'one']]))).status, 200);
    await users.remove('ann');
    await users.add('ann', PASSWORD);
    const after = await signedIn(server, 'ann', 'after');
    assert.deepEqual((await after.msync('uploadChanges', uploadZip([['b.txt', 'two']]))).json(), { data: [1, 2], err: '' });
    assert.equal((await after.msync('downloadFiles', { files: ['a.txt', 'b.txt'] })).status, 200);
    assert.deepEqual((await after.msync('mediaSanity', { local: 2 })).json(), { data: 'OK', err: '' });
  });
});

for (const end of ['removed', 'signed out', 'disabled', 'given a new password'] as const) {
  test(`who is ${end} during an upload or a media zip changes nothing any more`, async () => {
    await withUsers(async (server, users, database) => {
      await users.add('ann', PASSWORD);
      const ann = await signedIn(server, 'ann', 'ann');
      const packed = zstdCompressSync(await changedBy(await someCollection(ann), 'UPDATE col SET usn = 77'));
      // the large one goes through a file, the small one through memory
      const zips = [uploadZip([['late.txt', 'late']]), uploadZip([['large.bin', randomBytes(10_000_000)]])].map((zip) => zstdCompressSync(zip));
      const bodies = [packed, ...zips];
      const sending = [ann.open('sync/upload'), ...zips.map(() => ann.open('msync/uploadChanges'))];
      await Promise.all(bodies.map((body, i) => sending[i]!.write(body.subarray(0, body.length >> 1))));
      await until(() => server.server.activity().requests.filter(({ user }) => user === 'ann').length === 3);

      if (end === 'removed') {
        await users.remove('ann');
        // the name goes to somebody else, as docs/users.md says: with an empty folder
        await rename(join(server.base, 'ann'), join(server.base, 'ann, gone'));
        await users.add('ann', PASSWORD);
      } else if (end === 'disabled') await users.disable('ann');
      else if (end === 'signed out') await new SqliteHostKeys(database).revoke(database.userByLoginName('ann')!.id);
      else await users.setPassword('ann', `${PASSWORD}, another one`);

      await Promise.all(bodies.map((body, i) => sending[i]!.write(body.subarray(body.length >> 1))));
      for (const each of sending) each.end();
      for (const each of sending) assert.equal((await each.response).status, 403);

      if (end === 'disabled') await users.enable('ann');
      if (end === 'given a new password') await users.setPassword('ann', PASSWORD);
      const later = await signedIn(server, 'ann', 'later');
      assert.notEqual((await new Player(later).meta())['usn'], 77);
      assert.deepEqual((await later.msync('mediaChanges', { lastUsn: 0 })).json(), { data: [], err: '' });
      assert.deepEqual(server.stagedFiles().filter((path) => !path.startsWith('ann, gone/')), []);
    });
  });
}

