/** Anki's own server, asked the same: our table says where it differs. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { officialUsers, type OfficialUsers } from './official-users.ts';
import { ANSWERS } from './answers.ts';

const count = Object.values(ANSWERS).flat().length;

let server: OfficialUsers;
before(async () => {
  server = await officialUsers(count);
});
after(() => server.stop());

for (const [group, questions] of Object.entries(ANSWERS)) {
  describe(`Anki's server answers: ${group}`, () => {
    for (const { sentence, ask, answer, official, why } of questions) {
      const expected = official ?? answer;
      it(`${sentence}: ${expected.status}${official === undefined ? '' : ` (not our ${answer.status}: ${why})`}`, async () => {
        const response = await ask(server.newUser());
        const text = response.body.toString('latin1');
        assert.equal(response.status, expected.status, text.slice(0, 200));
        if (expected.code !== undefined) return;
        if (typeof expected.text === 'string') assert.equal(text, expected.text);
        else if (expected.text !== undefined) assert.match(text, expected.text);
      });
    }
  });
}
