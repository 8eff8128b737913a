/** People of a real directory (slapd) on the account page. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { directory } from '../auth/ldap/directory.ts';
import { PEOPLE } from '../auth/ldap/slapd.ts';
import { accountServer, notice, words } from './visitor.ts';

const PASSWORD = 'canary-ada-4411';
const { slapd, skip, authenticator } = await directory();

test('somebody of a directory signs in with its password, whatever the case of the name, and is gone from here with the account there', { skip }, async (t) => {
  const { visitor, log } = await accountServer(t, { options: { authenticator: ['local', authenticator(t, { recheckMinutes: 1e-6 })] } });
  const ada = visitor();
  assert.equal((await ada.signIn('ada', 'canary-wrong')).status, 403);
  assert.equal((await ada.signIn(' ADA ', PASSWORD)).status, 303);
  assert.match(words(await ada.get('')), /User name Ada/);
  assert.equal((await ada.get('/delete')).status, 200);
  assert.equal((await ada.post('/delete', { confirm: 'Ada', password: PASSWORD })).status, 303);

  await slapd.stop();
  const down = await visitor().signIn('ada', PASSWORD);
  assert.deepEqual([down.status, /Nobody can be signed in at the moment/.test(notice(down))], [503, true]);
  assert.equal((await ada.get('/devices')).status, 200, 'whoever is signed in stays so');
  await slapd.restart();

  await slapd.modify(`dn: uid=Ada,${PEOPLE}\nchangetype: delete\n`);
  const deadline = performance.now() + 60_000;
  while ((await ada.get('/devices')).status === 200) assert.ok(performance.now() < deadline, 'the page never heard of it');
  assert.equal((await ada.get('/devices')).to, '/sign-in');
  assert.doesNotMatch(JSON.stringify(log), /canary/);
});
