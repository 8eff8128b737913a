import { collectionStoreSuite } from '../../../lib/conformance/collection-store.ts';
import { MemoryCollectionStore } from '../../../lib/storage/memory/collection.ts';

const store = new MemoryCollectionStore();

collectionStoreSuite({ name: 'memory', make: async () => store, reopen: async () => store });
