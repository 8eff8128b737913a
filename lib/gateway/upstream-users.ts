/** Our user → who that is at the server behind. */
import { loginKey } from '../auth/login-names.ts';
import { SyncError } from '../errors.ts';
import { isChoice, type UpstreamOptions, type UpstreamUser, type UpstreamUserChoice } from './settings.ts';

export class UpstreamUsers {
  readonly #find: (loginName: string) => UpstreamUserChoice | undefined | Promise<UpstreamUserChoice | undefined>;
  readonly #sharedPassword: string | undefined;

  constructor({ users = {}, sharedPassword }: Pick<UpstreamOptions, 'users' | 'sharedPassword'>, caseSensitive: boolean) {
    this.#sharedPassword = sharedPassword;
    if (typeof users === 'function') this.#find = users;
    else {
      const byKey = new Map(Object.entries(users).map(([name, choice]) => [loginKey(name.normalize('NFC').trim(), caseSensitive), choice]));
      this.#find = (loginName) => byKey.get(loginKey(loginName, caseSensitive));
    }
  }

  /** @throws SyncError UPSTREAM_REFUSED: there is nobody */
  async of(loginName: string): Promise<UpstreamUser> {
    const choice = (await this.#find(loginName)) ?? this.#sharedPassword;
    if (choice === undefined || !isChoice(choice)) {
      throw new SyncError('UPSTREAM_REFUSED', 'nobody at the server behind', { detail: 'upstream.users has nobody for this user, and there is no shared password' });
    }
    return typeof choice === 'string' ? { user: loginName, password: choice } : choice;
  }
}
