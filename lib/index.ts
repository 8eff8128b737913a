/** The front door: everything public, and nothing else is. */
import './node-version.ts';

export { createSyncServer, type SyncServer } from './server.ts';
export type { AccountOptions } from './account/settings.ts';
export type { AuthenticatorChoice, LogEntry, LogEvent, SyncServerOptions } from './options.ts';
export type { HttpRequest, HttpResponse } from './http.ts';
export { ERROR_STATUS, SyncError, type ErrorCode } from './errors.ts';
export type { AuthenticatedUser, Authenticator, Credentials, KeyBasis, User } from './auth/authenticator.ts';
export { authenticatorFrom, type AuthenticateFunction } from './auth/authenticator-from.ts';
export { openBuiltInAuth, type BuiltInAuth, type BuiltInAuthOptions } from './auth/built-in.ts';
export { chainedAuthenticator } from './auth/chained-authenticator.ts';
export { readSyncUsers, type EnvUser } from './auth/env-users.ts';
export type { Device, HostKeys, IssuedKey } from './auth/host-keys.ts';
export { jsonUsersAuthenticator, type JsonUsersOptions } from './auth/json-users.ts';
export { ldapAuthenticator, type LdapAuthenticator } from './auth/ldap/ldap-authenticator.ts';
export type { LdapLog, LdapLogEntry } from './auth/ldap/log.ts';
export type { LdapOptions } from './auth/ldap/settings.ts';
export type { LoginLimitsOptions } from './auth/login-limits.ts';
export type { OidcClaims, OidcOptions } from './auth/oidc/settings.ts';
export { passportAuthenticator, type PassportAuthenticatorOptions, type PassportStrategy } from './auth/passport.ts';
export { SqliteHostKeys } from './auth/sqlite-host-keys.ts';
export { SqliteUsers } from './auth/sqlite-users.ts';
export { UsersDatabase } from './auth/users-database.ts';
export { UsersError } from './auth/users-error.ts';
export type { StoreChoice, StoreModule } from './engine/calls.ts';
export { DataFolderInUseError } from './storage/files/data-folder-lock.ts';
export type * from './storage/storage.ts';
