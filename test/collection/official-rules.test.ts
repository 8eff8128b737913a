/** Anki's own server by the same rules: our list says where it differs. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { RawClient } from '../client/raw.ts';
import { startOfficialServer, type OfficialServer } from '../oracle/official-server.ts';
import { Player } from './player.ts';
import { RULES } from './rules.ts';

const count = Object.values(RULES).flat().length;

let server: OfficialServer;
let users = 0;
before(async () => {
  server = await startOfficialServer({ users: Object.fromEntries(Array.from({ length: count }, (_, index) => [`user${index}`, 'password'])) });
});
after(() => server.stop());

for (const [step, rules] of Object.entries(RULES)) {
  describe(`on Anki's server, ${step}`, () => {
    for (const rule of rules) {
      const differs = 'official' in rule;
      it(`${rule.sentence}${differs ? `: no, ${rule.why ?? ''}` : ''}`, async () => {
        // signing in takes its server a tenth of a second, and the key is this hash
        const key = hash('sha1', `user${users++}:password`);
        const client = new RawClient(server.url, { key, sessionKey: 'session' });
        const seen = await rule.play(new Player(client));
        assert.deepEqual(seen, differs ? rule.official : rule.expected);
        if (differs) assert.notDeepEqual(rule.official, rule.expected, 'a difference that is none');
      });
    }
  });
}
