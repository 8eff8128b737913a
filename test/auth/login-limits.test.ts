import assert from 'node:assert/strict';
import { beforeEach, describe, mock, test } from 'node:test';
import { BoundedCounters } from '../../lib/auth/bounded-counters.ts';
import { LoginLimits, type LoginLimitsOptions } from '../../lib/auth/login-limits.ts';
import { SyncError } from '../../lib/errors.ts';

// loaded before the clock is stopped
await import('rate-limiter-flexible');
beforeEach(() => mock.timers.enable({ apis: ['Date', 'setTimeout'] }));
test.afterEach(() => mock.timers.reset());

const MINUTE = 60_000;

/** What came of each: the password was looked at and right or wrong, or it was not looked at. */
class Door {
  readonly limits: LoginLimits;
  looks = 0;

  constructor(options: LoginLimitsOptions = {}) {
    this.limits = new LoginLimits({ perUserAndAddress: 3, perAddress: 6, perUser: 5, ...options });
  }

  async try(username: string, clientAddress: string, outcome: 'right' | 'wrong' | 'down' = 'wrong'): Promise<string> {
    try {
      const found = await this.limits.attempt({ username, clientAddress }, async () => {
        this.looks++;
        if (outcome === 'down') throw new SyncError('AUTH_UNAVAILABLE', 'down');
        return outcome === 'right' ? {} : null;
      });
      return found === null ? 'wrong' : 'right';
    } catch (error) {
      assert.ok(error instanceof SyncError);
      return error.code;
    }
  }

  async times(count: number, username: string, address: string): Promise<string[]> {
    const outcomes = [];
    for (let i = 0; i < count; i++) outcomes.push(await this.try(username, address));
    return outcomes;
  }
}

const HOME = '203.0.113.1';
const ELSEWHERE = '198.51.100.1';

describe('wrong passwords', () => {
  test('for one user from one address are looked at up to the limit, and so is a right one then', async () => {
    const door = new Door();
    assert.deepEqual(await door.times(5, 'ann', HOME), ['wrong', 'wrong', 'wrong', 'LOGIN_LIMITED', 'LOGIN_LIMITED']);
    assert.equal(await door.try('ann', HOME, 'right'), 'LOGIN_LIMITED');
    assert.equal(door.looks, 3);
    assert.equal(await door.try('bob', HOME, 'right'), 'right');
    assert.equal(await door.try('ann', ELSEWHERE, 'right'), 'right');
  });

  test('are forgotten when the window ends, and those that were not looked at do not make it longer', async () => {
    const door = new Door({ windowSecs: 900 });
    await door.times(3, 'ann', HOME);
    mock.timers.tick(14 * MINUTE);
    await assert.rejects(door.limits.attempt({ username: 'ann', clientAddress: HOME }, async () => null), { code: 'LOGIN_LIMITED', retryAfterSecs: 60 });
    mock.timers.tick(MINUTE);
    assert.equal(await door.try('ann', HOME, 'right'), 'right');
  });

  test('are cleared by a right one, for this user at this address', async () => {
    const door = new Door({ perUser: 100 });
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(await door.times(2, 'ann', HOME), ['wrong', 'wrong']);
      assert.equal(await door.try('ann', HOME, 'right'), 'right');
    }
  });

  test('at the same time are no way past the limit', async () => {
    for (const address of [HOME, '127.0.0.1']) {
      const door = new Door({ perUser: 100, perAddress: 100 });
      const outcomes = await Promise.all(Array.from({ length: 30 }, () => door.try('ann', address)));
      assert.equal(outcomes.filter((outcome) => outcome === 'wrong').length, 3, address);
      assert.equal(door.looks, 3);
    }
  });

  test('for many names from one address end that address, and an account of one\'s own does not clear it', async () => {
    const door = new Door();
    const outcomes = [];
    for (let i = 0; i < 8; i++) {
      outcomes.push(await door.try(`user${i}`, HOME));
      // known from then on, so this one is not refused either
      if (i < 7) await door.try('mallory', HOME, 'right');
    }
    assert.deepEqual(outcomes, [...Array<string>(6).fill('wrong'), 'LOGIN_LIMITED', 'LOGIN_LIMITED']);
    assert.equal(await door.try('someone', ELSEWHERE), 'wrong');
  });

  test('from one half of an IPv6 network are from one address', async () => {
    const door = new Door();
    for (let i = 0; i < 3; i++) assert.equal(await door.try('ann', `2001:db8::${i}`), 'wrong');
    assert.equal(await door.try('ann', '2001:db8::9'), 'LOGIN_LIMITED');
  });

  test('from a private network may be from everybody, and have ten times the room', async () => {
    const door = new Door();
    for (let i = 0; i < 60; i++) assert.equal(await door.try(`user${i}`, '10.0.0.1'), 'wrong');
    assert.equal(await door.try('user60', '10.0.0.1'), 'LOGIN_LIMITED');
  });

  test('for one user from many addresses end at the user\'s own limit', async () => {
    const door = new Door();
    for (let i = 0; i < 5; i++) assert.equal(await door.try('ann', `198.51.100.${i}`), 'wrong');
    assert.equal(await door.try('ann', '198.51.100.200'), 'LOGIN_LIMITED');
    assert.equal(await door.try('ann', '198.51.100.201', 'right'), 'LOGIN_LIMITED');
  });

  test('in spellings that a directory takes for one name are for one user', async () => {
    const door = new Door();
    for (const name of ['Zoë', 'ZOE\u0308', ' zoe ']) assert.equal(await door.try(name, HOME), 'wrong');
    for (const name of ['zoe', 'z\u00ADoe', 'Ｚｏｅ', 'zo\u200Be']) assert.equal(await door.try(name, HOME), 'LOGIN_LIMITED', JSON.stringify(name));
  });

  test('that nobody could look at do not count', async () => {
    const door = new Door();
    for (let i = 0; i < 20; i++) assert.equal(await door.try('ann', HOME, 'down'), 'AUTH_UNAVAILABLE');
    assert.equal(await door.try('ann', HOME, 'right'), 'right');
  });
});

