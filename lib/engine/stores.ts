import type { CollectionStore, MediaFiles, MediaStore } from '../storage/storage.ts';
import { isStoreModule, type StoreChoice, type StoreChoices } from './calls.ts';
import type { Stores } from './session.ts';

export type Choices = StoreChoices<CollectionStore, MediaStore, MediaFiles>;

/**
 * Makes the stores of one side: modules are imported, objects are taken as they are.
 * Rejects with what a module throws, and with a TypeError for a module that makes no store; those that were made are closed then.
 */
export async function makeStores(choices: Choices): Promise<Stores> {
  const making = [made(choices.collections), made(choices.media), made(choices.mediaFiles)] as const;
  try {
    const [collections, media, mediaFiles] = await Promise.all(making);
    return { collections, media, mediaFiles };
  } catch (error) {
    const given = [choices.collections, choices.media, choices.mediaFiles];
    await Promise.allSettled(making.map(async (store, index) => isStoreModule(given[index]) && (await store).close()));
    throw error;
  }
}

async function made<T>(choice: StoreChoice<T>): Promise<T> {
  if (!isStoreModule(choice)) return choice;
  const { default: make } = (await import(choice.module)) as { default?: unknown };
  if (typeof make !== 'function') throw new TypeError(`${choice.module} has no default export that makes a store`);
  const store = (await make(choice.options)) as unknown;
  if (typeof store !== 'object' || store === null) throw new TypeError(`the default export of ${choice.module} made no store`);
  return store as T;
}

/** Whether worker threads can make all of the stores. One object takes all to the main side: a sync may need any two of them. */
export function allModules(choices: Choices): boolean {
  return [choices.collections, choices.media, choices.mediaFiles].every(isStoreModule);
}
