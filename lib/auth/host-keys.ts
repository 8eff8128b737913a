import type { User } from './authenticator.ts';

/**
 * PLUG: the key board. Host keys prove a signed-in client (wire `k`, `hkey`).
 *
 * MUST keep nothing from which a key could be rebuilt (store a hash).
 * MUST have an issued key on disk before `issue` answers.
 * `resolve` runs on the main side for every request: it MUST be fast and MUST see a revocation at once.
 * MUST keep `appPasswordId` and `expiresSecs` of a device: with the one, keys are ended by `revoke`; from the other on, `resolve` is null.
 */
export interface HostKeys {
  issue(user: User, device: Device): Promise<string>;
  /** The user of a key, or null for an unknown or revoked one (403). */
  resolve(key: string): Promise<User | null> | User | null;
  /** Ends one key, or with no `keyId` all of the user's. Answers how many were ended. */
  revoke(userId: string, keyId?: string): Promise<number>;
  list(userId: string): Promise<IssuedKey[]>;
  /**
   * A device is syncing just now; an empty `client` says nothing new. Called some times in each sync: MUST be fast, MUST not throw, and may
   * keep one call a minute.
   */
  synced?(key: string, device: Pick<Device, 'client' | 'address'>): void;
  close?(): Promise<void>;
}

export interface Device {
  /** The `c` of the anki-sync header, for instance `anki,26.9.3 (…),lin:…`; empty for old clients. */
  client: string;
  address?: string;
  /** The app password that the key is issued for: it ends with it. */
  appPasswordId?: string;
  /** Seconds since 1970 from which the key is none any more. */
  expiresSecs?: number;
  /** What the login was made with. Where the user has another password by the time that the key is written down, there is no key. */
  passwordMark?: string;
}

/** A host key is a device: nothing of which the key could be rebuilt. */
export interface IssuedKey {
  keyId: string;
  /** As the device described itself last; `deviceName` makes words for people of it. */
  client: string;
  issuedSecs: number;
  /** Where it was last. */
  address?: string | undefined;
  /** When it synced last, to about a minute. */
  lastSyncSecs?: number | undefined;
  appPasswordId?: string | undefined;
}

/** All of a user's, or those that no app password was used for. Answers how many. */
export async function endKeys(hostKeys: HostKeys, userId: string, ends: 'all' | 'own'): Promise<number> {
  if (ends === 'all') return hostKeys.revoke(userId);
  let ended = 0;
  for (const { keyId, appPasswordId } of await hostKeys.list(userId)) {
    if (appPasswordId === undefined) ended += await hostKeys.revoke(userId, keyId);
  }
  return ended;
}
