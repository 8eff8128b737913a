/** The server is ended at any operation on its files: what was answered is there, nothing is there in part, and the client goes on. */
import { test } from 'node:test';
import { builtServer } from './built-server.ts';
import { tryKillPoints } from './kill-points.ts';
import { whyNotHere } from './operations.ts';
import { STORIES } from './stories.ts';

/** Of each story, so many servers are really ended here; `npm run crash` ends one at every operation. */
const KILLED = 10;

const skip = await whyNotHere();

test('a server that is ended at any file operation leaves all that it answered, and nothing in part', { skip: skip ?? false, concurrency: false }, async (t) => {
  const built = builtServer();
  t.after(() => built.remove());
  for (const [index, story] of STORIES.entries()) {
    await t.test(story.name, async (t) => {
      const { operations, killed } = await tryKillPoints(story, { most: KILLED, seed: index, root: built.root });
      t.diagnostic(`${operations} of ${operations} kill points tried, ${killed} of them with a server that was really ended, and its client`);
    });
  }
});
