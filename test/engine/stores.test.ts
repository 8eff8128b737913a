/** The seam: stores that are neither SQLite nor folders, on either side of it, serve the same protocol. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SyncServerOptions } from '../../lib/options.ts';
import { MemoryCollectionStore } from '../../lib/storage/memory/collection.ts';
import { MemoryMediaFiles, MemoryMediaStore } from '../../lib/storage/memory/media.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { runningServer } from '../server/running-server.ts';
import { contentsOf, piecesOf, query, writeCollection } from './collections.ts';
import { notesOn, ok, wholeSync } from './whole-sync.ts';

const module = (name: string) => ({ module: new URL(`./memory-modules.ts?${name}`, import.meta.url).href, options: name });

const SIDES: Record<string, () => Partial<SyncServerOptions>> = {
  'objects on the main side': () => ({
    collections: new MemoryCollectionStore(),
    media: new MemoryMediaStore(),
    mediaFiles: new MemoryMediaFiles(),
  }),
  'modules in a thread': () => ({
    collections: module('collections') as never,
    media: module('media') as never,
    mediaFiles: module('mediaFiles') as never,
  }),
  'an object beside modules': () => ({ collections: new MemoryCollectionStore() }),
};

for (const [side, stores] of Object.entries(SIDES)) {
  test(`stores in memory, given as ${side}, serve normal syncs, full syncs and media`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'anki-sync-stores-'));
    try {
      await using server = await runningServer(stores());
      const ada = await server.newUser();
      const bob = await server.newUser();
      assert.equal(await wholeSync(ada, 300), 300);
      assert.equal(await wholeSync(ada.withSession('second device'), 5), 305);
      assert.equal(await notesOn(bob), 0);

      const made = join(folder, 'made.anki2');
      writeCollection(made, 1024 ** 2);
      assert.equal((await ok(ada.post('upload', piecesOf(made)))).text(), 'OK');
      const received = join(folder, 'received.anki2');
      writeFileSync(received, (await ok(ada.post('download'))).body);
      assert.equal(query(received, 'PRAGMA integrity_check'), 'ok');
      assert.equal(contentsOf(received), contentsOf(made));

      await ok(ada.msync('begin', { v: 'test' }));
      assert.deepEqual((await ok(ada.msync('uploadChanges', uploadZip([['a.png', 'bytes of a']])))).json(), { data: [1, 1], err: '' });
      assert.ok((await ok(ada.msync('downloadFiles', { files: ['a.png'] }))).body.includes('bytes of a'));
      assert.equal((await bob.msync('downloadFiles', { files: ['a.png'] })).status, 409);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}
