/** What is on the disk was damaged, lost or changed by others: its user is told in words, the log has the way back, the others go on, and nothing is made worse. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statfsSync, statSync, truncateSync, writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { restoreSnapshot } from '../../lib/backup/restore.ts';
import { uploadChanges } from '../../lib/media/upload.ts';
import { FolderMediaFiles } from '../../lib/storage/files/folder.ts';
import { SqliteMediaStore } from '../../lib/storage/sqlite/media.ts';
import { makeCollection, makeMedia, MEDIA, NOTES } from '../crash/data-folder.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { runningServer, type RunningServer } from './running-server.ts';

const META = { v: 11, cv: 'test' };
const WORDS = /Your cards on this device are fine\. Please tell whoever runs the server/;

async function folder(t: TestContext): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), 'anki-sync-damaged-'));
  t.after(() => rm(base, { recursive: true, force: true }));
  return base;
}

/** ada has a collection, an older one as a snapshot, and media. */
async function dataOfAda(base: string, notes = NOTES): Promise<void> {
  await using server = await runningServer({ base });
  const ada = await server.user('ada');
  const path = join(base, 'made.anki2');
  for (const count of [notes, notes + 1]) {
    makeCollection(path, count);
    assert.equal((await ada.post('upload', readFileSync(path))).text(), 'OK');
    rmSync(path);
  }
  assert.equal((await ada.msync('uploadChanges', uploadZip([['a.png', 'aaaa'], ['b.png', 'bbbb']]))).status, 200);
}

const lastLine = (server: RunningServer): { level: string; code?: string; detail?: string } => server.log.at(-1)!;

const digest = (path: string): string => (statSync(path).isDirectory() ? 'folder' : createHash('sha1').update(readFileSync(path)).digest('hex'));

function overwrite(path: string, from: number, bytes: number): void {
  const content = readFileSync(path);
  content.fill(0xa5, from, Math.min(content.length, from + bytes));
  writeFileSync(path, content);
}

const DAMAGES: [string, (path: string) => void, RegExp][] = [
  ['with its header overwritten', (path) => overwrite(path, 0, 100), /SQLITE_NOTADB/],
  ['with its first pages overwritten', (path) => overwrite(path, 100, 12_000), /SQLITE_CORRUPT|SQLITE_NOTADB/],
  ['cut after a page and a half', (path) => truncateSync(path, 6000), /SQLITE_CORRUPT|SQLITE_NOTADB/],
  ['of no length', (path) => truncateSync(path, 0), /it has no bytes/],
  ['replaced by a folder', (path) => (rmSync(path), mkdirSync(path)), /it is a folder/],
  ['that is a text', (path) => writeFileSync(path, 'not a collection\n'.repeat(500)), /SQLITE_NOTADB/],
  [
    'that is another database',
    (path) => {
      rmSync(path);
      const db = new Database(path);
      db.exec('CREATE TABLE t (a)');
      db.close();
    },
    /it is no collection/,
  ],
];

