import { SyncError } from '../errors.ts';
import { redacted } from '../redaction.ts';
import type { AuthenticatedUser, Authenticator, Credentials, User } from './authenticator.ts';
import type { LoginLimits } from './login-limits.ts';
import type { UserDirectory } from './user-directory.ts';

export interface SignInOptions {
  authenticator: Authenticator;
  directory: UserDirectory;
  /** None: no limits. */
  limits?: LoginLimits | undefined;
}

export interface SignedIn extends Pick<AuthenticatedUser, 'appPasswordId' | 'expiresSecs' | 'passwordMark'> {
  user: User;
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
    return (await this.signedIn(credentials, signal)).user;
  }

  /** As `user`, with what a host key of this login has to remember. */
  async signedIn(credentials: Credentials, signal?: AbortSignal): Promise<SignedIn> {
    let refusal: SyncError | undefined;
    const check = async (): Promise<SignedIn | null> => {
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
    const signedIn = await (limits === undefined ? check() : limits.attempt({ username, clientAddress, signal }, check));
    if (signedIn === null) throw refusal ?? new SyncError('PASSWORD_WRONG', 'wrong user name or password');
    return signedIn;
  }

  async #check(credentials: Credentials): Promise<SignedIn | null> {
    const found = await this.#options.authenticator.authenticate(credentials);
    if (found === null) return null;
    const { loginName, appPasswordId, expiresSecs, provider, passwordMark } = found;
    if (appPasswordId === undefined) {
      const user = await this.#options.directory.userFor(loginName, { provider: provider ?? null });
      return { user, ...(passwordMark === undefined ? {} : { passwordMark }) };
    }
    // an app password says nothing of where the person comes from
    const user = await this.#options.directory.userFor(loginName);
    return { user, appPasswordId, ...(expiresSecs === undefined ? {} : { expiresSecs }) };
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
