import assert from 'node:assert/strict';
import { test } from 'node:test';
import { credentials, directory, isUnavailable } from './directory.ts';
import { PEOPLE, person } from './slapd.ts';

const { skip, authenticator } = await directory({ database: ['sizelimit 1'], entries: person('two', 'canary-two', { mail: 'bob' }) });

test('where the directory tells one entry at most, a name that means two people is still refused', { skip }, async (t) => {
  const ldap = authenticator(t, { userFilter: '(|(uid={name})(mail={name}))' });
  assert.deepEqual(await ldap.authenticate(credentials('ada', 'canary-ada-4411')), { loginName: 'Ada' });
  for (const password of ['canary-bob-5522', 'canary-two']) assert.equal(await ldap.authenticate(credentials('bob', password)), null);
  assert.match(ldap.lines[0]?.detail ?? '', /more than one entry/);
});

test('and nobody loses keys by it', { skip }, async (t) => {
  const ldap = authenticator(t, { nameAttribute: 'sn', searchBase: PEOPLE });
  await assert.rejects(ldap.stillAllowed('Person'), isUnavailable(/more than one/));
  assert.equal(await authenticator(t).stillAllowed('nobody'), false);
});
