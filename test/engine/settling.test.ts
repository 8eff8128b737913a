import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { Engine } from '../../lib/engine/pool.ts';
import { MemoryCollectionStore } from '../../lib/storage/memory/collection.ts';
import { MemoryMediaFiles, MemoryMediaStore } from '../../lib/storage/memory/media.ts';
import type { MediaChange, UserPlace } from '../../lib/storage/storage.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { until } from './until.ts';

const ada: UserPlace = { userId: 'ada', folder: 'ada' };

test('media of an idle user come to their places some at a time, one lot right after the other, and a request comes in between', async () => {
  const lots: number[] = [];
  let asked: Promise<unknown> | undefined;
  let askedAfter = -1;
  class WatchedFiles extends MemoryMediaFiles {
    override async settle(user: UserPlace, changes: MediaChange[]): Promise<void> {
      await super.settle(user, changes);
      lots.push(changes.length);
      asked ??= engine.run({ step: 'mediaSanity', user: ada, sessionKey: '', body: '{"local":1001}' }).then(() => (askedAfter = lots.length));
    }
  }
  const media = new MemoryMediaStore();
  const engine = new Engine({ stores: { collections: new MemoryCollectionStore(), media, mediaFiles: new WatchedFiles() } });
  try {
    await media.apply(ada, Array.from({ length: 1000 }, (_, i) => ({ name: `${i}.png`, sha1: hash('sha1', 'before'), bytes: 1 })));
    await engine.run({ step: 'uploadChanges', user: ada, zip: uploadZip([['last.png', 'last']]) });
    assert.deepEqual(lots, []);
    await until(() => lots.reduce((sum, lot) => sum + lot, 0) === 1001);
    assert.ok(lots.length >= 3, `in ${lots.length} lots`);
    await asked;
    assert.equal(askedAfter, 1);
    assert.deepEqual(await media.unsettled(ada), []);
  } finally {
    await engine.close();
  }
});