describe('a collection file', () => {
  for (const [name, damage, cause] of DAMAGES) {
    test(`${name} is told to its user and to nobody else, stays as it is, and a snapshot takes its place`, async (t) => {
      const base = await folder(t);
      await dataOfAda(base);
      const path = join(base, 'ada', 'collection.anki2');
      const snapshot = readdirSync(join(base, 'ada', '.snapshots')).sort().at(-1)!.replace('.anki2', '');
      damage(path);
      const before = digest(path);
      let server = await runningServer({ base });
      const [ada, bob] = [await server.user('ada'), await server.user('bob')];
      for (let attempt = 0; attempt < 2; attempt++) {
        const meta = (await ada.post('meta', META)).json() as { cont: boolean; msg: string };
        assert.equal(meta.cont, false);
        assert.match(meta.msg, WORDS);
        const { level, code, detail = '' } = lastLine(server);
        assert.deepEqual([level, code], ['error', 'COLLECTION_DAMAGED']);
        assert.match(detail, cause);
        assert.ok(detail.startsWith(`${path}: `), detail);
        assert.ok(detail.endsWith(`anki-sync restore ada --snapshot ${snapshot} --base ${base}`), detail);
        assert.equal((await bob.post('meta', META)).status, 200);
      }
      assert.deepEqual([(await ada.post('start', { minUsn: 0, lnewer: false })).status, (await ada.post('download')).status], [500, 500]);
      // media are another file
      assert.equal((await ada.msync('begin', { v: 'test' })).json().err, '');
      await server.close();
      assert.equal(digest(path), before);

      if (statSync(path).isDirectory()) rmSync(path, { recursive: true });
      assert.equal(await restoreSnapshot(base, 'ada', snapshot), snapshot);
      server = await runningServer({ base });
      const again = await server.user('ada');
      assert.equal((await again.post('meta', META)).json().cont, true);
      assert.equal((await again.post('start', { minUsn: 0, lnewer: false })).status, 200);
      const { notes } = (await again.post('chunk')).json() as { notes: unknown[] };
      assert.equal(notes.length, NOTES);
      await server.close();
    });
  }

  test('with pages overwritten in its middle fails the step that meets them, is rolled back, and stays', async (t) => {
    const base = await folder(t);
    await dataOfAda(base, 3000);
    const path = join(base, 'ada', 'collection.anki2');
    overwrite(path, statSync(path).size >> 1, 40_000);
    // SQLite's header tells the mode of the journal, which is the server's
    const before = readFileSync(path).subarray(100);
    await using server = await runningServer({ base });
    const ada = await server.user('ada');
    assert.equal((await ada.post('meta', META)).json().cont, true);
    let { status } = await ada.post('start', { minUsn: 0, lnewer: false });
    for (let step = 0; status === 200 && step < 100; step++) status = (await ada.post('chunk')).status;
    assert.equal(status, 500);
    const { code, detail = '' } = lastLine(server);
    assert.equal(code, 'COLLECTION_DAMAGED');
    assert.match(detail, /collection\.anki2: SQLITE_CORRUPT.* --snapshot \d{8}T\d{9}Z --base /);
    assert.equal((await ada.post('finish')).status, 409);
    await server.close();
    assert.ok(readFileSync(path).subarray(100).equals(before));
  });

  test('that is damaged may be replaced by an upload, and is kept', async (t) => {
    const base = await folder(t);
    await dataOfAda(base);
    overwrite(join(base, 'ada', 'collection.anki2'), 0, 100);
    const damaged = digest(join(base, 'ada', 'collection.anki2'));
    makeCollection(join(base, 'made.anki2'));
    await using server = await runningServer({ base });
    const ada = await server.user('ada');
    assert.equal((await ada.post('upload', readFileSync(join(base, 'made.anki2')))).text(), 'OK');
    assert.equal((await ada.post('meta', META)).json().cont, true);
    const kept = readdirSync(join(base, 'ada', '.snapshots')).map((name) => digest(join(base, 'ada', '.snapshots', name)));
    assert.ok(kept.includes(damaged));
  });
});

describe('a media index', () => {
  const damages: [string, (path: string) => void][] = [
    ['with its header overwritten', (path) => overwrite(path, 0, 100)],
    ['with its pages overwritten', (path) => overwrite(path, 100, 20_000)],
    ['of no length', (path) => truncateSync(path, 0)],
    ['replaced by a folder', (path) => (rmSync(path), mkdirSync(path))],
  ];
  for (const [name, damage] of damages) {
    test(`${name} stops the media alone, in words, and stays`, async (t) => {
      const base = await folder(t);
      await dataOfAda(base);
      const path = join(base, 'ada', 'media.db');
      damage(path);
      const before = digest(path);
      await using server = await runningServer({ base });
      const ada = await server.user('ada');
      const meta = (await ada.post('meta', META)).json() as { cont: boolean; media_usn: number };
      assert.deepEqual([meta.cont, meta.media_usn], [true, 0]);
      for (const [method, body] of [['begin', { v: 'test' }], ['mediaChanges', { lastUsn: 0 }], ['uploadChanges', uploadZip([['c.png', 'c']])], ['mediaSanity', { local: 2 }]] as const) {
        const answer = (await ada.msync(method, body)).json() as { data: unknown; err: string };
        assert.equal(answer.data, null, method);
        assert.match(answer.err, /Your files on this device are fine\. Please tell whoever runs the server/);
        const { level, code, detail = '' } = lastLine(server);
        assert.deepEqual([level, code], ['error', 'MEDIA_INDEX_DAMAGED']);
        assert.ok(detail.startsWith(`${path}: `), detail);
      }
      assert.equal((await ada.msync('downloadFiles', { files: ['a.png'] })).status, 500);
      await server.close();
      assert.equal(digest(path), before);
      assert.deepEqual(readdirSync(join(base, 'ada', 'media')).sort(), ['a.png', 'b.png']);
    });
  }
});

