import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import type { Authenticator } from '../auth/authenticator.ts';

export interface AuthenticatorUnderTest {
  authenticator: Authenticator;
  /** A user who may sign in. */
  right: { username: string; password: string };
  /** A name that nobody has. */
  unknownUsername: string;
  /** How many hashes were computed so far; given by implementations that keep hashes themselves. */
  hashComputations?(): number;
  /** Makes the authenticator unable to know, for instance by taking its directory away. */
  breakDown?(): Promise<void> | void;
  close?(): Promise<void> | void;
}

export interface AuthenticatorSuiteOptions {
  /** Of the implementation, for the report. */
  name: string;
  make(): Promise<AuthenticatorUnderTest> | AuthenticatorUnderTest;
}

/**
 * What every `Authenticator` must do. Call it in a file that `node --test` runs.
 *
 * @example
 * authenticatorSuite({ name: 'portal', make: () => ({ authenticator: portalUsers(), right: { username: 'ann', password: 'secret' }, unknownUsername: 'nobody' }) });
 */
export function authenticatorSuite({ name, make }: AuthenticatorSuiteOptions): void {
  const test = (sentence: string, body: (subject: AuthenticatorUnderTest, context: TestContext) => Promise<void>): void => {
    it(sentence, async (context) => {
      const subject = await make();
      try {
        await body(subject, context);
      } finally {
        await subject.close?.();
        await subject.authenticator.close?.();
      }
    });
  };

  describe(`authenticator: ${name}`, () => {
    test('the right password signs in, with the same login name each time', async ({ authenticator, right }) => {
      const first = await authenticator.authenticate(right);
      assert.equal(typeof first?.loginName, 'string');
      assert.notEqual(first?.loginName, '');
      assert.deepEqual(await authenticator.authenticate({ ...right, clientAddress: '192.0.2.1' }), first);
    });

    test('a wrong password is null, not an error', async ({ authenticator, right }) => {
      for (const password of [`${right.password}x`, right.password.slice(0, -1) || 'x', ` ${right.password}`, swapCase(right.password)]) {
        assert.equal(await authenticator.authenticate({ ...right, password }), null);
      }
    });

    test('an unknown user is null, also with a password that is right for another', async ({ authenticator, right, unknownUsername }) => {
      assert.equal(await authenticator.authenticate({ username: unknownUsername, password: right.password }), null);
    });

    test('an empty password is refused, for a known and for an unknown user', async ({ authenticator, right, unknownUsername }) => {
      assert.equal(await authenticator.authenticate({ username: right.username, password: '' }), null);
      assert.equal(await authenticator.authenticate({ username: unknownUsername, password: '' }), null);
    });

    test('names of any form are null, not an error', async ({ authenticator, right }) => {
      const names = ['', ' ', '.', '..', '../x', 'a/b', 'a\\b', 'a\0b', 'a\nb', '*', '%', "' OR 1=1 --", '\ud800', '__proto__', 'constructor', 'x'.repeat(100_000), '🃏'];
      for (const username of names) assert.equal(await authenticator.authenticate({ username, password: right.password }), null, JSON.stringify(username.slice(0, 20)));
    });

    test('passwords of any form are null, not an error', async ({ authenticator, right }) => {
      for (const password of ['\0', '\ud800', `${right.password}\0`, 'x'.repeat(100_000), '$argon2id$', '__proto__']) {
        assert.equal(await authenticator.authenticate({ ...right, password }), null, JSON.stringify(password.slice(0, 20)));
      }
    });

    test('logins at the same time do not mix', async ({ authenticator, right, unknownUsername }) => {
      const answers = await Promise.all([
        authenticator.authenticate(right),
        authenticator.authenticate({ ...right, password: `${right.password}x` }),
        authenticator.authenticate({ username: unknownUsername, password: right.password }),
        authenticator.authenticate(right),
      ]);
      assert.deepEqual(answers.map((answer) => answer !== null), [true, false, false, true]);
    });

    test('an unknown user costs as many hash computations as a wrong password', async ({ authenticator, right, unknownUsername, hashComputations }, context) => {
      if (hashComputations === undefined) return context.skip('it keeps no hashes itself');
      const cost = async (username: string, password: string): Promise<number> => {
        const before = hashComputations();
        await authenticator.authenticate({ username, password });
        return hashComputations() - before;
      };
      const wrong = await cost(right.username, `${right.password}x`);
      assert.ok(wrong > 0);
      assert.equal(await cost(unknownUsername, right.password), wrong);
      assert.equal(await cost('../x', right.password), wrong);
    });

    test('it throws when it cannot know: null would throw keys away', async ({ authenticator, right, breakDown }, context) => {
      if (breakDown === undefined) return context.skip('no way to break it down was given');
      await breakDown();
      await assert.rejects(async () => authenticator.authenticate(right));
    });
  });
}

function swapCase(text: string): string {
  const swapped = text.toUpperCase() === text ? text.toLowerCase() : text.toUpperCase();
  return swapped === text ? `${text}x` : swapped;
}
