import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { mediaFilesSuite } from '../../../lib/conformance/media-files.ts';
import openFiles, { FolderMediaFiles } from '../../../lib/storage/files/folder.ts';
import type { MediaFiles } from '../../../lib/storage/storage.ts';

const ada = { userId: 'ada', folder: 'ada' };

async function withBase(body: (base: string) => Promise<void>): Promise<void> {
  const base = await mkdtemp(join(tmpdir(), 'media-files-'));
  try {
    await body(base);
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}

async function put(files: MediaFiles, name: string, content: string): Promise<void> {
  const path = join(await files.stagingFolder(ada), 'waiting');
  await writeFile(path, content);
  const sha1 = hash('sha1', content);
  await files.stage(ada, [{ name, sha1, path, offset: 0, bytes: content.length }]);
  await files.settle(ada, [{ name, sha1, bytes: content.length }]);
  await files.discardStaged(ada);
}

for (const caseInsensitive of [undefined, true]) {
  mediaFilesSuite(caseInsensitive ? 'FolderMediaFiles that minds upper and lower case' : 'FolderMediaFiles', async () => {
    const base = await mkdtemp(join(tmpdir(), 'media-files-'));
    const options = { base, ...(caseInsensitive ? { caseInsensitive } : {}) };
    const files = new FolderMediaFiles(options);
    return {
      files,
      reopen: async () => new FolderMediaFiles(options),
      done: () => rm(base, { recursive: true, force: true }),
    };
  });
}

describe('the media folder', () => {
  it('holds one file per media name, under that name', () =>
    withBase(async (base) => {
      const files = openFiles({ base });
      await put(files, 'Ä b.png', 'content');
      assert.deepEqual(await readdir(join(base, 'ada', 'media')), ['Ä b.png']);
      assert.equal(await readFile(join(base, 'ada', 'media', 'Ä b.png'), 'utf8'), 'content');
      assert.deepEqual((await readdir(join(base, 'ada'))).sort(), ['.anki-sync-media', 'media']);
    }));

  it('serves files that Anki\'s server or a user put there', () =>
    withBase(async (base) => {
      await mkdir(join(base, 'ada', 'media'), { recursive: true });
      await writeFile(join(base, 'ada', 'media', 'old.png'), 'old');
      const found = await openFiles({ base }).read(ada, 'old.png', hash('sha1', 'old'));
      assert.deepEqual(found, { path: join(base, 'ada', 'media', 'old.png'), offset: 0, bytes: 3 });
    }));

  it('gives an empty file for lost, since no media file is empty', () =>
    withBase(async (base) => {
      await mkdir(join(base, 'ada', 'media'), { recursive: true });
      await writeFile(join(base, 'ada', 'media', 'torn.png'), '');
      assert.equal(await openFiles({ base }).read(ada, 'torn.png', hash('sha1', 'torn')), null);
    }));

  it('never lets a name become a path', () =>
    withBase(async (base) => {
      await writeFile(join(base, 'secret'), 'secret');
      const files = openFiles({ base });
      for (const name of ['../../secret', '..', '.', '', 'a/b', 'a\0b', '\ud800']) {
        await assert.rejects(files.read(ada, name, 'x'), JSON.stringify(name));
        await assert.rejects(files.settle(ada, [{ name, deleted: true }]), JSON.stringify(name));
      }
      assert.equal(await readFile(join(base, 'secret'), 'utf8'), 'secret');
    }));

  it('gives way to a folder of the same name that somebody made', () =>
    withBase(async (base) => {
      await mkdir(join(base, 'ada', 'media', 'sub'), { recursive: true });
      await writeFile(join(base, 'ada', 'media', 'sub', 'mine'), 'mine');
      const files = openFiles({ base });
      await put(files, 'sub', 'content');
      const found = await files.read(ada, 'sub', hash('sha1', 'content'));
      assert.equal(await readFile(found!.path, 'utf8'), 'content');
      assert.equal(await readFile(join(base, 'ada', 'media', 'sub', 'mine'), 'utf8'), 'mine');
    }));

  it('does not mix names that a file system takes for one', () =>
    withBase(async (base) => {
      const files = new FolderMediaFiles({ base, caseInsensitive: true });
      await put(files, 'a.png', 'small');
      // what such a file system answers for the other name
      await symlink('a.png', join(base, 'ada', 'media', 'A.png'));
      assert.equal(await files.read(ada, 'A.png', hash('sha1', 'small')), null);
      await put(files, 'A.png', 'capital');
      for (const [name, content] of [['a.png', 'small'], ['A.png', 'capital']] as const) {
        const found = await files.read(ada, name, hash('sha1', content));
        assert.equal(await readFile(found!.path, 'utf8'), content);
      }
      await files.settle(ada, [{ name: 'A.png', deleted: true }]);
      assert.equal(await files.read(ada, 'A.png', hash('sha1', 'capital')), null);
      assert.equal(await readFile(join(base, 'ada', 'media', 'a.png'), 'utf8'), 'small');
    }));
});

describe('the staging folder', () => {
  it('loses what an earlier process left there', () =>
    withBase(async (base) => {
      const folder = await openFiles({ base }).stagingFolder(ada);
      await writeFile(join(folder, 'left'), 'left');
      await mkdir(join(folder, 'left too'));
      await writeFile(join(folder, 'left too', '0'), 'left');
      await writeFile(join(folder, 'being received'), 'half');
      const before = new Date(Date.now() - process.uptime() * 1000 - 60_000);
      for (const name of ['left', 'left too']) await utimes(join(folder, name), before, before);
      await openFiles({ base }).stagingFolder(ada);
      assert.deepEqual(await readdir(folder), ['being received']);
    }));

  it('drops an upload once all of its files are in their places, and no part of it before', () =>
    withBase(async (base) => {
      const files = openFiles({ base });
      const incoming = await files.stagingFolder(ada);
      const sha1Of = (name: string): string => hash('sha1', name);
      const settle = (name: string): Promise<void> => files.settle(ada, [{ name, sha1: sha1Of(name), bytes: name.length }]);
      const suffixes = async (): Promise<string[]> =>
        (await readdir(join(base, 'ada', '.anki-sync-media', 'staged'))).map((name) => name.slice(36)).sort();
      for (const name of ['one', 'two']) await writeFile(join(incoming, name), name);
      await files.stage(ada, ['one', 'two'].map((name) => ({ name, sha1: sha1Of(name), path: join(incoming, name), offset: 0, bytes: 3 })));
      await files.stageBytes!(ada, Buffer.from('abc'), [{ name: 'abc', sha1: sha1Of('abc'), offset: 0, bytes: 3 }]);
      await settle('one');
      assert.deepEqual(await suffixes(), ['-0.pack', '-1.pack', '.json', '.log']);
      assert.equal((await openFiles({ base }).read(ada, 'two', sha1Of('two')))?.bytes, 3);
      await settle('two');
      assert.deepEqual(await suffixes(), ['.log']);
      await settle('abc');
      assert.deepEqual(await suffixes(), []);
      await files.stageBytes!(ada, Buffer.from('xyz'), [{ name: 'xyz', sha1: sha1Of('xyz'), offset: 0, bytes: 3 }]);
      assert.equal((await openFiles({ base }).read(ada, 'xyz', sha1Of('xyz')))?.bytes, 3);
      await files.close();
    }));

  it('ignores lists that a crash left unfinished, or without their bytes', () =>
    withBase(async (base) => {
      await openFiles({ base }).stagingFolder(ada);
      const staged = join(base, 'ada', '.anki-sync-media', 'staged');
      const sha1 = hash('sha1', 'a');
      const list = JSON.stringify([{ name: 'a.png', sha1, pack: 'x-0.pack', offset: 0, bytes: 1 }]);
      await writeFile(join(staged, 'x.json'), list);
      await writeFile(join(staged, 'y.json'), list.slice(0, 20));
      await writeFile(join(staged, 'z.json'), '');
      const files = openFiles({ base });
      assert.equal(await files.read(ada, 'a.png', sha1), null);
      await files.discardStaged(ada);
      assert.deepEqual(await readdir(staged), []);
    }));
});
