import { SyncError } from '../errors.ts';
import { redacted } from '../redaction.ts';
import type { Authenticator, Credentials, User } from './authenticator.ts';
import type { LoginLimits } from './login-limits.ts';
import type { UserDirectory } from './user-directory.ts';

export interface SignInOptions {
  authenticator: Authenticator;
  directory: UserDirectory;
  /** None: no limits. */
  limits?: LoginLimits | undefined;
}

/** The one way from a user name and a password to a user, for Anki clients and for web pages: limits, authenticator, directory. */
export class SignIn {
  readonly #options: SignInOptions;

  constructor(options: SignInOptions) {
    this.#options = options;
  }

  /**
   * The user who may sign in with these credentials.
   *
   * @throws SyncError PASSWORD_WRONG, LOGIN_LIMITED, BUSY, AUTH_UNAVAILABLE
   */
  async user(credentials: Credentials, signal?: AbortSignal): Promise<User> {
    let refusal: SyncError | undefined;
    const check = async (): Promise<User | null> => {
      try {
        return await this.#check(credentials);
      } catch (error) {
        const known = this.#asKnown(error, credentials);
        if (known.code !== 'PASSWORD_WRONG') throw known;
        refusal = known;
        return null;
      }
    };
    const { limits } = this.#options;
    const { username, clientAddress } = credentials;
    const user = await (limits === undefined ? check() : limits.attempt({ username, clientAddress, signal }, check));
    if (user === null) throw refusal ?? new SyncError('PASSWORD_WRONG', 'wrong user name or password');
    return user;
  }

  async #check(credentials: Credentials): Promise<User | null> {
    const found = await this.#options.authenticator.authenticate(credentials);
    return found === null ? null : this.#options.directory.userFor(found.loginName);
  }

  /** Libraries like to quote what they were given. */
  #asKnown(error: unknown, { password }: Credentials): SyncError {
    if (!(error instanceof SyncError)) {
      return new SyncError('AUTH_UNAVAILABLE', 'sign-in is not possible now', { cause: error, detail: redacted(String(error), [password]) });
    }
    const { code, message, detail, cause, retryAfterSecs } = error;
    const clean = redacted(detail ?? message, [password]);
    return clean === (detail ?? message) ? error : new SyncError(code, redacted(message, [password]), { detail: clean, cause, retryAfterSecs });
  }
}
