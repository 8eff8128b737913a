import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { mediaChanges, type MediaChangeRow } from '../../lib/media/changes.ts';
import { uploadChanges } from '../../lib/media/upload.ts';
import { settleMedia, type UserMedia } from '../../lib/media/user-media.ts';
import { UPLOADS } from './hostile-uploads.ts';
import { entry, rawUpload, rawZip, uploadZip } from './raw-zip.ts';
import { readZip } from './read-zip.ts';
import { ada, bytesOf, download, PLUGS, put, stateOf, upload, withMedia } from './user-media.ts';

for (const plugs of PLUGS) {
  describe(`an upload to ${plugs}`, () => {
    it('adds, replaces and deletes, each with its usn', () =>
      withMedia(plugs, async (media) => {
        assert.deepEqual(await put(media, ['a.png', 'a'], ['b.png', 'b'], ['c.png', 'c']), [3, 3]);
        assert.deepEqual(await put(media, ['a.png', 'A!'], ['b.png', null], ['d.png', 'd']), [3, 6]);
        assert.deepEqual(JSON.parse(await mediaChanges(media.store, ada, 0)) as MediaChangeRow[], [
          ['c.png', 3, hash('sha1', 'c')],
          ['a.png', 4, hash('sha1', 'A!')],
          ['b.png', 5, ''],
          ['d.png', 6, hash('sha1', 'd')],
        ]);
        assert.deepEqual((await stateOf(media) as { contents: unknown }).contents, { 'c.png': 'c', 'a.png': 'A!', 'b.png': null, 'd.png': 'd' });
        assert.deepEqual(await media.store.totals(ada), { lastUsn: 6, totalBytes: 4, fileCount: 3 });
      }));

    it('counts identical files and names already deleted as processed, without a usn', () =>
      withMedia(plugs, async (media) => {
        await put(media, ['a.png', 'a'], ['b.png', 'b']);
        await put(media, ['b.png', null]);
        const before = await stateOf(media);
        assert.deepEqual(await put(media, ['a.png', 'a'], ['b.png', null], ['never.png', null]), [3, 3]);
        assert.deepEqual(await stateOf(media), before);
      }));

    it('of the bytes that were deleted brings the file back', () =>
      withMedia(plugs, async (media) => {
        await put(media, ['a.png', 'a']);
        await put(media, ['a.png', null]);
        assert.deepEqual(await put(media, ['a.png', 'a']), [1, 3]);
        assert.deepEqual((await stateOf(media) as { contents: unknown }).contents, { 'a.png': 'a' });
      }));

    it('is served and built upon before its files are settled', () =>
      withMedia(plugs, async (media) => {
        await put(media, ['a.png', 'old'], ['b.png', 'b']);
        assert.deepEqual(await uploadUnsettled(media, ['a.png', 'new'], ['b.png', null], ['c.png', 'c']), [3, 5]);
        const found = await media.files.read(ada, 'a.png', hash('sha1', 'new'));
        assert.equal((await bytesOf(found!)).toString(), 'new');
        assert.deepEqual(await uploadUnsettled(media, ['c.png', 'c!'], ['a.png', 'new'], ['b.png', 'b']), [3, 7]);
        assert.deepEqual(await uploadUnsettled(media, ['b.png', null]), [1, 8]);
        const zip = await readZip(await download(media, ['a.png', 'c.png']));
        assert.deepEqual([zip.contents['a.png']!.toString(), zip.contents['c.png']!.toString()], ['new', 'c!']);
        await assert.rejects(download(media, ['b.png']), { code: 'MEDIA_FILE_MISSING' });
        await settleMedia(media);
        assert.equal(await media.files.read(ada, 'b.png', hash('sha1', 'b')), null);
        assert.equal((await readZip(await download(media, ['a.png']))).contents['a.png']!.toString(), 'new');
      }));

    it('leaves nothing in the staging folder, whatever becomes of it', () =>
      withMedia(plugs, async (media) => {
        const folder = await media.files.stagingFolder(ada);
        const twice = uploadZip([['a.png', 'a'], ['a.png', 'b'], ['b.png', 'b']], { deflate: true });
        const damaged = rawUpload('[["c.png","0"],["d.png","1"]]', [entry('0', 'c', { deflate: true }), entry('1', '')]);
        await upload(media, twice);
        await upload(media, twice);
        await assert.rejects(upload(media, damaged));
        assert.deepEqual(await readdir(folder), []);
      }));

    for (const { sentence, zip, answer } of UPLOADS) {
      it(`of ${sentence} is ${typeof answer === 'string' ? `refused with ${answer}` : 'accepted'}`, () =>
        withMedia(plugs, async (media) => {
          if (typeof answer === 'string') {
            const before = await stateOf(media);
            await assert.rejects(upload(media, zip()), { code: answer, status: 400 });
            assert.deepEqual(await stateOf(media), before);
          } else {
            assert.deepEqual(await upload(media, zip()), answer);
            assert.equal((await media.store.totals(ada)).lastUsn, answer[1]);
          }
        }));
    }

    it('with one bad entry among good ones applies none of them', () =>
      withMedia(plugs, async (media) => {
        await put(media, ['kept.png', 'kept'], ['replaced.png', 'old']);
        const before = await stateOf(media);
        const good = ['["new.png","0"]', '["replaced.png","0"]', '["kept.png",null]'];
        for (const [bad, more] of [
          ['["x/y","0"]', entry('1', 'x')],
          ['["x","1"]', entry('1', '')],
          ['["x","1"]', entry('1', 'x', { claimedCrc32: 5 })],
          ['["x","1"]', entry('1', 'x', { flags: 1 })],
          ['["x","2"]', entry('1', 'x')],
        ] as const) {
          for (const meta of [[...good, bad], [bad, ...good]]) {
            await assert.rejects(upload(media, rawUpload(`[${meta.join(',')}]`, [entry('0', 'new'), more])), { status: 400 });
            assert.deepEqual(await stateOf(media), before);
          }
        }
      }));

    it('takes a file of 20 MB, stored or deflated, byte by byte', () =>
      withMedia(plugs, async (media) => {
        const content = randomBytes(20_000_000);
        await upload(media, uploadZip([['stored.bin', content]]));
        await upload(media, uploadZip([['deflated.bin', content]], { deflate: true }));
        for (const name of ['stored.bin', 'deflated.bin']) {
          const found = await media.files.read(ada, name, hash('sha1', content));
          assert.ok((await bytesOf(found!)).equals(content), name);
        }
      }));
  });
}