describe('where a user is known', () => {
  test('guesses from all over the world keep nobody out', async () => {
    const door = new Door();
    await door.try('ann', HOME, 'right');
    for (let i = 0; i < 10; i++) await door.try('ann', `198.51.100.${i}`);
    assert.equal(await door.try('ann', '198.51.100.99', 'right'), 'LOGIN_LIMITED');
    assert.equal(await door.try('ann', HOME, 'right'), 'right');
  });

  test('because a key is used there, it is the same', async () => {
    const door = new Door();
    door.limits.know('Ann', HOME);
    for (let i = 0; i < 10; i++) await door.try('ann', `198.51.100.${i}`);
    assert.equal(await door.try('ann', HOME, 'right'), 'right');
  });

  test('wrong passwords from there end there too', async () => {
    const door = new Door();
    door.limits.know('ann', HOME);
    assert.deepEqual((await door.times(4, 'ann', HOME)).at(-1), 'LOGIN_LIMITED');
  });

  test('others at that address who guess do not keep the user out', async () => {
    const door = new Door();
    door.limits.know('ann', HOME);
    for (let i = 0; i < 10; i++) await door.try(`user${i}`, HOME);
    assert.equal(await door.try('bob', HOME, 'right'), 'LOGIN_LIMITED');
    assert.equal(await door.try('ann', HOME, 'right'), 'right');
  });
});

test('a flood of strangers does not keep out who is known, nor one stranger more than a turn', async () => {
  const limits = new LoginLimits({ parallel: 2, parallelPerAddress: 1, maxWaiting: 10, maxWaitingPerAddress: 4 });
  limits.know('ann', HOME);
  const gate = Promise.withResolvers<void>();
  const begun: string[] = [];
  const attempt = (username: string, clientAddress: string): Promise<string> => limits
    .attempt({ username, clientAddress }, async () => {
      begun.push(username);
      await gate.promise;
      return 'right';
    })
    .then(() => 'right', (error: SyncError) => error.code);
  const flood = Array.from({ length: 40 }, (_, i) => attempt(`flood${i}`, `198.51.100.${i % 4}`));
  await new Promise(setImmediate);
  const [ann, bob] = [attempt('ann', HOME), attempt('bob', '192.0.2.1')];
  await new Promise(setImmediate);
  gate.resolve();
  assert.deepEqual([await ann, await bob], ['right', 'right']);
  assert.ok((await Promise.all(flood)).includes('BUSY'));
  assert.equal(begun[2], 'ann');
});

describe('counters in memory', () => {
  test('are never more than their bound, and made up names do not free one that is full', async () => {
    const counters = new BoundedCounters({ points: 2, windowSecs: 60, maxKeys: 50 });
    await counters.add('victim');
    await counters.add('victim');
    for (let i = 0; i < 200; i++) await counters.add(`made up ${i}`);
    assert.equal(counters.size, 50);
    assert.equal(await counters.secsUntilOpen('victim'), 60);
    for (let i = 0; i < 200; i++) for (let twice = 0; twice < 2; twice++) await counters.add(`full ${i}`);
    assert.equal(counters.size, 50);
  });

  test('what is given back in a later window is nothing', async () => {
    const counters = new BoundedCounters({ points: 1, windowSecs: 60, maxKeys: 50 });
    await counters.add('a');
    mock.timers.tick(61_000);
    await counters.giveBack('a');
    await counters.giveBack('never');
    assert.equal(await counters.add('a'), 0);
    assert.ok(await counters.add('a') > 0);
  });
});
