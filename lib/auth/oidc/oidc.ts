/** What the account page works with: providers of OpenID Connect, one way there and one way back. It keeps the state, and mounts the routes. */
import type { User } from '../authenticator.ts';

/** Providers in the order of the options: a button each. Nothing is asked of any of them before somebody signs in. */
export interface OidcProviders {
  readonly list: readonly OidcProvider[];
  /** By what stands in the path: `account/oidc/<id>`. */
  get(id: string): OidcProvider | undefined;
}

export interface OidcProvider {
  /** Lower-case letters, digits and hyphens: a segment of a path. */
  readonly id: string;
  /** Words of a button: `Example Ltd`. Plain text, to be escaped. */
  readonly name: string;
  /** What it calls itself: whose word a sign-in rests on, whatever the id is. */
  readonly issuer: string;
  /**
   * Where to send the browser, and what its session has to keep until it comes back: for that browser alone, for one time alone.
   *
   * @throws OidcError unavailable
   */
  begin(login: OidcLogin): Promise<OidcBegun>;
  /**
   * Who came back. The user is made at the first sign-in, and is bound to the provider's subject from then on.
   *
   * @param callback the whole URL that was asked for, or its path and query: only the query is looked at
   * @param state what `begin` answered, which the session forgets before this is called; undefined for a session that has none
   * @throws OidcError
   */
  finish(callback: string, state: OidcState | undefined): Promise<OidcSignedIn>;
  /**
   * Where a browser ends the session at the provider too; undefined when the provider has no such address, or cannot be asked now.
   * `returnTo` has to be registered at the provider, as the redirect URI is; left out, people stay there.
   */
  logoutUrl(logout: { logoutHint?: string | undefined; returnTo?: string | undefined }): Promise<string | undefined>;
}

export interface OidcLogin {
  /** Absolute, without a query: `https://example.org/anki/account/oidc/<id>/callback`, as registered at the provider. */
  redirectUri: string;
  /** A user name that was typed already. */
  loginHint?: string;
  /**
   * The person has to sign in at the provider now, even if a session there would do: before something that cannot be undone. `finish` lets in
   * only whom the provider says that it has asked since.
   */
  fresh?: boolean;
}

export interface OidcBegun {
  url: string;
  state: OidcState;
}

/** Plain data, all of it secret: it belongs in a session on the server, or in an encrypted cookie, and in no log. */
export interface OidcState {
  provider: string;
  state: string;
  nonce: string;
  codeVerifier: string;
  redirectUri: string;
  startedSecs: number;
  /** See `OidcLogin`. */
  fresh?: true;
}

export interface OidcSignedIn {
  user: User;
  /** `id` of the provider. */
  provider: string;
  /** For `logoutUrl`; secret. Some kilobytes. */
  logoutHint?: string;
  /** See `OidcLogin`: so it was. */
  fresh?: true;
}

/**
 * `unavailable`: the provider does not answer, or not sensibly (as 503). `cancelled`: the person said no there. `stale`: this way back belongs
 * to no sign-in that is on the way, for instance after a reload (as 400; beginning again helps). `refused`: the person may not sign
 * in (as 403). `name-taken`: the user name belongs to somebody else (as 403).
 */
export type OidcReason = 'unavailable' | 'cancelled' | 'stale' | 'refused' | 'name-taken';

/** The message is for the person (plain text, to be escaped), the detail for the log; neither holds a secret. */
export class OidcError extends Error {
  readonly reason: OidcReason;
  readonly detail: string;

  constructor(reason: OidcReason, message: string, options: { detail?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'OidcError';
    this.reason = reason;
    this.detail = options.detail ?? message;
  }
}
