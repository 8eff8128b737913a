import { mediaFilesSuite } from '../../../lib/conformance/media-files.ts';
import { mediaStoreSuite } from '../../../lib/conformance/media-store.ts';
import { MemoryMediaFiles, MemoryMediaStore } from '../../../lib/storage/memory/media.ts';

mediaStoreSuite('MemoryMediaStore', async () => {
  const store = new MemoryMediaStore();
  return { store, done: () => store.close() };
});

mediaFilesSuite('MemoryMediaFiles', async () => {
  const files = new MemoryMediaFiles();
  return { files, done: () => files.close() };
});
