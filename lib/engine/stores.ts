import type { CollectionStore, MediaFiles, MediaStore } from '../storage/storage.ts';
import { isStoreModule, type StoreChoices } from './calls.ts';
import type { Stores } from './session.ts';

export type Choices = StoreChoices<CollectionStore, MediaStore, MediaFiles>;

/** Makes the stores of one side: modules are imported, objects are taken as they are. */
export async function makeStores(choices: Choices): Promise<Stores> {
  const [collections, media, mediaFiles] = await Promise.all([
    made<CollectionStore>(choices.collections),
    made<MediaStore>(choices.media),
    made<MediaFiles>(choices.mediaFiles),
  ]);
  return { collections, media, mediaFiles };
}

async function made<T>(choice: T | { module: string; options: unknown }): Promise<T> {
  if (!isStoreModule(choice)) return choice as T;
  const { default: make } = (await import(choice.module)) as { default?: (options: unknown) => T | Promise<T> };
  if (typeof make !== 'function') throw new TypeError(`${choice.module} has no default export that makes a store`);
  return make(choice.options);
}

/** Whether worker threads can make all of the stores. One object takes all to the main side: a sync may need any two of them. */
export function allModules(choices: Choices): boolean {
  return [choices.collections, choices.media, choices.mediaFiles].every(isStoreModule);
}
