import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Authenticator } from '../../lib/auth/authenticator.ts';
import { chainedAuthenticator } from '../../lib/auth/chained-authenticator.ts';
import { PasswordHasher } from '../../lib/auth/password-hash.ts';
import { SqliteUsers } from '../../lib/auth/sqlite-users.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import { authenticatorSuite } from '../../lib/conformance/authenticator.ts';
import { SyncError } from '../../lib/errors.ts';
import { CHEAP } from './cheap.ts';
import { dataFolder } from './folder.ts';

interface Stub extends Authenticator {
  asked: string[];
}

/** People with a password; `own`: a wrong password of theirs is final. */
function people(passwords: Record<string, string>, options: { own?: boolean; down?: boolean } = {}): Stub {
  const asked: string[] = [];
  return {
    asked,
    async authenticate({ username, password }) {
      asked.push(`${username}:${password}`);
      if (options.down === true) throw new SyncError('AUTH_UNAVAILABLE', 'down');
      return Object.hasOwn(passwords, username) && passwords[username] === password ? { loginName: username } : null;
    },
    ...(options.own === true ? { decides: ({ username }: { username: string }) => Object.hasOwn(passwords, username) } : {}),
  };
}

const ask = (chain: Authenticator, username: string, password: string): Promise<unknown> => chain.authenticate({ username, password });

authenticatorSuite({
  name: 'a chain of users in the data folder and a directory',
  make: async () => {
    const database = await UsersDatabase.open(dataFolder());
    const hasher = new PasswordHasher(CHEAP);
    const local = new SqliteUsers(database, { hasher });
    await local.add('ann', 'Secret 1');
    const broken = { down: false };
    return {
      authenticator: chainedAuthenticator([local, people({ bob: 'Secret 2' }, broken)]),
      right: { username: 'bob', password: 'Secret 2' },
      unknownUsername: 'nobody',
      hashComputations: () => hasher.computations,
      breakDown: () => void (broken.down = true),
      close: () => database.close(),
    };
  },
});

test('the first that accepts decides, and nobody after it is asked', async () => {
  const [first, second, third] = [people({ ann: '1' }), people({ ann: '2', bob: '2' }), people({ ann: '3' })];
  const chain = chainedAuthenticator([first, second, third]);
  assert.deepEqual(await ask(chain, 'ann', '2'), { loginName: 'ann' });
  assert.deepEqual([first.asked.length, second.asked.length, third.asked.length], [1, 1, 0]);
});

test('a wrong password of a user of our own never comes to the directory, where it would lock an account', async () => {
  const directory = people({ ann: 'directory' });
  const chain = chainedAuthenticator([people({}), people({ ann: 'local' }, { own: true }), directory]);
  assert.equal(await ask(chain, 'ann', 'wrong'), null);
  assert.equal(await ask(chain, 'ann', 'directory'), null);
  assert.deepEqual(directory.asked, []);
  assert.equal(await ask(chain, 'carl', 'wrong'), null);
  assert.deepEqual(directory.asked, ['carl:wrong']);
});

test('a user of the data folder decides with a password or when disabled, and not as a mere name', async () => {
  const database = await UsersDatabase.open(dataFolder());
  const local = new SqliteUsers(database, { hasher: new PasswordHasher(CHEAP) });
  try {
    await local.add('ann', 'Secret 1');
    await local.addWithHash('bob', null);
    const directory = people({ ann: 'x', bob: 'y' });
    const chain = chainedAuthenticator([local, directory]);
    assert.equal(await ask(chain, 'ANN', 'x'), null);
    assert.deepEqual(await ask(chain, 'bob', 'y'), { loginName: 'bob' });
    await local.disable('bob');
    assert.equal(await ask(chain, 'bob', 'y'), null);
    assert.deepEqual(directory.asked, ['bob:y']);
  } finally {
    await database.close();
  }
});

test('one that is down keeps out none of the others; but when nobody accepts, nobody knows', async () => {
  const unavailable = { code: 'AUTH_UNAVAILABLE' };
  for (const down of [0, 1, 2]) {
    const members = [0, 1, 2].map((i) => people({ [`user${i}`]: 'right' }, { own: true, down: i === down }));
    const chain = chainedAuthenticator(members);
    for (const i of [0, 1, 2]) {
      if (i === down) await assert.rejects(ask(chain, `user${i}`, 'right'), unavailable);
      else assert.deepEqual(await ask(chain, `user${i}`, 'right'), { loginName: `user${i}` }, `${down} is down`);
    }
    await assert.rejects(ask(chain, 'nobody', 'x'), unavailable);
  }
  // the wrong password of a user of our own is wrong, unless one before could have accepted it
  const local = people({ ann: 'local' }, { own: true });
  assert.equal(await ask(chainedAuthenticator([local, people({}, { down: true })]), 'ann', 'wrong'), null);
  await assert.rejects(ask(chainedAuthenticator([people({}, { down: true }), local]), 'ann', 'wrong'), unavailable);
});

test('one that cannot tell whether a user is its own leaves it open', async () => {
  const torn: Authenticator = { authenticate: async () => null, decides: () => Promise.reject(new SyncError('AUTH_UNAVAILABLE', 'down')) };
  await assert.rejects(ask(chainedAuthenticator([torn, people({})]), 'ann', 'x'), { code: 'AUTH_UNAVAILABLE' });
});

test('a user is still allowed if one of the chain says so; no means that all say no', async () => {
  const allows = (answer: boolean): Authenticator => ({ ...people({}), stillAllowed: async () => answer, recheckMinutes: 60 });
  const still = (...members: Authenticator[]): Promise<boolean> => chainedAuthenticator(members).stillAllowed!('ann');
  const local = people({ ann: 'x' }, { own: true });
  const others = people({ bob: 'x' }, { own: true });
  assert.equal(await still(local, allows(false)), true);
  assert.equal(await still(others, allows(true)), true);
  assert.equal(await still(others, allows(false)), false);
  await assert.rejects(still(people({}), allows(false)), { code: 'AUTH_UNAVAILABLE' });
  assert.equal(chainedAuthenticator([others, allows(true), { ...allows(true), recheckMinutes: 5 }]).recheckMinutes, 5);
  assert.equal(chainedAuthenticator([others]).recheckMinutes, undefined);
});

test('what keys rest on is told by the first who knows the user, and nobody\'s absence is the answer of all', async () => {
  const basis = (of: Record<string, string>, later = false): Authenticator => ({
    ...people({}),
    keyBasis: (name) => (later ? Promise.resolve(of[name] ?? null) : (of[name] ?? null)),
  });
  for (const later of [false, true]) {
    const chain = chainedAuthenticator([people({}), basis({ ann: '1' }, later), basis({ ann: '2', bob: '2' })]);
    assert.deepEqual([await chain.keyBasis!('ann'), await chain.keyBasis!('bob'), await chain.keyBasis!('carl')], ['1', '2', undefined]);
  }
});

test('closing closes all; an empty chain is refused', async () => {
  let closed = 0;
  const member: Authenticator = { ...people({}), close: async () => void closed++ };
  await chainedAuthenticator([member, people({}), member]).close!();
  assert.equal(closed, 2);
  assert.throws(() => chainedAuthenticator([]), TypeError);
});
