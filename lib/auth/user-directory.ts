import { SyncError } from '../errors.ts';
import type { User } from './authenticator.ts';
import { loginNameOrNull } from './login-names.ts';
import { userOf, type UsersDatabase } from './users-database.ts';

/**
 * Maps the login name that any `Authenticator` vouches for to the user: id and folder.
 * The mapping is made at the first login, and never changes.
 */
export interface UserDirectory {
  /**
   * The user of a login name, made if there is none yet. A `provider` (see `AuthenticatedUser`) is remembered until the user signs in another
   * way: null says that it was a password of the user's own; left out, what is remembered stays.
   *
   * @throws SyncError PASSWORD_WRONG for a disabled user, or a name that cannot be a login name
   */
  userFor(loginName: string, signIn?: { provider?: string | null | undefined }): Promise<User>;
  userById(id: string): Promise<User | null>;
  list(): Promise<User[]>;
}

export class SqliteUserDirectory implements UserDirectory {
  readonly #database: UsersDatabase;

  constructor(database: UsersDatabase) {
    this.#database = database;
  }

  async userFor(loginName: string, { provider }: { provider?: string | null | undefined } = {}): Promise<User> {
    const name = loginNameOrNull(loginName);
    if (name === null) throw new SyncError('PASSWORD_WRONG', 'wrong user name or password', { detail: 'not a usable login name' });
    const row = this.#database.userByLoginName(name) ?? await this.#database.write('ensureUser', name, null, false);
    if (row.disabled !== 0) throw new SyncError('PASSWORD_WRONG', 'wrong user name or password', { detail: 'the user is disabled' });
    if (provider === undefined || provider === row.provider) return userOf(row);
    await this.#database.write('setProvider', row.id, provider);
    return userOf({ ...row, provider });
  }

  async userById(id: string): Promise<User | null> {
    const row = this.#database.userById(id);
    return row === undefined ? null : userOf(row);
  }

  async list(): Promise<User[]> {
    return this.#database.users().map(userOf);
  }
}
