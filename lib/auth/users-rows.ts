/** Rows of the users' database, and what is written into it. */

/** One row of `users`. */
export interface UserRow {
  id: string;
  login_name: string;
  folder: string;
  routing_id: string;
  password_hash: string | null;
  environment_hash: string | null;
  disabled: number;
  created_secs: number;
  is_admin: number;
  provider: string | null;
  official_key_ended: number;
  /** Null: as for everybody; 0: no limit. */
  quota_collection_bytes: number | null;
  quota_media_bytes: number | null;
}

export const USER_COLUMNS = `id, login_name, folder, routing_id, password_hash, environment_hash, disabled, created_secs, is_admin, provider, official_key_ended,
  quota_collection_bytes, quota_media_bytes`;

/** One row of `audit`. */
export interface AuditRow {
  number: number;
  at_secs: number;
  event: AuditEvent;
  login_name: string;
  detail: string;
}

/** What happens to users and keys, by names that stay. */
export type AuditEvent =
  | 'user.added'
  | 'user.disabled'
  | 'user.enabled'
  | 'user.removed'
  | 'user.admin'
  | 'user.quota'
  | 'user.link'
  | 'user.linked'
  | 'password.changed'
  | 'app-password.created'
  | 'app-password.revoked'
  | 'keys.revoked';

export interface NewKey {
  keyHash: string;
  keyId: string;
  userId: string;
  client: string;
  address: string | null;
  appPasswordId: string | null;
  expiresSecs: number | null;
  /** Null: the login rests on no password of the data folder. */
  passwordMark: string | null;
  nowSecs: number;
  /** Above this many keys of the user, those unused for `unusedDays` end. */
  softLimit: number;
  unusedDays: number;
  /** Above this many, the least recently used of the busiest client end, however recent. */
  hardLimit: number;
}

export interface NewAppPasswordRow {
  id: string;
  userId: string;
  name: string;
  passwordHash: string;
  nowSecs: number;
  expiresSecs: number | null;
  /** So many of one user, and no more. */
  maxCount: number;
}

/** One row of `page_sessions`: a browser that is signed in on the account page. */
export interface PageSessionRow {
  session_hash: string;
  user_id: string;
  via: string;
  seal: string | null;
  signed_in_secs: number;
  used_secs: number;
}

/** Bytes. Null: as for everybody; 0: no limit; undefined: stays as it is. */
export interface NewQuota {
  collectionBytes?: number | null | undefined;
  mediaBytes?: number | null | undefined;
}

/** What a device did last. */
export interface DeviceSync {
  keyHash: string;
  client: string;
  address: string | null;
  atSecs: number;
}

/** Somebody whom a provider of OpenID Connect vouches for. */
export interface OidcSignIn {
  issuer: string;
  subject: string;
  /** Normalised; matters at the first sign-in alone. */
  loginName: string;
  /** For `users.provider`. */
  provider: string;
  /** An authenticator has a user of this name who may be unknown here. */
  isTaken: boolean;
  /** Whether a user who is there already may be taken over. */
  linkExisting: boolean;
  nowSecs: number;
}

export type OidcUser = { row: UserRow } | { refused: 'disabled' | 'another subject' | 'another account' | 'a folder' };

/** Which keys a changed password ends: all, with the app passwords; those that no app password was used for; none. */
export type EndedKeys = 'all' | 'own' | 'none';
