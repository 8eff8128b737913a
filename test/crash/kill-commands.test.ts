/** Commands that are ended at any operation on the files that they write, and given again. */
import { test } from 'node:test';
import { builtServer } from './built-server.ts';
import { COMMANDS, killCommand } from './kill-commands.ts';
import { whyNotHere } from './operations.ts';

/** Of each command, so many are really ended here; `npm run crash` ends one at every operation. */
const KILLED = 8;

const skip = await whyNotHere();

test('a command that is ended at any file operation leaves nothing in part, and is given again', { skip: skip ?? false, concurrency: false }, async (t) => {
  const built = builtServer();
  t.after(() => built.remove());
  for (const [index, command] of COMMANDS.entries()) {
    await t.test(command.name, async (t) => {
      const { operations, killed } = await killCommand(command, { most: KILLED, seed: index, root: built.root });
      t.diagnostic(`${operations} of ${operations} kill points tried, ${killed} of them with a command that was really ended, and given again`);
    });
  }
});
