/** What every `MediaFiles` must do, as tests for `node:test`. */
import assert from 'node:assert/strict';
import { hash, randomUUID } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { MediaChange, MediaFiles, UserPlace } from '../storage/storage.ts';

/** One store to be tested, fresh for each test. */
export interface MediaFilesUnderTest {
  files: MediaFiles;
  /** Lets go of the store without any farewell and opens another one on the same data. Left out where nothing rests. */
  reopen?: () => Promise<MediaFiles>;
  /** Closes and removes everything. */
  done: () => Promise<void>;
}

const ada: UserPlace = { userId: 'ada', folder: 'ada' };
const bob: UserPlace = { userId: 'bob', folder: 'bob' };

/** Names that clients may send, and that some medium cannot hold. */
const ODD_NAMES = [
  'a\\b.png', 'con.png', 'NUL', 'trailing.', 'trailing ', ' ', '-', '~', '...', '.hidden', 'a:b', 'a*?"<>|',
  'line\nbreak', 'tab\t', '\u0001',
  '%2e%2e%2f', 'Ä.png', 'ä.png', 'A.png', 'a.png', 'İ.png', 'ß.png', 'SS.png', '漢字.mp3', '👩‍🔬.jpg',
  'x'.repeat(255), '漢'.repeat(85),
  'media', 'media.db', 'collection.anki2', '.anki-sync-media', 'staged', 'incoming', 'constructor', '__proto__',
];

function change(name: string, content: string): MediaChange & { deleted?: false } {
  return { name, sha1: hash('sha1', content), bytes: Buffer.byteLength(content) };
}

function deleted(name: string): MediaChange {
  return { name, deleted: true };
}

/** Stages the contents as an upload has them: one behind the other in one file, between other bytes. */
async function stage(files: MediaFiles, user: UserPlace, contents: [name: string, content: string][]): Promise<void> {
  const path = join(await files.stagingFolder(user), randomUUID());
  let whole = Buffer.from('before');
  const staged = contents.map(([name, content]) => {
    const offset = whole.length;
    whole = Buffer.concat([whole, Buffer.from(`${content}between`)]);
    return { name, sha1: hash('sha1', content), path, offset, bytes: Buffer.byteLength(content) };
  });
  await writeFile(path, whole);
  await files.stage(user, staged);
  await rm(path, { force: true });
}

async function put(files: MediaFiles, user: UserPlace, contents: [name: string, content: string][]): Promise<void> {
  await stage(files, user, contents);
  await files.settle(user, contents.map(([name, content]) => change(name, content)));
  await files.discardStaged(user);
}

/** The content that is read for what was once `content`, or null. */
async function read(files: MediaFiles, user: UserPlace, name: string, content: string): Promise<string | null> {
  const found = await files.read(user, name, hash('sha1', content));
  if (found === null) return null;
  const text = (await readFile(found.path)).toString('utf8', found.offset, found.offset + found.bytes);
  assert.equal(Buffer.byteLength(text), found.bytes);
  return text;
}