describe('an upload', () => {
  it('that unpacks to far more than clients send is refused before it is unpacked', () =>
    withMedia('memory', async (media) => {
      const bomb = entry('0', Buffer.alloc(100 * 1024 * 1024), { deflate: true });
      const meta = JSON.stringify(Array.from({ length: 25 }, (_, index) => [`${index}.bin`, '0']));
      await assert.rejects(upload(media, rawUpload(meta, [bomb])), { code: 'MEDIA_ZIP_INVALID' });
      assert.equal((await media.store.totals(ada)).lastUsn, 0);
    }));

  it('whose deflated entry holds more than it claims is stopped at what it claims', () =>
    withMedia('memory', async (media) => {
      const liar = entry('0', Buffer.alloc(50 * 1024 * 1024), { deflate: true, claimedBytes: 100 });
      await assert.rejects(upload(media, rawUpload('[["a.bin","0"]]', [liar])), { code: 'MEDIA_ZIP_INVALID' });
    }));

  it('with thousands of entries is refused before they are listed', () =>
    withMedia('memory', async (media) => {
      const entries = Array.from({ length: 1100 }, (_, index) => entry(String(index), 'x'));
      await assert.rejects(upload(media, rawZip([...entries, entry('_meta', '[]')])), { code: 'MEDIA_ZIP_INVALID' });
      await assert.rejects(upload(media, rawZip([entry('_meta', '[]')], { claimedEntries: 900 })), { code: 'MEDIA_ZIP_INVALID' });
    }));

  it('never writes to a path that an entry or a name spells', () =>
    withMedia('SQLite and a folder', async (media, base) => {
      await upload(media, rawUpload('[["a.png","../../../escaped"]]', [entry('../../../escaped', 'a'), entry('/tmp/escaped', 'b')]));
      await assert.rejects(put(media, ['../../escaped', 'a']));
      assert.deepEqual(await readdir(base), ['ada']);
      assert.deepEqual(await readdir(join(base, 'ada', 'media')), ['a.png']);
    }));

  it('replaces a file that somebody put into the folder without the index', () =>
    withMedia('SQLite and a folder', async (media, base) => {
      await mkdir(join(base, 'ada', 'media'), { recursive: true });
      await writeFile(join(base, 'ada', 'media', 'a.png'), 'stray');
      // of an index that was lost while its files stayed, devices may know any usn
      assert.deepEqual(await put(media, ['a.png', 'a']), [1, 1_000_001]);
      assert.equal(await readFile(join(base, 'ada', 'media', 'a.png'), 'utf8'), 'a');
    }));

  it('that fails on our side is no fault of the client, and changes nothing', () =>
    withMedia('SQLite and a folder', async (media) => {
      await put(media, ['a.png', 'old']);
      const before = await stateOf(media);
      const full = Object.assign(new Error('no space left'), { code: 'ENOSPC', syscall: 'write' });
      const failing = [
        { ...media, files: overriding(media.files, { stage: () => Promise.reject(full) }) },
        { ...media, store: overriding(media.store, { apply: () => Promise.reject(full) }) },
      ];
      for (const broken of failing) {
        await assert.rejects(upload(broken, uploadZip([['a.png', 'new'], ['b.png', 'b']])), full);
        assert.deepEqual(await stateOf(media), before);
      }
    }));

  it('that fails does not take back an earlier one that is not settled', () =>
    withMedia('SQLite and a folder', async (media, base) => {
      await put(media, ['a.png', 'old'], ['b.png', 'b']);
      await uploadUnsettled(media, ['a.png', 'new'], ['b.png', null], ['c.png', 'c']);
      const full = Object.assign(new Error('no space left'), { code: 'ENOSPC', syscall: 'write' });
      const broken = { ...media, store: overriding(media.store, { apply: () => Promise.reject(full) }) };
      await assert.rejects(uploadUnsettled(broken, ['a.png', 'newest'], ['d.png', 'd']), full);
      await assert.rejects(uploadUnsettled(media, ['x/y', 'x']));
      await settleMedia(media);
      assert.deepEqual((await readdir(join(base, 'ada', 'media'))).sort(), ['a.png', 'c.png']);
      assert.equal(await readFile(join(base, 'ada', 'media', 'a.png'), 'utf8'), 'new');
    }));

  it('whose files could not be settled is served all the same, and settled later', () =>
    withMedia('SQLite and a folder', async (media, base) => {
      await put(media, ['a.png', 'old'], ['b.png', 'b']);
      const broken = { ...media, files: overriding(media.files, { settle: () => Promise.reject(new Error('disk')) }) };
      await assert.rejects(put(broken, ['a.png', 'new'], ['b.png', null], ['c.png', 'c']), /disk/);
      assert.equal((await readZip(await download(media, ['a.png', 'c.png']))).contents['a.png']!.toString(), 'new');
      await put(media, ['d.png', 'd']);
      assert.deepEqual((await readdir(join(base, 'ada', 'media'))).sort(), ['a.png', 'c.png', 'd.png']);
      assert.equal(await readFile(join(base, 'ada', 'media', 'a.png'), 'utf8'), 'new');
      assert.deepEqual(await media.store.unsettled(ada), []);
    }));

  it('settles the oldest of what many others left, and no more than it must', () =>
    withMedia('SQLite and a folder', async (alone, base) => {
      const media = { ...alone, unsettledUsers: 20 };
      await put(media, ['first.png', 'first']);
      await uploadUnsettled(media, ['a.png', 'a']);
      const changes = Array.from({ length: 999 }, (_, index) => ({ name: `${index}.png`, sha1: hash('sha1', 'gone'), bytes: 4 }));
      await media.store.apply(ada, changes);
      await uploadUnsettled(media, ['b.png', 'b']);
      assert.deepEqual(await readdir(join(base, 'ada', 'media')), ['first.png']);
      await uploadUnsettled(media, ['c.png', 'c']);
      assert.deepEqual((await readdir(join(base, 'ada', 'media'))).sort(), ['a.png', 'first.png']);
      const { names } = await media.store.unsettledTotals(ada);
      assert.ok(names > 500 && names < 1000, `${names} wait`);
      await settleMedia(media);
      assert.deepEqual((await readdir(join(base, 'ada', 'media'))).sort(), ['a.png', 'b.png', 'c.png', 'first.png']);
      assert.deepEqual(await media.store.unsettledTotals(ada), { names: 0, bytes: 0 });
    }));

  it('settles what was left by big ones before it', () =>
    withMedia('SQLite and a folder', async (media, base) => {
      await uploadUnsettled(media, ['big.bin', Buffer.alloc(65 * 1024 * 1024, 'x')]);
      await uploadUnsettled(media, ['big too.bin', Buffer.alloc(65 * 1024 * 1024, 'y')]);
      assert.deepEqual(await readdir(join(base, 'ada', 'media')), []);
      await uploadUnsettled(media, ['a.png', 'a']);
      assert.deepEqual((await readdir(join(base, 'ada', 'media'))).sort(), ['big too.bin', 'big.bin']);
    }));
});

async function uploadUnsettled(media: UserMedia, ...changes: Parameters<typeof uploadZip>[0]): Promise<unknown> {
  const path = join(await media.files.stagingFolder(ada), 'body');
  await writeFile(path, uploadZip(changes));
  return uploadChanges(media, path);
}

/** The plug with some of its methods replaced. */
function overriding<Plug extends object>(plug: Plug, methods: Partial<Plug>): Plug {
  return new Proxy(plug, {
    get: (target, key) => {
      const value = Reflect.get(methods, key) ?? Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
