/** Anki's own server by the same rules: our list says where it differs. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { officialUsers, type OfficialUsers } from '../server/official-users.ts';
import { Player } from './player.ts';
import { RULES } from './rules.ts';

const count = Object.values(RULES).flat().length;

let server: OfficialUsers;
before(async () => {
  server = await officialUsers(count);
});
after(() => server.stop());

for (const [step, rules] of Object.entries(RULES)) {
  describe(`on Anki's server, ${step}`, () => {
    for (const rule of rules) {
      const differs = 'official' in rule;
      it(`${rule.sentence}${differs ? `: no, ${rule.why ?? ''}` : ''}`, async () => {
        const seen = await rule.play(new Player(server.newUser()));
        assert.deepEqual(seen, differs ? rule.official : rule.expected);
        if (differs) assert.notDeepEqual(rule.official, rule.expected, 'a difference that is none');
      });
    }
  });
}