export function mediaFilesSuite(title: string, make: () => Promise<MediaFilesUnderTest>): void {
  const test = (sentence: string, body: (files: MediaFiles) => Promise<void>): void => {
    it(sentence, async () => {
      const under = await make();
      try {
        await body(under.files);
      } finally {
        await under.done();
      }
    });
  };
  const testReopening = (sentence: string, body: (files: MediaFiles, reopen: () => Promise<MediaFiles>) => Promise<void>): void => {
    it(sentence, async (context) => {
      const under = await make();
      try {
        if (under.reopen === undefined) context.skip('nothing rests');
        else await body(under.files, under.reopen);
      } finally {
        await under.done();
      }
    });
  };

  describe(`${title} is a MediaFiles`, () => {
    test('an unknown file is null', async (files) => {
      assert.equal(await read(files, ada, 'a.png', 'a'), null);
    });

    test('a file can be read from when it is staged', async (files) => {
      await stage(files, ada, [['a.png', 'a']]);
      assert.equal(await read(files, ada, 'a.png', 'a'), 'a');
      await files.settle(ada, [change('a.png', 'a')]);
      assert.equal(await read(files, ada, 'a.png', 'a'), 'a');
    });

    test('a small upload can be read from when it is staged, and settles like any other', async (files) => {
      if (files.stageBytes === undefined) return;
      const whole = Buffer.from('before one between two after');
      const place = (name: string, content: string) => ({ name, sha1: hash('sha1', content), offset: whole.indexOf(content), bytes: content.length });
      await files.stageBytes(ada, whole, [place('a.png', 'one')]);
      await files.stageBytes(ada, whole, [place('b.png', 'two')]);
      whole.fill(0);
      assert.equal(await read(files, ada, 'a.png', 'one'), 'one');
      assert.equal(await read(files, ada, 'b.png', 'two'), 'two');
      await files.settle(ada, [change('a.png', 'one'), change('b.png', 'two')]);
      await files.discardStaged(ada);
      assert.equal(await read(files, ada, 'a.png', 'one'), 'one');
      assert.equal(await read(files, ada, 'b.png', 'two'), 'two');
    });

    test('what is settled little by little is read from its place, what is left from where it is staged', async (files) => {
      await stage(files, ada, [['a.png', 'a'], ['b.png', 'b']]);
      await stage(files, ada, [['a.png', 'newer'], ['c.png', 'c']]);
      const contents: [string, string][] = [['a.png', 'newer'], ['b.png', 'b'], ['c.png', 'c']];
      for (const [name, content] of contents) {
        await files.settle(ada, [change(name, content)]);
        for (const [other, its] of contents) assert.equal(await read(files, ada, other, its), its);
      }
    });

    test('staging does not touch the current file of that name', async (files) => {
      await put(files, ada, [['a.png', 'old']]);
      await stage(files, ada, [['a.png', 'new']]);
      assert.equal(await read(files, ada, 'a.png', 'old'), 'old');
      assert.equal(await read(files, ada, 'a.png', 'new'), 'new');
    });

    test('settling replaces the file', async (files) => {
      await put(files, ada, [['a.png', 'old'], ['b.png', 'b']]);
      await put(files, ada, [['a.png', 'new']]);
      assert.equal(await read(files, ada, 'a.png', 'new'), 'new');
      assert.equal(await read(files, ada, 'b.png', 'b'), 'b');
    });

    test('settling removes deleted files, and does not mind those that are gone', async (files) => {
      await put(files, ada, [['a.png', 'a'], ['b.png', 'b']]);
      await files.settle(ada, [deleted('a.png'), deleted('never seen')]);
      assert.equal(await read(files, ada, 'a.png', 'a'), null);
      assert.equal(await read(files, ada, 'b.png', 'b'), 'b');
    });

    test('settling again changes nothing, whether all or a part was done', async (files) => {
      await put(files, ada, [['gone', 'gone'], ['replaced', 'old']]);
      await stage(files, ada, [['replaced', 'new'], ['added', 'added']]);
      const changes = [deleted('gone'), change('replaced', 'new'), change('added', 'added')];
      await files.settle(ada, changes.slice(0, 2));
      await files.settle(ada, changes);
      await files.settle(ada, changes);
      await files.discardStaged(ada);
      await files.settle(ada, changes);
      assert.equal(await read(files, ada, 'gone', 'gone'), null);
      assert.equal(await read(files, ada, 'replaced', 'new'), 'new');
      assert.equal(await read(files, ada, 'added', 'added'), 'added');
    });

    test('discarded files are gone, current ones stay', async (files) => {
      await put(files, ada, [['a.png', 'old']]);
      await stage(files, ada, [['a.png', 'new'], ['b.png', 'b']]);
      await files.discardStaged(ada);
      assert.equal(await read(files, ada, 'b.png', 'b'), null);
      assert.equal(await read(files, ada, 'a.png', 'old'), 'old');
      await files.settle(ada, [change('b.png', 'b')]);
      assert.equal(await read(files, ada, 'b.png', 'b'), null);
    });

    test('what lies in several files is staged at once', async (files) => {
      const folder = await files.stagingFolder(ada);
      for (const name of ['one', 'two']) await writeFile(join(folder, name), name);
      const staged = ['one', 'two'].map((name) => ({ name, sha1: hash('sha1', name), path: join(folder, name), offset: 0, bytes: 3 }));
      await files.stage(ada, staged);
      for (const name of ['one', 'two']) await rm(join(folder, name), { force: true });
      for (const name of ['one', 'two']) assert.equal(await read(files, ada, name, name), name);
      await files.settle(ada, [change('one', 'one'), change('two', 'two')]);
      await files.discardStaged(ada);
      for (const name of ['one', 'two']) assert.equal(await read(files, ada, name, name), name);
    });

    test('files of the same content are independent', async (files) => {
      await put(files, ada, [['a.png', 'same'], ['b.png', 'same']]);
      await files.settle(ada, [deleted('a.png')]);
      assert.equal(await read(files, ada, 'b.png', 'same'), 'same');
    });

    test('every name that clients may send is kept apart from every other', async (files) => {
      await put(files, ada, ODD_NAMES.map((name) => [name, `content of ${name}`]));
      for (const name of ODD_NAMES) {
        assert.equal(await read(files, ada, name, `content of ${name}`), `content of ${name}`, JSON.stringify(name));
      }
      await put(files, ada, ODD_NAMES.map((name) => [name, `new ${name}`]));
      for (const [index, name] of ODD_NAMES.entries()) {
        assert.equal(await read(files, ada, name, `new ${name}`), `new ${name}`, JSON.stringify(name));
        await files.settle(ada, [deleted(name)]);
        for (const [at, other] of ODD_NAMES.entries()) {
          assert.equal((await read(files, ada, other, `new ${other}`)) === null, at <= index, JSON.stringify([name, other]));
        }
      }
    });

    test('what waits in the staging folder survives other calls', async (files) => {
      const path = join(await files.stagingFolder(ada), 'being-received');
      await writeFile(path, 'half');
      await put(files, ada, [['a.png', 'a']]);
      await files.discardStaged(ada);
      await files.release(ada);
      await files.stagingFolder(ada);
      assert.equal(await readFile(path, 'utf8'), 'half');
    });

    test('a file that cannot be staged leaves the others unstaged', async (files) => {
      await put(files, ada, [['a.png', 'old']]);
      const folder = await files.stagingFolder(ada);
      await writeFile(join(folder, 'new'), 'new');
      await assert.rejects(
        files.stage(ada, [
          { name: 'b.png', sha1: hash('sha1', 'new'), path: join(folder, 'new'), offset: 0, bytes: 3 },
          { name: 'a.png', sha1: hash('sha1', 'lost'), path: join(folder, 'lost'), offset: 0, bytes: 4 },
        ]),
      );
      assert.equal(await read(files, ada, 'b.png', 'new'), null);
      assert.equal(await read(files, ada, 'a.png', 'old'), 'old');
    });

    test('users do not see each other', async (files) => {
      await put(files, ada, [['a.png', 'of ada']]);
      assert.equal(await read(files, bob, 'a.png', 'of ada'), null);
      await put(files, bob, [['a.png', 'of bob']]);
      await files.settle(bob, [deleted('a.png')]);
      await files.discardStaged(bob);
      assert.equal(await read(files, ada, 'a.png', 'of ada'), 'of ada');
    });

    testReopening('staged and current files are there after a reopening without farewell', async (files, reopen) => {
      await put(files, ada, [['a.png', 'a']]);
      await stage(files, ada, [['b.png', 'b']]);
      const again = await reopen();
      assert.equal(await read(again, ada, 'a.png', 'a'), 'a');
      assert.equal(await read(again, ada, 'b.png', 'b'), 'b');
      await again.settle(ada, [change('b.png', 'b')]);
      await again.discardStaged(ada);
      assert.equal(await read(again, ada, 'b.png', 'b'), 'b');
    });
  });
}
