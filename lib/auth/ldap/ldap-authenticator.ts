import { SyncError } from '../../errors.ts';
import type { AuthenticatedUser, Authenticator, Credentials } from '../authenticator.ts';
import { loginNameOrNull } from '../login-names.ts';
import { directBind } from './direct-bind.ts';
import { requireLdapLibrary } from './library.ts';
import { anybodyIsThere, findByGivenName, isInGroup } from './people.ts';
import { Room } from './room.ts';
import { searchThenBind } from './search-then-bind.ts';
import { checkLdapOptions, type LdapOptions } from './settings.ts';

const MAX_PASSWORD_BYTES = 1024;

export interface LdapAuthenticator extends Authenticator {
  stillAllowed(loginName: string): Promise<boolean>;
  readonly recheckMinutes: number;
  /** Connects once. @throws SyncError AUTH_UNAVAILABLE, whose `detail` says what is wrong */
  check(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Users of an LDAP directory: OpenLDAP, Active Directory, FreeIPA, the outposts of Authentik and the like. Needs the package `ldapts`.
 *
 * Says no only if the directory did. When it cannot be asked, or refuses the service account: AUTH_UNAVAILABLE.
 *
 * @example
 * const authenticator = ldapAuthenticator({
 *   url: ['ldaps://ldap1.example.org', 'ldaps://ldap2.example.org'],
 *   bindDn: 'cn=anki,ou=services,dc=example,dc=org',
 *   bindPassword: secrets.ldap,
 *   searchBase: 'ou=people,dc=example,dc=org',
 *   groupFilter: '(&(cn=learners)(member={dn}))',
 *   groupBase: 'ou=groups,dc=example,dc=org',
 * });
 *
 * @throws TypeError for a wrong option, Error when `ldapts` is not installed
 */
export function ldapAuthenticator(options: LdapOptions): LdapAuthenticator {
  const settings = checkLdapOptions(options);
  requireLdapLibrary();
  const room = new Room(settings, options.log);
  const signIn = settings.bindTemplate === undefined ? searchThenBind : directBind;

  return {
    async authenticate({ username, password }: Credentials): Promise<AuthenticatedUser | null> {
      const name = loginNameOrNull(username);
      const typed = usablePassword(password);
      if (name === null || typed === null) return null;
      const loginName = await asked(() => signIn(room, { username: name, password: typed }));
      return loginName === null ? null : { loginName };
    },

    recheckMinutes: settings.recheckMinutes,

    async stillAllowed(loginName: string): Promise<boolean> {
      const { service } = room;
      const base = settings.searchBase;
      if (service === undefined || base === undefined) throw new SyncError('AUTH_UNAVAILABLE', 'without a service account nobody can be looked up');
      return asked(async () => {
        const found = await findByGivenName(service, settings, base, loginName);
        if (found.count === 'one') return isInGroup(service, settings, found.entry.dn, loginName);
        if (found.count === 'none' && (await anybodyIsThere(service, settings, base))) return false;
        throw new Error(found.count === 'none' ? `the service account sees nobody below ${base}` : 'more than one entry matches');
      });
    },

    async check(): Promise<void> {
      await asked(async () => {
        const { service } = room;
        if (service === undefined) return room.withConnection(async () => {});
        const base = settings.searchBase ?? '';
        if (!(await anybodyIsThere(service, settings, base))) {
          throw new Error(`the service account sees nobody with ${settings.nameAttribute} below ${base}`);
        }
      });
    },

    close: () => room.close(),
  };
}

/** With an empty password, directories answer success and mean an anonymous visitor; so may those that end a text at NUL. */
function usablePassword(password: string): string | null {
  const usable = password !== '' && !password.includes('\0') && password.isWellFormed() && Buffer.byteLength(password) <= MAX_PASSWORD_BYTES;
  return usable ? password.normalize('NFC') : null;
}

/** Whatever is not an answer is no answer. The cause stays here: it may hold more than a log should. */
async function asked<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (error) {
    if (error instanceof SyncError) throw error;
    const detail = `LDAP: ${error instanceof Error ? error.message : String(error)}`;
    throw new SyncError('AUTH_UNAVAILABLE', 'the directory cannot be asked now', { detail });
  }
}