describe('media files', () => {
  async function withMedia(t: TestContext): Promise<string> {
    const base = await folder(t);
    await dataOfAda(base);
    return base;
  }
  const names = async (server: RunningServer, user = 'ada'): Promise<string[]> => {
    const client = await server.user(user);
    return ((await client.msync('mediaChanges', { lastUsn: 0 })).json() as { data: [string][] }).data.map(([name]) => name);
  };

  for (const [what, change] of [['deleted', rmSync], ['changed to as many other bytes', (path: string) => writeFileSync(path, 'xxxx')]] as const) {
    test(`one that was ${what} is not sent and not told as deleted; it is forgotten aloud, and comes back from a device`, async (t) => {
      const base = await withMedia(t);
      change(join(base, 'ada', 'media', 'a.png'));
      await using server = await runningServer({ base });
      const ada = await server.user('ada');
      assert.equal((await ada.msync('downloadFiles', { files: ['a.png', 'b.png'] })).status, 409);
      const { level, code, detail = '' } = lastLine(server);
      assert.deepEqual([level, code], ['warn', 'MEDIA_FILE_MISSING']);
      assert.match(detail, what === 'deleted' ? /missing on the disk, and forgotten .*\["a\.png"\]/ : /changed on the disk, and forgotten .*\["a\.png"\]/);
      assert.deepEqual(await names(server), ['b.png']);
      assert.equal((await ada.msync('mediaSanity', { local: 2 })).json().data, 'mediaSanity');
      assert.equal((await ada.msync('uploadChanges', uploadZip([['a.png', 'aaaa'], ['b.png', 'bbbb']]))).status, 200);
      assert.equal((await ada.msync('downloadFiles', { files: ['a.png', 'b.png'] })).status, 200);
    });
  }

  for (const [what, lose] of [
    ['missing', (path: string) => rmSync(path, { recursive: true })],
    ['empty', (path: string) => readdirSync(path).forEach((name) => rmSync(join(path, name)))],
  ] as const) {
    test(`a folder that is ${what} stops the media in words; nothing is forgotten, nothing is taken, and it goes on when the folder is back`, async (t) => {
      const base = await withMedia(t);
      const path = join(base, 'ada', 'media');
      execFileSync('cp', ['-a', path, join(base, 'unmounted')]);
      lose(path);
      await using server = await runningServer({ base });
      const ada = await server.user('ada');
      assert.equal((await ada.post('meta', META)).json().cont, true);
      for (const [method, body] of [['begin', { v: 'test' }], ['uploadChanges', uploadZip([['c.png', 'c']])]] as const) {
        assert.match((await ada.msync(method, body)).json().err, /Your media folder on the sync server is missing or empty/, method);
        const { level, code, detail = '' } = lastLine(server);
        assert.deepEqual([level, code], ['error', 'MEDIA_FOLDER_MISSING']);
        assert.match(detail, /is a disk not mounted\?/);
      }
      assert.equal((await ada.msync('downloadFiles', { files: ['a.png', 'b.png'] })).status, 503);
      rmSync(path, { recursive: true, force: true });
      renameSync(join(base, 'unmounted'), path);
      assert.equal((await ada.msync('begin', { v: 'test' })).json().err, '');
      assert.deepEqual(await names(server), ['a.png', 'b.png']);
      assert.equal((await ada.msync('downloadFiles', { files: ['a.png', 'b.png'] })).status, 200);
    });
  }

  test('a folder with files whose index was lost begins a new one with usns that no device has seen', async (t) => {
    const base = await folder(t);
    makeMedia(join(base, 'ada'));
    rmSync(join(base, 'ada', 'media.db'));
    await using server = await runningServer({ base });
    const ada = await server.user('ada');
    const { data } = (await ada.msync('begin', { v: 'test' })).json() as { data: { usn: number } };
    assert.ok(data.usn >= 1_000_000);
    assert.equal(readdirSync(join(base, 'ada', 'media')).length, Object.keys(MEDIA).length);
  });

  describe('of files that all wait to be brought to their places', () => {
    async function waitingFiles(t: TestContext): Promise<string> {
      const base = await folder(t);
      mkdirSync(join(base, 'ada'));
      const user = { userId: 'ada', folder: 'ada' };
      const [store, files] = [new SqliteMediaStore({ base }), new FolderMediaFiles({ base })];
      await uploadChanges({ store, files, user }, uploadZip([['a.png', 'aaaa']]));
      await store.close();
      await files.close();
      assert.deepEqual(readdirSync(join(base, 'ada', 'media')), []);
      return base;
    }

    test('is begun with usns that no device has seen, where it was lost', async (t) => {
      const base = await waitingFiles(t);
      rmSync(join(base, 'ada', 'media.db'));
      await using server = await runningServer({ base });
      const { data } = (await (await server.user('ada')).msync('begin', { v: 'test' })).json() as { data: { usn: number } };
      assert.ok(data.usn >= 1_000_000);
    });

    test('is damaged where it has no bytes, and they stay', async (t) => {
      const base = await waitingFiles(t);
      truncateSync(join(base, 'ada', 'media.db'));
      await using server = await runningServer({ base });
      assert.match((await (await server.user('ada')).msync('begin', { v: 'test' })).json().err, /Please tell whoever runs the server/);
      assert.match(lastLine(server).detail ?? '', /it has no bytes/);
      await server.close();
      assert.notDeepEqual(readdirSync(join(base, 'ada', '.anki-sync-media', 'staged')), []);
    });
  });
});

