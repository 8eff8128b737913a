import type { Authenticator, User } from '../authenticator.ts';
import { userOf, type UsersDatabase } from '../users-database.ts';
import { UsersError } from '../users-error.ts';
import type { OidcUser } from '../users-rows.ts';
import { OidcError } from './oidc.ts';
import type { OidcSettings } from './settings.ts';

export interface OidcSubject {
  settings: OidcSettings;
  /** `sub` of the ID token: the person at this issuer, whatever the name is. */
  subject: string;
  /** What the claims make of it; matters at the first sign-in alone. */
  loginName: string;
}

/** Who is whose: a user belongs to the subject of an issuer that came first, so that nobody gets another's cards by taking the name. */
export interface OidcSubjects {
  /** @throws OidcError refused, name-taken */
  userOf(subject: OidcSubject): Promise<User>;
}

/** @param authenticator of all others who sign in here: a name that one of them knows is not free */
export function sqliteOidcSubjects(database: UsersDatabase, authenticator: Authenticator, now: () => number = Date.now): OidcSubjects {
  return {
    async userOf({ settings, subject, loginName }: OidcSubject): Promise<User> {
      const { id } = settings;
      const isTaken = database.userByLoginName(loginName) === undefined && await isSomebody(authenticator, loginName);
      let found: OidcUser;
      try {
        found = await database.write('oidcUser', {
          issuer: settings.issuer.href,
          subject,
          loginName,
          provider: `oidc:${id}`,
          isTaken,
          linkExisting: settings.linkExistingUsers,
          nowSecs: Math.floor(now() / 1000),
        });
      } catch (error) {
        if (!(error instanceof UsersError)) throw error;
        throw new OidcError('refused', 'Your user name cannot be used here. Please ask the administrator.', { detail: `${id}: "${loginName}": ${error.message}` });
      }
      if ('row' in found) return userOf(found.row);
      if (found.refused === 'disabled') throw new OidcError('refused', 'This account is disabled here.', { detail: `${id}: the user "${loginName}" is disabled` });
      throw new OidcError('name-taken', `The user name "${loginName}" belongs to another account here. If that is yours too, ask the administrator to link them.`, {
        detail: `${id}: "${loginName}" ${REFUSED[found.refused]}`,
      });
    },
  };
}

/** Whether somebody of this name may come who never came yet. A directory that cannot be asked has its say when the person comes. */
async function isSomebody(authenticator: Authenticator, loginName: string): Promise<boolean> {
  if (await authenticator.decides?.({ username: loginName, password: '' }) === true) return true;
  if (authenticator.stillAllowed === undefined || !(Number(authenticator.recheckMinutes) > 0)) return false;
  return authenticator.stillAllowed(loginName).catch(() => false);
}

const REFUSED = {
  'another subject': 'is bound to another account of a provider; if it is the same person: anki-sync user link NAME',
  'another account': 'is there already, and signs in another way; if it is the same person: anki-sync user link NAME (or linkExistingUsers, for all)',
  'a folder': 'is no user, but there is a folder of this name in the data folder; if it is this person\'s: anki-sync user add NAME, then user link NAME',
};
