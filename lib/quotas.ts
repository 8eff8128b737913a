import { hash } from 'node:crypto';
import type { Quota, User } from './auth/authenticator.ts';

/** For everybody the same, or a function that knows each user; undefined, or a value that is missing or 0: no limit. */
export type QuotaOption = Quota | ((user: Pick<User, 'id' | 'loginName'>) => Quota | undefined | Promise<Quota | undefined>);

export interface QuotasOptions {
  option: QuotaOption | undefined;
  /** What was set for a user alone: it goes before the option, value by value. May throw. */
  ownOf(user: User): Quota | undefined;
  /** What a user may have cannot be known. */
  failed(error: unknown, user: User): void;
}

const AGAIN_AFTER_MILLIS = 24 * 3_600_000;
const MAX_DEVICES = 10_000;
const NONE: Quota = Object.freeze({});

/** What each user may have at most, and when a person is told that a collection has more. */
export class Quotas {
  readonly #options: QuotasOptions;
  /** Devices, by the hash of the host key: the sync that goes on carries the words, or when one that did so went through. */
  readonly #told = new Map<string, 'now' | number>();

  constructor(options: QuotasOptions) {
    this.#options = options;
  }

  /** Only what is limited. What cannot be known is no limit: a sync is worth more. */
  async of(user: User): Promise<Quota> {
    const { option } = this.#options;
    try {
      const own = this.#options.ownOf(user);
      if (own === undefined && typeof option !== 'function') return option ?? NONE;
      const ofAll = typeof option === 'function' ? await option({ id: user.id, loginName: user.loginName }) : option;
      if (ofAll !== undefined && !isQuota(ofAll)) throw new TypeError('the function of the option "quota" answers no whole numbers of bytes: maxCollectionBytes, maxMediaBytes');
      const { maxCollectionBytes, maxMediaBytes } = { ...ofAll, ...own };
      return { ...(maxCollectionBytes ? { maxCollectionBytes } : {}), ...(maxMediaBytes ? { maxMediaBytes } : {}) };
    } catch (error) {
      this.#options.failed(error, user);
      return NONE;
    }
  }

  /**
   * Whether a device is to be told: at each sync until one with changes went through, and then a day later again. Not at each: desktops
   * open a window. And not once: Anki asks for `meta` also when it only looks for changes, and shows nothing then.
   */
  isToTell(hostKey: string): boolean {
    if (this.#told.size === 0) return true;
    const told = this.#told.get(deviceOf(hostKey));
    return typeof told !== 'number' || performance.now() - told >= AGAIN_AFTER_MILLIS;
  }

  told(hostKey: string): void {
    if (this.#told.size >= MAX_DEVICES) this.#told.clear();
    this.#told.set(deviceOf(hostKey), 'now');
  }

  /** A normal sync went through. */
  synced(hostKey: string): void {
    if (this.#told.size === 0) return;
    const device = deviceOf(hostKey);
    if (this.#told.get(device) === 'now') this.#told.set(device, performance.now());
  }
}

/** @param least of each value; 0 stands for no limit */
export function isQuota(value: unknown, least: 0 | 1 = 0): boolean {
  return typeof value === 'object' && value !== null && Object.entries(value).every(
    ([name, each]) => /^max(Collection|Media)Bytes$/.test(name) && (each === undefined || (Number.isSafeInteger(each) && (each as number) >= least)),
  );
}

function deviceOf(hostKey: string): string {
  return hash('sha256', hostKey, 'base64url');
}
