import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { mediaChanges, type MediaChangeRow } from '../../lib/media/changes.ts';
import { downloadFiles } from '../../lib/media/download.ts';
import { mediaSanity } from '../../lib/media/sanity-check.ts';
import { readZip } from './read-zip.ts';
import { ada, download, PLUGS, put, withMedia } from './user-media.ts';

const MiB = 1024 * 1024;

for (const plugs of PLUGS) {
  describe(`a download from ${plugs}`, () => {
    it('has the files in the order they were asked for, stored, with their names in _meta', () =>
      withMedia(plugs, async (media) => {
        await put(media, ['a.png', 'a'], ['漢字 👩‍🔬.jpg', 'b'], ['__proto__', 'c'], ['_meta', 'd']);
        const names = ['_meta', '漢字 👩‍🔬.jpg', 'a.png', '__proto__'];
        const zip = await readZip(await download(media, names));
        assert.deepEqual(zip.names, names);
        assert.deepEqual(zip.entries, ['0', '1', '2', '3', '_meta']);
        assert.deepEqual(zip.compressionMethods, [0, 0, 0, 0, 0]);
        assert.deepEqual(names.map((name) => zip.contents[name]!.toString()), ['d', 'b', 'a', 'c']);
      }));

    it('of no files is a zip with an empty _meta', () =>
      withMedia(plugs, async (media) => {
        const zip = await readZip(await download(media, []));
        assert.deepEqual([zip.entries, zip.names], [['_meta'], []]);
      }));

    it('of 25 files is answered, of 26 refused', () =>
      withMedia(plugs, async (media) => {
        const names = Array.from({ length: 26 }, (_, index) => `${index}.png`);
        await put(media, ...names.slice(0, 25).map((name): [string, string] => [name, name]));
        await put(media, [names[25]!, 'x']);
        assert.deepEqual((await readZip(await download(media, names.slice(0, 25)))).names, names.slice(0, 25));
        await assert.rejects(downloadFiles(media, names), { code: 'MEDIA_TOO_MANY_FILES', status: 400 });
      }));

    it('ends with the file that passes 2.5 MiB', () =>
      withMedia(plugs, async (media) => {
        await put(media, ['half', randomBytes(1.25 * MiB)], ['other half', randomBytes(1.25 * MiB)], ['byte', 'x'], ['more', 'y']);
        assert.deepEqual((await readZip(await download(media, ['half', 'other half', 'byte', 'more']))).names, ['half', 'other half', 'byte']);
        assert.deepEqual((await readZip(await download(media, ['half', 'byte', 'other half', 'more']))).names, ['half', 'byte', 'other half']);
      }));

    it('of a big file is a file with the size that is said', () =>
      withMedia(plugs, async (media) => {
        const big = randomBytes(20_000_000);
        await put(media, ['small', 'small'], ['big', big], ['next', 'next']);
        const zip = await readZip(await download(media, ['small', 'big', 'next']));
        assert.deepEqual(zip.names, ['small', 'big']);
        assert.ok(zip.contents['big']!.equals(big));
        const answer = await downloadFiles(media, ['big']);
        assert.equal(answer.kind, 'file');
        if (answer.kind === 'file') await rm(answer.path);
        assert.deepEqual(await readdir(await media.files.stagingFolder(ada)), []);
      }));

    it('of an unknown or deleted file is a conflict, wherever it stands', () =>
      withMedia(plugs, async (media) => {
        await put(media, ['a.png', 'a'], ['gone.png', 'gone']);
        await put(media, ['gone.png', null]);
        for (const names of [['unknown.png'], ['gone.png'], ['a.png', 'unknown.png'], ['gone.png', 'a.png'], ['../a.png'], ['']]) {
          await assert.rejects(downloadFiles(media, names), { code: 'MEDIA_FILE_MISSING', status: 409 }, names.join());
        }
        assert.equal((await media.store.totals(ada)).lastUsn, 3);
      }));

    it('does not mind a missing file behind its end', () =>
      withMedia(plugs, async (media) => {
        await put(media, ['big', randomBytes(3 * MiB)]);
        assert.deepEqual((await readZip(await download(media, ['big', 'unknown.png']))).names, ['big']);
      }));
  });
}

describe('a download of files whose bytes are gone', () => {
  it('is a conflict, and they are forgotten without a deletion, so that the next one gets past them', () =>
    withMedia('SQLite and a folder', async (media, base) => {
      await put(media, ['a.png', 'a'], ['lost.png', 'lost'], ['torn.png', 'torn'], ['short.png', 'short'], ['b.png', 'b']);
      await rm(join(base, 'ada', 'media', 'lost.png'));
      await truncate(join(base, 'ada', 'media', 'torn.png'), 0);
      await truncate(join(base, 'ada', 'media', 'short.png'), 2);
      await assert.rejects(downloadFiles(media, ['a.png', 'lost.png', 'torn.png', 'short.png', 'b.png']), { code: 'MEDIA_FILE_MISSING' });
      assert.deepEqual((JSON.parse(await mediaChanges(media.store, ada, 0)) as MediaChangeRow[]).map(([name]) => name), ['a.png', 'b.png']);
      assert.equal((await media.store.totals(ada)).lastUsn, 5);
      assert.equal(await mediaSanity(media.store, ada, 2), 'OK');
      assert.deepEqual((await readZip(await download(media, ['a.png', 'b.png']))).names, ['a.png', 'b.png']);
      assert.deepEqual(await put(media, ['lost.png', 'lost']), [1, 6]);
    }));
});
