/** A user's folder goes to Anki's own server and comes back. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { mediaChanges, type MediaChangeRow } from '../../lib/media/changes.ts';
import { mediaSanity } from '../../lib/media/sanity-check.ts';
import { settleMedia } from '../../lib/media/user-media.ts';
import type { MediaChange } from '../../lib/storage/storage.ts';
import { RawClient } from '../client/raw.ts';
import { startOfficialServer } from '../oracle/official-server.ts';
import { readZip } from './read-zip.ts';
import { uploadZip } from './raw-zip.ts';
import { ada, download, put, withMedia } from './user-media.ts';

async function withOfficial(base: string, body: (client: RawClient) => Promise<void>): Promise<void> {
  const server = await startOfficialServer({ users: { ada: 'password' }, base });
  try {
    const client = new RawClient(server.url);
    await client.hostKey('ada', 'password');
    await body(client);
  } finally {
    await server.stop();
  }
}

async function dataOf(client: RawClient, method: string, body: object | Uint8Array): Promise<unknown> {
  const response = await client.msync(method, body);
  assert.equal(response.status, 200, method);
  return (response.json() as { data: unknown }).data;
}

describe('a folder that goes to Anki\'s server', () => {
  it('is served and changed there, and comes back', () =>
    withMedia('SQLite and a folder', async (media, base) => {
      await put(media, ['a.png', 'a'], ['漢字.png', 'b'], ['gone.png', 'gone'], ['c.png', 'old']);
      await put(media, ['gone.png', null], ['c.png', 'c']);
      const rows = JSON.parse(await mediaChanges(media.store, ada, 0)) as MediaChangeRow[];
      await media.store.close();

      await withOfficial(base, async (client) => {
        assert.deepEqual(await dataOf(client, 'mediaChanges', { lastUsn: 0 }), rows);
        assert.equal(await dataOf(client, 'mediaSanity', { local: 3 }), 'OK');
        const zip = await readZip((await client.msync('downloadFiles', { files: ['c.png', '漢字.png'] })).body);
        assert.deepEqual([zip.contents['c.png']!.toString(), zip.contents['漢字.png']!.toString()], ['c', 'b']);
        const changes = uploadZip([['a.png', null], ['c.png', 'newest'], ['gone.png', 'back'], ['d.png', 'd']]);
        assert.deepEqual(await dataOf(client, 'uploadChanges', changes), [4, 10]);
      });

      assert.deepEqual(JSON.parse(await mediaChanges(media.store, ada, 6)) as MediaChangeRow[], [
        ['a.png', 7, ''],
        ['c.png', 8, hash('sha1', 'newest')],
        ['gone.png', 9, hash('sha1', 'back')],
        ['d.png', 10, hash('sha1', 'd')],
      ]);
      assert.equal(await mediaSanity(media.store, ada, 4), 'OK');
      const zip = await readZip(await download(media, ['c.png', 'gone.png', 'd.png', '漢字.png']));
      assert.deepEqual(zip.names.map((name) => zip.contents[name]!.toString()), ['newest', 'back', 'd', 'b']);
      assert.deepEqual(await put(media, ['a.png', 'a again']), [1, 11]);
    }));

  it('in the middle of an upload that crashed keeps what was uploaded there since', () =>
    withMedia('SQLite and a folder', async (media, base) => {
      await put(media, ['replaced.png', 'old'], ['deleted.png', 'deleted']);
      const folder = await media.files.stagingFolder(ada);
      const contents = { 'replaced.png': 'ours', 'added.png': 'ours too' };
      const staged = await Promise.all(
        Object.entries(contents).map(async ([name, content]) => {
          const path = join(folder, name);
          await writeFile(path, content);
          return { name, content, path, sha1: hash('sha1', content), bytes: content.length };
        }),
      );
      await media.files.stage(ada, staged.map(({ name, sha1, path, bytes }) => ({ name, sha1, path, offset: 0, bytes })));
      const changes: MediaChange[] = [...staged.map(({ name, sha1, bytes }) => ({ name, sha1, bytes })), { name: 'deleted.png', deleted: true }];
      await media.store.apply(ada, changes);
      await media.store.close();

      await withOfficial(base, async (client) => {
        const newer = uploadZip([['replaced.png', 'newer'], ['deleted.png', 'back']]);
        assert.deepEqual(await dataOf(client, 'uploadChanges', newer), [2, 7]);
      });

      const zip = await readZip(await download(media, ['replaced.png', 'deleted.png', 'added.png']));
      assert.deepEqual(zip.names.map((name) => zip.contents[name]!.toString()), ['newer', 'back', 'ours too']);
      await settleMedia(media);
      for (const [name, content] of [['replaced.png', 'newer'], ['deleted.png', 'back'], ['added.png', 'ours too']] as const) {
        assert.equal(await readFile(join(base, 'ada', 'media', name), 'utf8'), content);
      }
      assert.deepEqual(await put(media, ['replaced.png', null]), [1, 8]);
    }));
});
