/**
 * `npm run try:fastify [-- --keep]`: an application in Fastify with the sync server below /anki, and real Anki clients (fetched into the project's
 * cache). Plays the story, and prints `N passed, N failed`. With --keep, the application stays up to be tried by hand, until Ctrl+C.
 */
import { frameworks } from '../test/client/mounts.ts';
import { tryFramework } from './try-framework.ts';

await tryFramework(frameworks.fastify);
