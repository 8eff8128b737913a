import { SyncError } from '../errors.ts';
import type { AuthenticatedUser, Authenticator, Credentials, KeyBasis } from './authenticator.ts';

/**
 * Several authenticators as one, asked in order until one accepts, or one that `decides` about the user refuses. Cheap ones and those
 * of our own come first: app passwords, then users of the data folder, then a directory, which locks an account after some wrong
 * passwords, and so is not asked about passwords that were meant for another.
 *
 * When nobody accepts and one of them could not be asked, nobody knows: the first error is thrown, and no key is thrown away.
 * Whoever accepts, accepts: a directory that is down keeps out none of the others.
 *
 * A login name is one person, whichever of them vouches for it.
 */
export function chainedAuthenticator(members: readonly Authenticator[]): Authenticator {
  if (members.length === 0) throw new TypeError('a chain of authenticators needs at least one');
  const intervals = members.map(({ recheckMinutes }) => recheckMinutes ?? 0).filter((minutes) => minutes > 0);
  return {
    async authenticate(credentials: Credentials): Promise<AuthenticatedUser | null> {
      let failure: unknown;
      for (const member of members) {
        try {
          const found = await member.authenticate(credentials);
          if (found !== null) return found;
          if (await member.decides?.(credentials) === true) break;
        } catch (error) {
          failure ??= error ?? new Error('an authenticator failed');
        }
      }
      if (failure !== undefined) throw failure;
      return null;
    },

    async decides(credentials) {
      for (const member of members) if (await member.decides?.(credentials) === true) return true;
      return false;
    },

    // asked in vain by those that do not know the user: one that does not ask again, or does not know, leaves the question open
    async stillAllowed(loginName) {
      let failure: unknown;
      for (const member of members) {
        try {
          if (member.stillAllowed !== undefined) {
            if (await member.stillAllowed(loginName)) return true;
          } else if (member.decides === undefined) {
            failure ??= new SyncError('AUTH_UNAVAILABLE', 'one of the chain cannot tell who still may sign in');
          } else if (await member.decides({ username: loginName, password: '' })) return true;
        } catch (error) {
          failure ??= error;
        }
      }
      if (failure !== undefined) throw failure;
      return false;
    },

    ...(intervals.length > 0 ? { recheckMinutes: Math.min(...intervals) } : {}),

    keyBasis: (loginName) => firstBasis(members, loginName),

    async close() {
      await Promise.all(members.map((member) => member.close?.()));
    },
  };
}

/** A user whom one does not know may be another's, so nobody's null is the answer of all. */
function firstBasis(members: readonly Authenticator[], loginName: string): KeyBasis | Promise<KeyBasis> {
  for (const [index, member] of members.entries()) {
    const basis = member.keyBasis?.(loginName);
    if (basis instanceof Promise) return basis.then((each) => each ?? firstBasis(members.slice(index + 1), loginName));
    if (typeof basis === 'string') return basis;
  }
  return undefined;
}
