/** Options → the engine, with the stores that were chosen. */
import { Engine } from '../engine/pool.ts';
import type { CheckedOptions } from '../options.ts';
import { stillThereIn } from '../storage/sqlite/still-there.ts';
import { given } from './given.ts';

export function openEngine(options: CheckedOptions): Engine {
  const { base } = options;
  const built = (path: string): string => new URL(`../storage/${path}${EXTENSION}`, import.meta.url).href;
  return new Engine({
    stores: {
      collections: options.collections ?? {
        module: built('sqlite/collection'),
        options: { base, cacheKib: options.collectionCacheKib, snapshots: options.snapshots },
      },
      media: options.media ?? { module: built('sqlite/media'), options: { base } },
      mediaFiles: options.mediaFiles ?? { module: built('files/folder'), options: { base } },
    },
    // what other stores keep, others may change
    ...(options.collections === undefined && options.media === undefined ? { stillHolds: stillThereIn(base) } : {}),
    ...given({
      threads: options.threads,
      threadHeapMib: options.threadHeapMib,
      maxOpen: options.maxOpenCollections,
      closeIdleMillis: options.closeIdleMillis,
      syncIdleMillis: options.syncIdleMillis,
      maxWaitingPerUser: options.maxWaitingPerUser,
    }),
  });
}

/** The extension of the running sources: `.ts` from a checkout, `.js` from the package. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
