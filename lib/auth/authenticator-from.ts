import { SyncError } from '../errors.ts';
import type { AuthenticatedUser, Authenticator, Credentials } from './authenticator.ts';

/** Answers the login name (or true for the name as typed), or null or false for wrong credentials. Throws when it cannot know. */
export type AuthenticateFunction = (credentials: Credentials) =>
  Promise<AuthenticatedUser | string | boolean | null> | AuthenticatedUser | string | boolean | null;

/**
 * Your own function as an authenticator. What it throws becomes 503, so that clients keep their keys; empty passwords never reach it.
 *
 * @example
 * const authenticator = authenticatorFrom(({ username, password }) => portal.checkPassword(username, password));
 */
export function authenticatorFrom(fn: AuthenticateFunction): Authenticator {
  return {
    async authenticate(credentials) {
      if (credentials.password === '' || credentials.username === '') return null;
      let answer: Awaited<ReturnType<AuthenticateFunction>>;
      try {
        answer = await fn(credentials);
      } catch (error) {
        if (error instanceof SyncError) throw error;
        throw new SyncError('AUTH_UNAVAILABLE', 'the authenticator failed', { cause: error, detail: `the authenticator failed: ${String(error)}` });
      }
      if (answer === null || answer === false) return null;
      if (answer === true) return { loginName: credentials.username };
      if (typeof answer === 'string' && answer !== '') return { loginName: answer };
      if (typeof answer === 'object' && typeof answer.loginName === 'string' && answer.loginName !== '') return { loginName: answer.loginName };
      // undefined is what a function without `return` answers: neither yes nor no
      throw new SyncError('AUTH_UNAVAILABLE', 'the authenticator must answer a login name, true, false or null');
    },
  };
}
