import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collectionStoreSuite } from '../../../lib/conformance/collection-store.ts';
import { SqliteCollectionStore } from '../../../lib/storage/sqlite/collection.ts';

let base = '';

collectionStoreSuite({
  name: 'SQLite files',
  async make() {
    base = await mkdtemp(join(tmpdir(), 'collections-'));
    return new SqliteCollectionStore({ base });
  },
  reopen: async () => new SqliteCollectionStore({ base }),
  cleanUp: () => rm(base, { recursive: true, force: true }),
});
