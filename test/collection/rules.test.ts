/** The rules of the collection's steps, each played on the whole server by a user of its own: over files, and over stores in memory. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { MemoryCollectionStore } from '../../lib/storage/memory/collection.ts';
import { MemoryMediaFiles, MemoryMediaStore } from '../../lib/storage/memory/media.ts';
import type { SyncServerOptions } from '../../lib/options.ts';
import { runningServer, type RunningServer } from '../server/running-server.ts';
import { Player } from './player.ts';
import { RULES } from './rules.ts';

const STORES: Record<string, () => SyncServerOptions> = {
  files: () => ({}),
  memory: () => ({ collections: new MemoryCollectionStore(), media: new MemoryMediaStore(), mediaFiles: new MemoryMediaFiles() }),
};

for (const [where, stores] of Object.entries(STORES)) {
  describe(`collections in ${where}`, () => {
    let server: RunningServer;
    before(async () => {
      server = await runningServer(stores());
    });
    after(() => server.stop());

    for (const [step, rules] of Object.entries(RULES)) {
      describe(step, () => {
        for (const { sentence, play, expected } of rules) {
          it(sentence, async () => assert.deepEqual(await play(new Player(await server.newUser())), expected));
        }
      });
    }
  });
}
