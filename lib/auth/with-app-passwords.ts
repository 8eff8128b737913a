import { appPasswordHash, appPasswordLetters } from './app-passwords.ts';
import type { AuthenticatedUser, Authenticator, Credentials } from './authenticator.ts';
import { loginNameOrNull } from './login-names.ts';
import type { UsersDatabase } from './users-database.ts';

export interface AppPasswordsFirstOptions {
  /** Whom all other passwords are shown to. */
  rest: Authenticator;
  database: UsersDatabase;
  /** Milliseconds since 1970. Default: the clock. */
  now?: () => number;
}

/**
 * App passwords, then everything else. What has the form of an app password, checksum included, is one of ours, and is shown to nobody further,
 * also where it is wrong: revoked, out of date, or another person's. So it locks no account in a directory, and a directory does not
 * learn it. A mistyped one is a wrong password like any other.
 *
 * Whether the person still may sign in is asked where the person comes from: keys of an app password end, and are refused, with the account. As
 * long as that cannot be asked, app passwords go on.
 */
export function withAppPasswords({ rest, database, now = Date.now }: AppPasswordsFirstOptions): Authenticator {
  const signedIn = async (letters: string, { username, at }: Credentials): Promise<AuthenticatedUser | null> => {
    if (at === 'page') return null;
    const name = loginNameOrNull(username);
    const user = name === null ? undefined : database.userByLoginName(name);
    const found = database.appPasswordByHash(appPasswordHash(letters));
    if (user === undefined || found?.user_id !== user.id || user.disabled !== 0) return null;
    const nowSecs = Math.floor(now() / 1000);
    if (found.expires_secs !== null && found.expires_secs <= nowSecs) return null;
    if (user.provider === null && !await isStillThere(rest, user.login_name)) return null;
    // for the list of app passwords: a disk that is full keeps nobody out
    void database.write('markAppPasswordUsed', found.id, nowSecs).catch(() => {});
    return {
      loginName: user.login_name,
      appPasswordId: found.id,
      ...(found.expires_secs === null ? {} : { expiresSecs: found.expires_secs }),
    };
  };

  const { stillAllowed, keyBasis, recheckMinutes } = rest;
  return {
    async authenticate(credentials) {
      const letters = appPasswordLetters(credentials.password);
      return letters === null ? rest.authenticate(credentials) : signedIn(letters, credentials);
    },
    async decides(credentials) {
      return appPasswordLetters(credentials.password) !== null || await rest.decides?.(credentials) === true;
    },
    ...(stillAllowed === undefined ? {} : { stillAllowed: (loginName: string) => stillAllowed.call(rest, loginName) }),
    ...(keyBasis === undefined ? {} : { keyBasis: (loginName: string) => keyBasis.call(rest, loginName) }),
    ...(recheckMinutes === undefined ? {} : { recheckMinutes }),
    close: async () => rest.close?.(),
  };
}

async function isStillThere(rest: Authenticator, loginName: string): Promise<boolean> {
  if (await rest.keyBasis?.(loginName) === null) return false;
  if (rest.stillAllowed === undefined || !(Number(rest.recheckMinutes) > 0)) return true;
  try {
    return await rest.stillAllowed(loginName);
  } catch {
    return true;
  }
}
