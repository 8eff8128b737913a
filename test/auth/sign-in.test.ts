import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Authenticator, User } from '../../lib/auth/authenticator.ts';
import { LoginLimits } from '../../lib/auth/login-limits.ts';
import { SignIn } from '../../lib/auth/sign-in.ts';
import type { UserDirectory } from '../../lib/auth/user-directory.ts';
import { SyncError } from '../../lib/errors.ts';

const ANN: User = { id: 'id', loginName: 'ann', folder: 'ann' };
const CREDENTIALS = { username: 'ann', password: 'canary-password', clientAddress: '203.0.113.1' };

function directory(disabled = false): UserDirectory {
  return {
    async userFor() {
      if (disabled) throw new SyncError('PASSWORD_WRONG', 'wrong user name or password', { detail: 'the user is disabled' });
      return ANN;
    },
    userById: async () => ANN,
    list: async () => [ANN],
  };
}

const answering = (act: () => unknown): Authenticator => ({ authenticate: async () => act() as never });
const fails = (code: string, detail?: string) => (error: unknown) => error instanceof SyncError && error.code === code && (detail === undefined || error.detail === detail);

test('a right password leads to the user of the directory', async () => {
  const signIn = new SignIn({ authenticator: answering(() => ({ loginName: 'Ann' })), directory: directory(), limits: new LoginLimits() });
  assert.equal(await signIn.user(CREDENTIALS), ANN);
});

test('a wrong password, a refusal and a disabled user are PASSWORD_WRONG, and count', async () => {
  const refuse = (): never => {
    throw new SyncError('PASSWORD_WRONG', 'no', { detail: 'why' });
  };
  const kinds: [Authenticator, UserDirectory, string | undefined][] = [
    [answering(() => null), directory(), undefined],
    [answering(refuse), directory(), 'why'],
    [answering(() => ({ loginName: 'ann' })), directory(true), 'the user is disabled'],
  ];
  for (const [authenticator, users, detail] of kinds) {
    const signIn = new SignIn({ authenticator, directory: users, limits: new LoginLimits({ perUserAndAddress: 2 }) });
    for (let i = 0; i < 2; i++) await assert.rejects(signIn.user(CREDENTIALS), fails('PASSWORD_WRONG', detail));
    await assert.rejects(signIn.user(CREDENTIALS), fails('LOGIN_LIMITED'));
  }
});

test('without limits it is the same, as often as one likes', async () => {
  const signIn = new SignIn({ authenticator: answering(() => null), directory: directory() });
  for (let i = 0; i < 30; i++) await assert.rejects(signIn.user(CREDENTIALS), fails('PASSWORD_WRONG'));
});

test('an error that quotes the password loses it, and its code and time stay', async () => {
  const { password } = CREDENTIALS;
  const errors: [unknown, string, string][] = [
    [new Error(`bind(${password}) failed`), 'AUTH_UNAVAILABLE', 'Error: bind([secret]) failed'],
    [new SyncError('BUSY', 'busy', { detail: `with ${password}`, retryAfterSecs: 77 }), 'BUSY', 'with [secret]'],
    [new SyncError('AUTH_UNAVAILABLE', `no ${password}`), 'AUTH_UNAVAILABLE', 'no [secret]'],
  ];
  for (const [thrown, code, detail] of errors) {
    const signIn = new SignIn({
      authenticator: answering(() => {
        throw thrown;
      }),
      directory: directory(),
    });
    const error: unknown = await signIn.user(CREDENTIALS).catch((each: unknown) => each);
    assert.ok(error instanceof SyncError);
    assert.deepEqual([error.code, error.detail], [code, detail]);
    assert.doesNotMatch(error.message, /canary/);
    if (code === 'BUSY') assert.equal(error.retryAfterSecs, 77);
  }
});
