import { SqliteAppPasswords, type AppPasswords } from './app-passwords.ts';
import { auditedHostKeys } from './audited-host-keys.ts';
import type { Authenticator } from './authenticator.ts';
import { EnvHostKeys } from './env-host-keys.ts';
import { EnvUsers } from './env-users.ts';
import type { EnvUser } from './env-users.ts';
import type { HostKeys } from './host-keys.ts';
import { PasswordHasher } from './password-hash.ts';
import type { PasswordHasherOptions } from './password-hash.ts';
import { SqliteHostKeys } from './sqlite-host-keys.ts';
import type { SqliteHostKeysOptions } from './sqlite-host-keys.ts';
import { SqliteUsers } from './sqlite-users.ts';
import { SqliteUserDirectory } from './user-directory.ts';
import type { UserDirectory } from './user-directory.ts';
import { UsersDatabase } from './users-database.ts';

export interface BuiltInAuthOptions {
  /** Whether `Bob` and `bob` are two users; fixed at the first start of a data folder. Left out, what is there decides. */
  caseSensitive?: boolean;
  /** Users of the environment, from `readSyncUsers`. Given and not empty, they alone may sign in. */
  environment?: readonly EnvUser[];
  /** Honour host keys of the official server; see `EnvHostKeys`. Default true. */
  officialKeys?: boolean;
  /** What a changed password ends: all host keys and app passwords of the user, or only the keys that it was used for itself. Default `all`. */
  passwordChangeEnds?: 'all' | 'own';
  /** Where host keys are kept, if that is not in the data folder: those of an app password, or of a password that changes, are ended there. */
  keysElsewhere?: HostKeys;
  /** Called when keys of a user who are kept elsewhere end: nothing else tells of that. */
  revokedElsewhere?: (userId: string, count: number) => void;
  /** Whose changes these are, for the log: `the command line`. */
  by?: string;
  passwords?: PasswordHasherOptions;
  keys?: SqliteHostKeysOptions;
}

/** Everything about users and keys in one data folder, opened together and closed together. */
export interface BuiltInAuth {
  readonly authenticator: Authenticator;
  /** Wherever they are kept. Those elsewhere are not closed with the rest. */
  readonly hostKeys: HostKeys;
  readonly directory: UserDirectory;
  /** Management of the users with a password in the data folder. */
  readonly users: SqliteUsers;
  readonly appPasswords: AppPasswords;
  readonly database: UsersDatabase;
  close(): Promise<void>;
}

/** @throws UsersError DATABASE_TOO_NEW, CASE_RULE_FIXED, NAMES_CLASH */
export async function openBuiltInAuth(base: string, options: BuiltInAuthOptions = {}): Promise<BuiltInAuth> {
  const environment = options.environment ?? [];
  const database = await UsersDatabase.open(base, {
    names: environment.map((user) => user.loginName),
    ...(options.caseSensitive !== undefined && { caseSensitive: options.caseSensitive }),
    ...(options.by !== undefined && { by: options.by }),
  });
  const hasher = new PasswordHasher(options.passwords);
  const directory = new SqliteUserDirectory(database);
  const passwordChangeEnds = options.passwordChangeEnds ?? 'all';
  const users = new SqliteUsers(database, {
    hasher,
    passwordChangeEnds,
    ...(options.keysElsewhere !== undefined && { keysElsewhere: options.keysElsewhere }),
  });
  const appPasswords = new SqliteAppPasswords(database, {
    ...(options.keys?.now !== undefined && { now: options.keys.now }),
    ...(options.keysElsewhere !== undefined && { keysElsewhere: options.keysElsewhere }),
  });
  const ownKeys = new SqliteHostKeys(database, options.keys);
  let authenticator: Authenticator = users;
  const { keysElsewhere } = options;
  const isElsewhere = keysElsewhere !== undefined;
  let hostKeys: HostKeys = isElsewhere ? auditedHostKeys(keysElsewhere, database, options.revokedElsewhere ?? (() => {})) : ownKeys;
  if (environment.length > 0) {
    const envUsers = new EnvUsers(environment, { caseSensitive: database.caseSensitive, hasher });
    authenticator = envUsers;
    const officialKeys = options.officialKeys ?? true;
    hostKeys = new EnvHostKeys({ database, directory, envUsers, hostKeys, isElsewhere, hasher, officialKeys, passwordChangeEnds });
  }
  const close = async (): Promise<void> => {
    await ownKeys.close();
    await database.close();
  };
  return { authenticator, hostKeys, directory, users, appPasswords, database, close };
}
