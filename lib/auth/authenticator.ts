/**
 * PLUG: who is this? Called on the main side by `hostKey` only, once per login.
 *
 * MUST answer null for a wrong password and for an unknown user alike, after the same number of hash computations.
 * MUST throw (not answer null) when it cannot know, for instance because a directory is down: null becomes 403,
 * and a desktop client throws its saved key away on 403; a throw becomes 503.
 * MUST refuse an empty password.
 *
 * @example
 * const authenticator: Authenticator = {
 *   async authenticate({ username, password }) {
 *     const ok = await portal.checkPassword(username, password);
 *     return ok ? { loginName: username } : null;
 *   },
 * };
 */
export interface Authenticator {
  authenticate(credentials: Credentials): Promise<AuthenticatedUser | null>;
  /**
   * Whether a user who signed in earlier still may: no longer, once the account is gone or disabled where it comes from. With
   * `recheckMinutes`, asked so often about users whose host keys are in use; false ends all keys of the user.
   *
   * MUST throw when it cannot know, for instance because a directory is down, or because such a user never came from here.
   */
  stillAllowed?(loginName: string): Promise<boolean>;
  /** Default 0: never. */
  readonly recheckMinutes?: number;
  /**
   * In a chain, after `authenticate` answered null: whether that is final, because the user (or a password of this form) is this one's
   * own, so that nobody further is asked. Default: it is not.
   *
   * MUST throw when it cannot know.
   */
  decides?(credentials: Credentials): boolean | Promise<boolean>;
  /**
   * What the host keys of a user rest on: a text that is another one once they must end, for instance a hash of the stored password.
   * Null for a user who is not there (any more); undefined: no opinion, keys hold. Asked for each request with a key: MUST be fast.
   */
  keyBasis?(loginName: string): KeyBasis | Promise<KeyBasis>;
  close?(): Promise<void>;
}

export type KeyBasis = string | null | undefined;

export interface Credentials {
  /** As typed; not normalised. */
  username: string;
  password: string;
  clientAddress?: string;
  /** Where the person signs in: an Anki client (the default), or the account page, where app passwords do not count. */
  at?: 'client' | 'page';
}

export interface AuthenticatedUser {
  /** The canonical login name. The core normalises it (NFC and the case rule of the data folder) and maps it to a user id and a folder. */
  loginName: string;
  /** The app password that was used, if it was one. */
  appPasswordId?: string;
  /** Seconds since 1970 from which the host key of this login is none any more. Default: it does not end by itself. */
  expiresSecs?: number;
  /**
   * Who vouches for the user, where that is nobody whom passwords are shown to: `oidc:keycloak`. It cannot be asked again, so that its users are
   * not taken for gone because the authenticators do not know them.
   */
  provider?: string;
  /** Of users of the data folder: SHA-256 of the stored hash that the password was right for. See `Device.passwordMark`. */
  passwordMark?: string;
}

/** A user as the core knows one. The three are different things: none is derived from another after the first mapping. */
export interface User {
  /** Opaque, stable for the life of the account. */
  id: string;
  /** What the person types; normalised. */
  loginName: string;
  /** One safe path segment below the base folder. No two users ever share one. */
  folder: string;
  /** See `AuthenticatedUser.provider`: who vouched for the user last. */
  provider?: string;
  /** Only of administrators. */
  isAdmin?: true;
  /** What was set for this user alone; 0: no limit. It goes before the server's own `quota`. */
  quota?: Quota;
}

/** Most that a user may have, in bytes: a collection, and all media files together. */
export interface Quota {
  maxCollectionBytes?: number;
  maxMediaBytes?: number;
}
