import { SyncError } from '../../errors.ts';
import type { User } from '../authenticator.ts';
import type { Device, HostKeys } from '../host-keys.ts';
import type { UsersDatabase } from '../users-database.ts';
import type { OidcOptions } from './settings.ts';

const SECS_PER_DAY = 86_400;

export interface RestingHostKeysOptions {
  hostKeys: HostKeys;
  providers: readonly OidcOptions[];
  database: UsersDatabase;
  /** Milliseconds since 1970. Default: the clock. */
  now?: () => number;
}

/** Host keys as they are, unless a provider has `reloginDays`. */
export function restingHostKeys({ hostKeys, providers, database, now = Date.now }: RestingHostKeysOptions): HostKeys {
  const daysOf = new Map(providers.filter(({ reloginDays }) => Number(reloginDays) > 0).map(({ id = 'oidc', reloginDays }) => [`oidc:${id}`, reloginDays!]));
  if (daysOf.size === 0) return hostKeys;

  /** Whether the person whom a provider brought has not been there for too long: somebody may have left since, and a provider tells nobody. */
  const isResting = (user: User): boolean => {
    const days = user.provider === undefined ? undefined : daysOf.get(user.provider);
    if (days === undefined) return false;
    return now() / 1000 - (database.oidcSignedInSecs(user.id) ?? 0) > days * SECS_PER_DAY;
  };
  const awake = (user: User | null): User | null => (user === null || isResting(user) ? null : user);
  return {
    async issue(user: User, device: Device): Promise<string> {
      if (isResting(user)) {
        throw new SyncError('PASSWORD_WRONG', 'sign in on the account page first', { detail: `${user.provider}: the last sign-in there is too long ago (reloginDays)` });
      }
      return hostKeys.issue(user, device);
    },
    resolve(key) {
      const user = hostKeys.resolve(key);
      return user instanceof Promise ? user.then(awake) : awake(user);
    },
    revoke: (userId, keyId) => hostKeys.revoke(userId, keyId),
    list: (userId) => hostKeys.list(userId),
    synced: (key, device) => hostKeys.synced?.(key, device),
    close: async () => hostKeys.close?.(),
  };
}
