import type { HostKeys } from './host-keys.ts';

/** Host keys as they are, with a word to `revoked` when keys of a user end by `revoke`. */
export function auditedHostKeys(hostKeys: HostKeys, revoked: (userId: string, count: number) => void): HostKeys {
  return {
    issue: (user, device) => hostKeys.issue(user, device),
    resolve: (key) => hostKeys.resolve(key),
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
