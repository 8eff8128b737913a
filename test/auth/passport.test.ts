import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Strategy as LocalStrategy } from 'passport-local';
import { passportAuthenticator, type PassportAuthenticatorOptions, type PassportStrategy } from '../../lib/auth/passport.ts';
import { authenticatorSuite } from '../../lib/conformance/authenticator.ts';
import { SyncError } from '../../lib/errors.ts';
import { RawClient } from '../client/raw.ts';
import { runningServer } from '../server/running-server.ts';

const RIGHT = { username: 'ann', password: 'Secret 1' };

/** Calls back later, as one that asks a database does. */
function portal(state = { down: false }): LocalStrategy {
  return new LocalStrategy((username, password, done) => {
    setImmediate(() => {
      if (state.down) done(new Error('the database of the portal is down'));
      else if (username === RIGHT.username && password === RIGHT.password) done(null, { id: 7, username });
      else done(null, false, { message: 'wrong' });
    });
  });
}

authenticatorSuite({
  name: 'passport-local',
  make: () => {
    const state = { down: false };
    return { authenticator: passportAuthenticator(portal(state)), right: RIGHT, unknownUsername: 'nobody', breakDown: () => void (state.down = true) };
  },
});

/** A strategy that does one thing; passport puts `success` and the others into it. */
interface Actions {
  success(profile?: unknown): void;
  fail(challenge?: unknown, status?: number): void;
  error(error: unknown): void;
  pass(): void;
  redirect(url: string): void;
}
function strategy(act: (self: Actions, request: any, options: any) => unknown): PassportStrategy {
  return { authenticate(this: unknown, request: unknown, options: unknown) {
    return act(this as Actions, request, options);
  } };
}
const ask = (act: Parameters<typeof strategy>[0], options?: PassportAuthenticatorOptions, credentials = RIGHT): Promise<unknown> =>
  passportAuthenticator(strategy(act), options).authenticate(credentials);

test('the user name comes from the profile: text, its username, or what the option makes of it', async () => {
  assert.deepEqual(await ask((self) => self.success('Ann')), { loginName: 'Ann' });
  assert.deepEqual(await ask((self) => self.success({ username: 'Ann' })), { loginName: 'Ann' });
  const loginName = (profile: { uid: string }, typed: string): string => `${profile.uid}/${typed}`;
  assert.deepEqual(await ask((self) => self.success({ uid: 'u7' }), { loginName }), { loginName: 'u7/ann' });
  assert.equal(await ask((self) => self.success({ uid: 'u7' }), { loginName: () => null }), null);
});

test('a profile without a user name signs nobody in: the name as typed would be another one each time', async () => {
  for (const profile of [{}, { username: '' }, { username: 5 }, { id: 1 }, true]) {
    await assert.rejects(ask((self) => self.success(profile)), { code: 'AUTH_UNAVAILABLE', message: /give passportAuthenticator a loginName/ });
  }
  for (const nobody of [undefined, null, false]) await assert.rejects(ask((self) => self.success(nobody)), { code: 'AUTH_UNAVAILABLE' });
});

test('a failure refuses, whatever challenge it has', async () => {
  for (const challenge of [undefined, 'Basic realm="Users"', { message: 'wrong' }, 401]) assert.equal(await ask((self) => self.fail(challenge)), null);
  for (const status of [401, 403, 429]) assert.equal(await ask((self) => self.fail({ message: 'x' }, status)), null);
});

const UNAVAILABLE: [string, Parameters<typeof strategy>[0], RegExp][] = [
  ['has an error', (self) => self.error(new Error('ECONNREFUSED')), /failed: Error: ECONNREFUSED/],
  ['throws', () => { throw new TypeError('no host'); }, /failed: TypeError: no host/],
  ['rejects', () => Promise.reject(new Error('late')), /failed: Error: late/],
  ['calls a failure of its own a 500', (self) => self.fail(new Error('directory down'), 500), /failed: Error: directory down/],
  ['looks for the credentials elsewhere', (self) => self.fail({ message: 'Missing credentials' }, 400), /usernameField/],
  ['passes', (self) => self.pass(), /nobody else is there/],
  ['sends people to a page', (self) => self.redirect('https://idp.example.org/?state=canary'), /wants a browser: Anki has none$/],
];
for (const [what, act, reason] of UNAVAILABLE) {
  test(`a strategy that ${what} keeps nobody's key from working: it is 503`, async () => {
    await assert.rejects(ask(act), (error: unknown) => error instanceof SyncError && error.status === 503 && reason.test(error.detail ?? error.message));
  });
}

test('a strategy that never answers is given up, and one that answers twice is heard once', async () => {
  await assert.rejects(ask(() => {}, { timeoutSecs: 0.01 }), { code: 'AUTH_UNAVAILABLE', message: /in time/ });
  const twice = await ask((self) => {
    self.fail();
    self.success('ann');
    self.error(new Error('late'));
  });
  assert.equal(twice, null);
});

test('requests at the same time have a strategy of their own, and the given one is not changed', async () => {
  const given = strategy((self, { body }) => setImmediate(() => self.success(body.username)));
  const before = Object.keys(given);
  const authenticator = passportAuthenticator(given);
  const found = await Promise.all(['a', 'b', 'c'].map((username) => authenticator.authenticate({ username, password: 'x' })));
  assert.deepEqual(found.map((each) => each?.loginName), ['a', 'b', 'c']);
  assert.deepEqual(Object.keys(given), before);
});

test('the request is what a form would have sent: fields by any name, Basic, the address; and the strategy\'s own options', async () => {
  let seen: any;
  await ask((self, request, options) => {
    seen = { request, options };
    self.success('ann');
  }, { usernameField: 'user[email]', passwordField: '__proto__', strategyOptions: { badRequestMessage: 'x' } });
  assert.equal(seen.request.body.user.email, 'ann');
  assert.equal(seen.request.body['__proto__'], RIGHT.password);
  assert.equal(Buffer.from(seen.request.headers.authorization.slice(6), 'base64').toString(), 'ann:Secret 1');
  assert.deepEqual(seen.options, { badRequestMessage: 'x' });
  const fields = { usernameField: 'user[email]', passwordField: 'user[pass]' };
  const local = new LocalStrategy(fields, (username, password, done) => done(null, password === RIGHT.password ? username : false));
  assert.deepEqual(await passportAuthenticator(local, fields).authenticate(RIGHT), { loginName: 'ann' });
  await assert.rejects(passportAuthenticator(local).authenticate(RIGHT), { code: 'AUTH_UNAVAILABLE', message: /usernameField/ });
});

test('what is no strategy is refused at once', () => {
  for (const value of [undefined, null, {}, () => {}]) assert.throws(() => passportAuthenticator(value as never), TypeError);
});

test('through a server: right, wrong, and down are 200, 403 and 503, and the password is in no line of the log', async () => {
  const state = { down: false };
  const server = await runningServer({ authenticator: passportAuthenticator(portal(state)) });
  try {
    const login = async (p: string): Promise<number> => (await new RawClient(server.url).post('hostKey', { u: 'ann', p })).status;
    assert.equal(await login(RIGHT.password), 200);
    assert.equal(await login('canary-wrong'), 403);
    state.down = true;
    assert.equal(await login('canary-wrong'), 503);
    assert.match(server.log.at(-1)!.detail!, /the database of the portal is down/);
    assert.doesNotMatch(JSON.stringify(server.log), /canary|Secret 1/);
  } finally {
    await server.stop();
  }
});
