/** Anki's own server, asked the same: our table says where it differs. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { RawClient } from '../client/raw.ts';
import { startOfficialServer, type OfficialServer } from '../oracle/official-server.ts';
import { ANSWERS } from './answers.ts';

const count = Object.values(ANSWERS).flat().length;

let server: OfficialServer;
let users = 0;
before(async () => {
  server = await startOfficialServer({ users: Object.fromEntries(Array.from({ length: count }, (_, index) => [`user${index}`, 'password'])) });
});
after(() => server.stop());

for (const [group, questions] of Object.entries(ANSWERS)) {
  describe(`Anki's server answers: ${group}`, () => {
    for (const { sentence, ask, answer, official, why } of questions) {
      const expected = official ?? answer;
      it(`${sentence}: ${expected.status}${official === undefined ? '' : ` (not our ${answer.status}: ${why})`}`, async () => {
        // signing in takes its server a tenth of a second, and the key is this hash
        const key = hash('sha1', `user${users++}:password`);
        const response = await ask(new RawClient(server.url, { key, sessionKey: 'session' }));
        const text = response.body.toString('latin1');
        assert.equal(response.status, expected.status, text.slice(0, 200));
        if (expected.code !== undefined) return;
        if (typeof expected.text === 'string') assert.equal(text, expected.text);
        else if (expected.text !== undefined) assert.match(text, expected.text);
      });
    }
  });
}
