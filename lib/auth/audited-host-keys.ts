import type { User } from './authenticator.ts';
import type { HostKeys } from './host-keys.ts';
import { userOf, type UsersDatabase } from './users-database.ts';

/**
 * Host keys that are kept elsewhere, for users who are kept here: whoever was removed or disabled has none. With a word to `revoked` when keys
 * of a user end by `revoke`.
 */
export function auditedHostKeys(hostKeys: HostKeys, database: UsersDatabase, revoked: (userId: string, count: number) => void): HostKeys {
  const active = (found: User | null): User | null => {
    const row = found === null ? undefined : database.userById(found.id);
    return row === undefined || row.disabled !== 0 ? null : userOf(row);
  };
  return {
    issue: (user, device) => hostKeys.issue(user, device),
    resolve(key) {
      const user = hostKeys.resolve(key);
      return user instanceof Promise ? user.then(active) : active(user);
    },
    async revoke(userId, keyId) {
      const count = await hostKeys.revoke(userId, keyId);
      if (count > 0) revoked(userId, count);
      return count;
    },
    list: (userId) => hostKeys.list(userId),
    synced: (key, device) => hostKeys.synced?.(key, device),
    close: async () => hostKeys.close?.(),
  };
}
