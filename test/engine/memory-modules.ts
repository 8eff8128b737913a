/** The stores in memory as a module of one's own: the options say which. */
import { MemoryCollectionStore } from '../../lib/storage/memory/collection.ts';
import { MemoryMediaFiles, MemoryMediaStore } from '../../lib/storage/memory/media.ts';

export default (which: 'collections' | 'media' | 'mediaFiles'): object => {
  if (which === 'collections') return new MemoryCollectionStore();
  return which === 'media' ? new MemoryMediaStore() : new MemoryMediaFiles();
};
