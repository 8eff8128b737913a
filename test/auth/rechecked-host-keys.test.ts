import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Authenticator, User } from '../../lib/auth/authenticator.ts';
import type { HostKeys } from '../../lib/auth/host-keys.ts';
import { RecheckedHostKeys, recheckedHostKeys } from '../../lib/auth/rechecked-host-keys.ts';

/** Keys in memory: the key of a user is the id. `answers` is what the authenticator says about each name; an error is thrown. */
function stage(answers: Record<string, boolean | Error>, recheckMinutes = 10) {
  const ended: string[] = [];
  const asked: string[] = [];
  const told: string[] = [];
  const clock = { minutes: 0 };
  const userOf = (id: string): User => ({ id, loginName: id, folder: id });
  const hostKeys: HostKeys = {
    issue: async (user) => user.id,
    resolve: (key) => (ended.includes(key) ? null : userOf(key)),
    revoke: async (userId) => ended.push(userId),
    list: async () => [],
  };
  const authenticator: Authenticator = {
    authenticate: async () => null,
    async stillAllowed(loginName) {
      asked.push(loginName);
      const answer = answers[loginName]!;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    recheckMinutes,
  };
  const keys = new RecheckedHostKeys({ hostKeys, authenticator, tell: (level, detail) => told.push(`${level} ${detail}`), now: () => clock.minutes * 60_000 });
  const use = async (id: string): Promise<boolean> => {
    const user = await keys.resolve(id);
    await keys.settle();
    return user !== null;
  };
  return { answers, ended, asked, told, clock, keys, hostKeys, userOf, use };
}

test('who may not sign in any more is still answered once, and then the keys have ended', async () => {
  const { ended, use } = stage({ ada: true, bob: false });
  assert.deepEqual([await use('ada'), await use('bob')], [true, true]);
  assert.deepEqual(ended, ['bob']);
  assert.deepEqual([await use('ada'), await use('bob')], [true, false]);
});

test('users are looked up at the first request after a start, and then as often as was said', async () => {
  const { asked, clock, use } = stage({ ada: true });
  for (const minutes of [0, 1, 9.9, 10, 10.1, 19.9, 20]) {
    clock.minutes = minutes;
    await use('ada');
  }
  assert.equal(asked.length, 3);
});

test('whoever just signed in is not looked up at once', async () => {
  const { asked, clock, keys, userOf, use } = stage({ ada: true });
  await keys.issue(userOf('ada'), { client: '' });
  await use('ada');
  assert.equal(asked.length, 0);
  clock.minutes = 10;
  await use('ada');
  assert.equal(asked.length, 1);
});

test('as long as nobody can tell, keys hold, the question is asked again after a minute, and the log has one line', async () => {
  const { answers, asked, clock, ended, told, use } = stage({ ada: Object.assign(new Error('x'), { detail: 'the directory is down' }), bob: new Error('down') });
  for (const minutes of [0, 0.5, 1, 2]) {
    clock.minutes = minutes;
    assert.deepEqual([await use('ada'), await use('bob')], [true, true]);
  }
  assert.deepEqual([ended, asked.length], [[], 6]);
  assert.deepEqual(told, ['warn users cannot be looked up, and keep their keys meanwhile: the directory is down']);
  answers.ada = true;
  answers.bob = false;
  clock.minutes = 3;
  await use('ada');
  await use('bob');
  assert.deepEqual(ended, ['bob']);
  assert.equal(told[1], 'info users can be looked up again');
});

test('an answer that is neither yes nor no ends nothing', async () => {
  const { ended, use } = stage({ ada: undefined as never });
  await use('ada');
  assert.deepEqual(ended, []);
});

test('many users at once are looked up a few at a time', async () => {
  let running = 0;
  let most = 0;
  const done: (() => void)[] = [];
  const hostKeys = { resolve: (id: string) => ({ id, loginName: id, folder: id }) } as unknown as HostKeys;
  const authenticator: Authenticator = {
    authenticate: async () => null,
    recheckMinutes: 1,
    stillAllowed: () => {
      most = Math.max(most, ++running);
      return new Promise((resolve) => done.push(() => {
        running--;
        resolve(true);
      }));
    },
  };
  const keys = new RecheckedHostKeys({ hostKeys, authenticator });
  for (let i = 0; i < 50; i++) keys.resolve(`user${i}`);
  for (let i = 0; i < 50; i++) {
    done[i]!();
    await new Promise(setImmediate);
  }
  assert.deepEqual([done.length, most], [50, 2]);
});

test('an authenticator that says nothing of it leaves the keys as they are', () => {
  const hostKeys = {} as HostKeys;
  assert.equal(recheckedHostKeys({ hostKeys, authenticator: { authenticate: async () => null } }), hostKeys);
  assert.equal(recheckedHostKeys({ hostKeys, authenticator: { authenticate: async () => null, stillAllowed: async () => false, recheckMinutes: 0 } }), hostKeys);
});

test('a login with an app password counts as no answer: the user is looked up at the first request', async () => {
  const { asked, keys, userOf, use } = stage({ ada: true });
  await keys.issue(userOf('ada'), { client: '', appPasswordId: 'phone' });
  await use('ada');
  assert.deepEqual(asked, ['ada']);
});

test('users of single sign-on are not looked up in a directory that does not know them', async () => {
  const { asked, ended, clock, keys, hostKeys, use } = stage({ ada: false, bob: false });
  const resolve = hostKeys.resolve.bind(hostKeys);
  hostKeys.resolve = async (key) => {
    const user = await resolve(key);
    return user?.id === 'ada' ? { ...user, provider: 'oidc:keycloak' } : user;
  };
  for (clock.minutes = 0; clock.minutes < 60; clock.minutes += 15) await use('ada');
  assert.deepEqual([asked, ended], [[], []]);
  await use('bob');
  assert.deepEqual(ended, ['bob']);
  await keys.close();
});
