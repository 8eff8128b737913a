import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import Database from 'better-sqlite3';
import { mediaStoreSuite } from '../../../lib/conformance/media-store.ts';
import openStore, { SqliteMediaStore } from '../../../lib/storage/sqlite/media.ts';

const ada = { userId: 'ada', folder: 'ada' };
const SHA1 = 'a'.repeat(40);

async function withBase(body: (base: string) => Promise<void>): Promise<void> {
  const base = await mkdtemp(join(tmpdir(), 'media-store-'));
  try {
    await body(base);
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}

mediaStoreSuite('SqliteMediaStore', async () => {
  const base = await mkdtemp(join(tmpdir(), 'media-store-'));
  const stores = [new SqliteMediaStore({ base })];
  return {
    store: stores[0]!,
    reopen: async () => {
      await stores[0]!.close();
      stores.push(new SqliteMediaStore({ base }));
      return stores[1]!;
    },
    done: async () => {
      for (const store of stores) await store.close();
      await rm(base, { recursive: true, force: true });
    },
  };
});

describe('media.db', () => {
  it('has the tables of version 4 of Anki\'s server, and one more', () =>
    withBase(async (base) => {
      const store = openStore({ base });
      await store.apply(ada, [{ name: 'a.png', sha1: SHA1, bytes: 3 }]);
      await store.close();
      const db = new Database(join(base, 'ada', 'media.db'), { readonly: true });
      assert.equal(db.pragma('user_version', { simple: true }), 4);
      const columns = (table: string): string[] => (db.pragma(`table_info(${table})`) as { name: string }[]).map(({ name }) => name);
      assert.deepEqual(columns('media'), ['fname', 'csum', 'size', 'usn', 'mtime']);
      assert.deepEqual(columns('meta'), ['last_usn', 'total_bytes', 'total_nonempty_files']);
      assert.deepEqual(
        db.prepare("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name").pluck().all(),
        ['anki_sync_unsettled', 'ix_usn', 'media', 'meta'],
      );
      const row = db.prepare('SELECT typeof(csum) AS type, hex(csum) AS csum, size, usn, mtime FROM media').get() as Record<string, unknown>;
      assert.deepEqual({ ...row, mtime: 0 }, { type: 'blob', csum: SHA1.toUpperCase(), size: 3, usn: 1, mtime: 0 });
      assert.ok(Math.abs(Number(row['mtime']) - Date.now() / 1000) < 60, 'mtime is in seconds');
      db.close();
    }));

  it('of version 3 is upgraded: deleted names without a checksum go, usn stays', () =>
    withBase(async (base) => {
      await mkdir(join(base, 'ada'));
      const db = new Database(join(base, 'ada', 'media.db'));
      db.exec(`
        CREATE TABLE media (fname text NOT NULL PRIMARY KEY, csum blob, sz int NOT NULL, usn int NOT NULL, deleted int NOT NULL);
        CREATE INDEX ix_usn ON media (usn);
        CREATE TABLE meta (usn int NOT NULL, sz int NOT NULL);
        INSERT INTO meta VALUES (7, 30);
        INSERT INTO media VALUES ('a.png', x'${SHA1}', 10, 5, 0), ('b.png', x'${SHA1}', 20, 6, 0), ('gone.png', NULL, 0, 4, 1);
        PRAGMA user_version = 3;
      `);
      db.close();
      const store = openStore({ base });
      assert.deepEqual(await store.totals(ada), { lastUsn: 6, totalBytes: 30, fileCount: 2 });
      assert.deepEqual((await store.changesAfter(ada, 0, 10)).map(({ name, sha1 }) => [name, sha1]), [['a.png', SHA1], ['b.png', SHA1]]);
      await store.close();
    }));

  it('of a newer server is left alone', () =>
    withBase(async (base) => {
      await mkdir(join(base, 'ada'));
      const db = new Database(join(base, 'ada', 'media.db'));
      db.pragma('user_version = 5');
      db.close();
      const store = openStore({ base });
      await assert.rejects(store.totals(ada), { code: 'INTERNAL' });
      await store.close();
      const after = new Database(join(base, 'ada', 'media.db'), { readonly: true });
      assert.deepEqual(after.prepare('SELECT count(*) FROM sqlite_master').pluck().get(), 0);
      after.close();
    }));

  it('is one closed file after release', () =>
    withBase(async (base) => {
      const store = openStore({ base });
      await store.apply(ada, [{ name: 'a.png', sha1: SHA1, bytes: 3 }]);
      await store.release(ada);
      assert.deepEqual(await readdir(join(base, 'ada')), ['media.db']);
      await store.close();
    }));

  it('belongs to one store at a time', () =>
    withBase(async (base) => {
      const store = openStore({ base });
      const other = openStore({ base });
      await store.totals(ada);
      await assert.rejects(other.totals(ada), { code: 'SQLITE_BUSY' });
      await store.release(ada);
      await other.totals(ada);
      await other.close();
      await store.close();
    }));

  it('is closed when more recent ones take its place', () =>
    withBase(async (base) => {
      const store = new SqliteMediaStore({ base, maxOpen: 2 });
      const other = openStore({ base });
      const users = ['ada', 'bob', 'eve'].map((name) => ({ userId: name, folder: name }));
      for (const user of users) await store.apply(user, [{ name: 'a.png', sha1: SHA1, bytes: 3 }]);
      assert.equal((await other.totals(users[0]!)).lastUsn, 1);
      await other.release(users[0]!);
      await assert.rejects(other.totals(users[1]!), { code: 'SQLITE_BUSY' });
      assert.equal((await store.totals(users[0]!)).lastUsn, 1);
      await other.close();
      await store.close();
    }));

  it('forgets what was unsettled where Anki\'s server has written since', () =>
    withBase(async (base) => {
      let store = openStore({ base });
      await store.apply(ada, ['kept', 'replaced', 'deleted', 'forgotten'].map((name) => ({ name, sha1: SHA1, bytes: 3 })));
      await store.close();
      const db = new Database(join(base, 'ada', 'media.db'));
      db.exec(`
        UPDATE media SET csum = x'${'b'.repeat(40)}', usn = 5 WHERE fname = 'replaced';
        UPDATE media SET size = 0, usn = 6 WHERE fname = 'deleted';
        DELETE FROM media WHERE fname = 'forgotten';
        UPDATE meta SET last_usn = 6, total_bytes = 6, total_nonempty_files = 2;
      `);
      db.close();
      store = openStore({ base });
      assert.deepEqual(await store.unsettled(ada), [{ name: 'kept', sha1: SHA1, bytes: 3 }]);
      await store.close();
    }));

  it('lies in the folder of the user, which is one path segment', () =>
    withBase(async (base) => {
      const store = openStore({ base: join(base, 'inner') });
      for (const folder of ['..', '.', '', '../ada', 'a/b', 'a\\b', 'a\0']) await assert.rejects(store.totals({ userId: 'ada', folder }));
      assert.deepEqual(await readdir(base), []);
      await store.close();
    }));
});
