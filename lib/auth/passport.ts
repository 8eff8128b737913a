import { SyncError } from '../errors.ts';
import type { AuthenticatedUser, Authenticator, Credentials } from './authenticator.ts';

/** What of a passport strategy is used. The package itself is not needed here. */
export interface PassportStrategy {
  // a strategy gets whatever request its framework has
  authenticate(request: any, options?: any): unknown;
}

export interface PassportAuthenticatorOptions {
  /**
   * The login name of a profile (what the strategy's `success` gets) and of the name as typed. One name per person, always the same:
   * take it from the profile. Null refuses. Default: the profile itself where it is text, or else its `username`.
   */
  loginName?: (profile: any, typed: string) => string | null | undefined;
  /** Where the strategy looks in the request's body. Defaults `username` and `password`, as the strategies'. */
  usernameField?: string;
  passwordField?: string;
  /** Handed to the strategy's `authenticate`. */
  strategyOptions?: object;
  /** After that, sign-in is not possible now. Default 20: clients give up after 30. */
  timeoutSecs?: number;
}

/**
 * Any passport strategy for user name and password (passport-local, passport-ldapauth, passport-http's Basic, …) as an authenticator,
 * without Express and without sessions. One that sends people to a page (OAuth, OIDC, SAML) cannot work: Anki has no browser.
 *
 * `success` signs in, `fail` refuses; `error`, `pass`, `redirect`, a failure with a status of 500 or more, credentials that the
 * strategy does not find, no answer in time: AUTH_UNAVAILABLE, so that clients keep their keys.
 *
 * @example
 * const strategy = new LdapStrategy({ server: { url, bindDN, bindCredentials, searchBase, searchFilter: '(uid={{username}})' } });
 * const authenticator = passportAuthenticator(strategy, { loginName: (person) => person.uid });
 */
export function passportAuthenticator(strategy: PassportStrategy, options: PassportAuthenticatorOptions = {}): Authenticator {
  if (typeof strategy?.authenticate !== 'function') throw new TypeError('passportAuthenticator needs a passport strategy');
  const { timeoutSecs = 20, loginName = nameOf } = options;
  return {
    async authenticate(credentials) {
      if (credentials.username === '' || credentials.password === '') return null;
      const outcome = await ask(strategy, credentials, options, timeoutSecs * 1000);
      if (outcome === null) return null;
      const name = loginName(outcome.profile, credentials.username);
      if (name === null) return null;
      if (typeof name !== 'string' || name === '') throw unavailable('the profile has no user name: give passportAuthenticator a loginName');
      return { loginName: name } satisfies AuthenticatedUser;
    },
  };
}

function ask(
  strategy: PassportStrategy,
  credentials: Credentials,
  options: PassportAuthenticatorOptions,
  timeoutMillis: number,
): Promise<{ profile: unknown } | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(unavailable('the passport strategy did not answer in time')), timeoutMillis);
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      act();
    };
    const failed = (error: unknown): void => settle(() => reject(unavailable('the passport strategy failed', error)));
    // as passport does it: each request has a strategy of its own, with these to call
    const asked = Object.assign(Object.create(strategy) as PassportStrategy, {
      success: (profile: unknown) => settle(() => (profile === undefined || profile === null || profile === false
        ? reject(unavailable('the passport strategy succeeded without a profile'))
        : resolve({ profile }))),
      fail: (challenge: unknown, status?: number) => settle(() => {
        // a strategy may call a directory that is down a failure, and so does one that looks for other fields
        const reason = typeof challenge === 'number' ? challenge : status;
        if (reason === undefined || (reason !== 400 && reason < 500)) resolve(null);
        else reject(unavailable(reason === 400 ? 'the passport strategy found no credentials: see usernameField and passwordField' : 'the passport strategy failed', challenge));
      }),
      error: failed,
      pass: () => settle(() => reject(unavailable('the passport strategy passed, and nobody else is there'))),
      redirect: () => settle(() => reject(unavailable('the passport strategy wants a browser: Anki has none'))),
    });
    try {
      const answer = asked.authenticate(requestOf(credentials, options), options.strategyOptions ?? {});
      if (answer instanceof Promise) answer.catch(failed);
    } catch (error) {
      failed(error);
    }
  });
}

/** What a form of a login page would have sent to Express. */
function requestOf({ username, password, clientAddress }: Credentials, options: PassportAuthenticatorOptions): object {
  const basic = Buffer.from(`${username}:${password}`).toString('base64');
  const connection = { remoteAddress: clientAddress, encrypted: true };
  return {
    method: 'POST',
    url: '/',
    originalUrl: '/',
    // the name ends at the first colon in this form
    headers: username.includes(':') ? {} : { authorization: `Basic ${basic}` },
    body: bodyOf([[options.usernameField ?? 'username', username], [options.passwordField ?? 'password', password]]),
    query: {},
    params: {},
    ip: clientAddress,
    connection,
    socket: connection,
  };
}

/** Fields may be named `user[email]`. */
function bodyOf(fields: readonly [string, string][]): Record<string, unknown> {
  const body = Object.create(null) as Record<string, unknown>;
  for (const [field, value] of fields) {
    const path = field.replaceAll(']', '').split('[');
    let inside = body;
    for (const name of path.slice(0, -1)) inside = (inside[name] ??= Object.create(null)) as Record<string, unknown>;
    inside[path.at(-1)!] = value;
  }
  return body;
}

function nameOf(profile: unknown): string | undefined {
  if (typeof profile === 'string') return profile;
  const name = (profile as { username?: unknown }).username;
  return typeof name === 'string' ? name : undefined;
}

function unavailable(message: string, cause?: unknown): SyncError {
  const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : typeof cause === 'string' ? cause : undefined;
  return new SyncError('AUTH_UNAVAILABLE', message, { ...(reason === undefined ? {} : { detail: `${message}: ${reason}` }), cause });
}
