/** The disk is full, fails, or is read-only from any operation on: the client is told, nothing changes, and all goes on when it works again. */
import { test } from 'node:test';
import { builtServer } from './built-server.ts';
import { FAILURES, tryFailingDisk } from './full-disk.ts';
import { whyNotHere } from './operations.ts';
import { STORIES } from './stories.ts';

/** Points per story and kind of failure; `npm run crash` tries every operation. */
const POINTS = 6;

const skip = await whyNotHere();

test('a disk that fails at any file operation is told, changes nothing, and is forgotten when it works again', { skip: skip ?? false, concurrency: false }, async (t) => {
  const built = builtServer();
  t.after(() => built.remove());
  for (const [index, story] of STORIES.filter(({ ends }) => ends !== true).entries()) {
    await t.test(story.name, async (t) => {
      const { points, told, answers } = await tryFailingDisk(story, { most: POINTS, seed: index, root: built.root });
      const kinds = [...answers].map(([words, count]) => `${words} ${count}`).join(', ');
      t.diagnostic(`${points} failures (${FAILURES.length} kinds), ${told} of them told: ${kinds}`);
    });
  }
});
