/** What happens to the devices of somebody who left, of which a provider tells nobody. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { openBuiltInAuth, type BuiltInAuth } from '../../../lib/auth/built-in.ts';
import { restingHostKeys } from '../../../lib/auth/oidc/resting-host-keys.ts';
import { checkOidcOptions, type OidcOptions } from '../../../lib/auth/oidc/settings.ts';
import { sqliteOidcSubjects } from '../../../lib/auth/oidc/subjects.ts';
import type { HostKeys, User } from '../../../lib/index.ts';
import { dataFolder } from '../folder.ts';

const DAY_MILLIS = 86_400_000;
const OPTIONS: OidcOptions = { id: 'example', issuer: 'https://login.example.org', clientId: 'x' };

async function at(t: TestContext, reloginDays?: number): Promise<{ auth: BuiltInAuth; keys: HostKeys; clock: { millis: number }; signIn(): Promise<User> }> {
  const auth = await openBuiltInAuth(dataFolder());
  t.after(() => auth.close());
  const clock = { millis: Date.now() };
  const options = { ...OPTIONS, ...(reloginDays === undefined ? {} : { reloginDays }) };
  const subjects = sqliteOidcSubjects(auth.database, auth.authenticator, () => clock.millis);
  return {
    auth,
    clock,
    keys: restingHostKeys({ hostKeys: auth.hostKeys, providers: [options], database: auth.database, now: () => clock.millis }),
    signIn: () => subjects.userOf({ settings: checkOidcOptions([options])[0]!, subject: '1', loginName: 'ada' }),
  };
}

test('devices go on for as long as nobody ends them, unless reloginDays is set', async (t) => {
  const { auth, keys, clock, signIn } = await at(t);
  assert.equal(keys, auth.hostKeys);
  const key = await keys.issue(await signIn(), { client: 'anki' });
  clock.millis += 1000 * DAY_MILLIS;
  assert.equal((await keys.resolve(key))?.loginName, 'ada');
});

test('with it they rest that many days after the last sign-in, and wake with the next one', async (t) => {
  const { auth, keys, clock, signIn } = await at(t, 30);
  const key = await keys.issue(await signIn(), { client: 'anki' });
  clock.millis += 29 * DAY_MILLIS;
  assert.equal((await keys.resolve(key))?.loginName, 'ada');
  const user = await signIn();
  clock.millis += 29 * DAY_MILLIS;
  assert.equal((await keys.resolve(key))?.loginName, 'ada', 'counted from the last one');
  clock.millis += 2 * DAY_MILLIS;
  assert.equal(await keys.resolve(key), null);
  await assert.rejects(keys.issue(user, { client: 'anki' }), { code: 'PASSWORD_WRONG', detail: /reloginDays/ });
  await signIn();
  assert.equal((await keys.resolve(key))?.loginName, 'ada');
  assert.equal((await keys.list(user.id)).length, 1);
  assert.equal(await keys.revoke(user.id), 1);
  assert.equal((await auth.hostKeys.list(user.id)).length, 0);
});

test('users with a password here have no part in it', async (t) => {
  const { auth, keys, clock } = await at(t, 30);
  const { user } = await auth.users.add('bob', 'a password of his own');
  const key = await keys.issue(user, { client: 'anki' });
  clock.millis += 1000 * DAY_MILLIS;
  assert.equal((await keys.resolve(key))?.loginName, 'bob');
});
