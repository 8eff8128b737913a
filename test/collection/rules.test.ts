/** The rules of the collection's steps, each played on the whole server by a user of its own. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runningServer, type RunningServer } from '../server/running-server.ts';
import { Player } from './player.ts';
import { RULES } from './rules.ts';

let server: RunningServer;
before(async () => {
  server = await runningServer();
});
after(() => server.stop());

for (const [step, rules] of Object.entries(RULES)) {
  describe(step, () => {
    for (const { sentence, play, expected } of rules) {
      it(sentence, async () => assert.deepEqual(await play(new Player(await server.newUser())), expected));
    }
  });
}