describe('the database of users', () => {
  test('that is damaged keeps the server from starting, with its name and what to do, and stays', async (t) => {
    const base = await folder(t);
    await dataOfAda(base);
    const path = join(base, '.anki-sync', 'users.db');
    for (const damage of [() => overwrite(path, 0, 100), () => truncateSync(path, 5000), () => truncateSync(path, 0)]) {
      const sound = readFileSync(path);
      damage();
      const before = digest(path);
      await assert.rejects(runningServer({ base }), (error: Error) => error.message.includes(path) && /restore --all --from BACKUP/.test(error.message));
      assert.equal(digest(path), before);
      for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
      writeFileSync(path, sound);
    }
  });

  test('that is damaged while the server runs costs nobody the key', async (t) => {
    const base = await folder(t);
    await dataOfAda(base);
    await using server = await runningServer({ base });
    const ada = await server.user('ada');
    const path = join(base, '.anki-sync', 'users.db');
    writeFileSync(path, Buffer.alloc(statSync(path).size, 0xa5));
    for (let attempt = 0; attempt < 3; attempt++) {
      const { status } = await ada.post('meta', META);
      assert.ok(status === 200 || status === 503, String(status));
    }
    assert.ok(existsSync(path));
  });
});

/** Why no small disk can be had here, or false. */
function whyNoDisk(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'a small disk is mounted for this, which only root may do';
  const at = mkdtempSync(join(tmpdir(), 'anki-sync-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', at], { stdio: 'ignore' });
    execFileSync('umount', [at]);
    return false;
  } catch {
    return 'a small disk is mounted for this, which is not allowed here, even to root';
  } finally {
    rmSync(at, { recursive: true, force: true });
  }
}

describe('a disk', { skip: whyNoDisk() }, () => {
  async function disk(t: TestContext, megs: number): Promise<string> {
    const at = await mkdtemp(join(tmpdir(), 'anki-sync-mount-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megs}m`, 'tmpfs', at]);
    t.after(async () => {
      execFileSync('umount', [at]);
      await rm(at, { recursive: true, force: true });
    });
    return at;
  }

  test('that is full is told when a sync begins, and when something is sent; with space again the same client goes on', async (t) => {
    const at = await disk(t, 8);
    const base = join(at, 'data');
    await dataOfAda(base);
    await using server = await runningServer({ base });
    const ada = await server.user('ada');
    const collection = (await ada.post('download', {}, { version: 10 })).body;
    const before = (await ada.post('meta', META)).json() as { usn: number; mod: number };
    // a copy that was sent is removed when its last byte is, and would leave room
    for (let look = 0; look < 400 && server.stagedFiles().length > 0; look++) await sleep(25);
    const { bavail, bsize } = statfsSync(at);
    writeFileSync(join(at, 'filler'), Buffer.alloc(bavail * bsize - 30_000));
    const told = /The disk of the sync server is full\. Your cards on this device are fine\. Please tell whoever runs the server/;
    assert.match((await ada.post('meta', META)).json().msg, told);
    assert.deepEqual([lastLine(server).level, lastLine(server).code], ['error', 'DISK_FULL']);
    assert.match((await ada.post('upload', collection)).text(), told);
    assert.match((await ada.msync('uploadChanges', uploadZip([['big.png', 'x'.repeat(100_000)]]))).json().err, told);
    rmSync(join(at, 'filler'));
    const after = (await ada.post('meta', META)).json() as { usn: number; mod: number; cont: boolean };
    assert.deepEqual([after.cont, after.usn, after.mod], [true, before.usn, before.mod]);
    assert.equal((await ada.msync('uploadChanges', uploadZip([['big.png', 'x'.repeat(100_000)]]))).status, 200);
    assert.equal((await ada.post('upload', collection)).text(), 'OK');
    assert.deepEqual(server.stagedFiles(), []);
  });

  test('that is read-only keeps the server from starting, and says so; writable again, everything is as it was', async (t) => {
    const at = await disk(t, 8);
    const base = join(at, 'data');
    await dataOfAda(base);
    execFileSync('mount', ['-o', 'remount,ro', at]);
    await assert.rejects(runningServer({ base }), (error: Error) => error.message.includes(base) && /READONLY|EROFS|read-only|cannot be/.test(error.message));
    execFileSync('mount', ['-o', 'remount,rw', at]);
    await using server = await runningServer({ base });
    const ada = await server.user('ada');
    assert.equal((await ada.post('meta', META)).json().cont, true);
    assert.equal((await ada.msync('downloadFiles', { files: ['a.png', 'b.png'] })).status, 200);
  });
});
