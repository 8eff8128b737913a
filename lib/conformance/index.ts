/** One suite per plug, for implementations of your own: call it from a file that `node --test` runs. */
export { authenticatorSuite } from './authenticator.ts';
export { collectionStoreSuite, type CollectionStoreSuite } from './collection-store.ts';
export { hostKeysSuite } from './host-keys.ts';
export { mediaFilesSuite } from './media-files.ts';
export { mediaStoreSuite } from './media-store.ts';
