/** What the server answers to each request of the table; every user has nothing yet, and no request leaves a file behind. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ERROR_STATUS } from '../../lib/errors.ts';
import { ANSWERS } from './answers.ts';
import { runningServer, type RunningServer } from './running-server.ts';

let server: RunningServer;
before(async () => {
  server = await runningServer();
});
after(() => server.stop());

for (const [group, questions] of Object.entries(ANSWERS)) {
  describe(`answers: ${group}`, () => {
    for (const { sentence, ask, answer } of questions) {
      it(`${sentence}: ${answer.code ?? answer.status}`, async () => {
        const user = await server.newUser();
        const response = await ask(user);
        const text = response.body.toString('latin1');
        assert.equal(response.status, answer.status, text.slice(0, 200));
        if (answer.code === undefined) {
          if (typeof answer.text === 'string') assert.equal(text, answer.text);
          else if (answer.text !== undefined) assert.match(text, answer.text);
        } else {
          assert.equal(text.split(':', 1)[0], answer.code);
          assert.equal(ERROR_STATUS[answer.code], answer.status);
          assert.equal(server.log.at(-1)!.code, answer.code, 'the code in the log');
        }
        assert.equal(server.log.at(-1)!.status, answer.status, 'the status in the log');
      });
    }
  });
}
