import { hash } from 'node:crypto';
import { SyncError } from '../errors.ts';
import { addressGroup } from './address-group.ts';
import { BoundedCounters } from './bounded-counters.ts';
import { FairQueue } from './fair-queue.ts';

export interface LoginLimitsOptions {
  /** Wrong passwords for one user name from one address, in a window. Default 10. */
  perUserAndAddress?: number;
  /** Wrong passwords from one address for whatever names. Default 100; ten times that from a private network, where it may be a proxy. */
  perAddress?: number;
  /** Wrong passwords for one user name from all addresses where that user is not known. Default 50. */
  perUser?: number;
  /** Seconds from the first wrong password until it is forgotten. Default 900. */
  windowSecs?: number;
  /** Logins that are looked at at the same time. Default 16. */
  parallel?: number;
  /** Of these, from one address. Default 4. */
  parallelPerAddress?: number;
  /** Logins that wait, from all addresses. Default 256. */
  maxWaiting?: number;
  /** Of these, from one address. Default 32. */
  maxWaitingPerAddress?: number;
  /** Names, addresses and pairs of both that are remembered, each. Default 100000. */
  maxRemembered?: number;
}

export const LOGIN_LIMITS = {
  perUserAndAddress: 10,
  perAddress: 100,
  perUser: 50,
  windowSecs: 900,
  parallel: 16,
  parallelPerAddress: 4,
  maxWaiting: 256,
  maxWaitingPerAddress: 32,
  maxRemembered: 100_000,
} satisfies Required<LoginLimitsOptions>;

/** Addresses behind which everybody may be. */
const SHARED_FACTOR = 10;

export interface LoginAttempt {
  /** As typed. */
  username: string;
  clientAddress?: string | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Guessing passwords is made slow, and a flood of logins keeps nobody out.
 *
 * An address is known for a user when a password was right or a host key was used there. Others can use up a user's count, and
 * so keep the person from signing in at a new address for a window; where the person is known, only wrong passwords from that
 * very address count. A right password clears what was counted for its pair of name and address, and nothing else: otherwise an
 * attacker with an account of their own would clear their address with it.
 *
 * All of it is in memory: a restart forgets it.
 */
export class LoginLimits {
  readonly #queue: FairQueue;
  readonly #pairs: BoundedCounters;
  readonly #addresses: BoundedCounters;
  readonly #sharedAddresses: BoundedCounters;
  readonly #users: BoundedCounters;
  readonly #maxRemembered: number;
  readonly #knownPairs = new Set<string>();
  readonly #knownAddresses = new Set<string>();
  /** Spares the hashing of names for requests with a key. */
  readonly #justKnown = new Set<string>();

  constructor(options: LoginLimitsOptions = {}) {
    const { perUserAndAddress, perAddress, perUser, windowSecs, maxRemembered, ...queue } = { ...LOGIN_LIMITS, ...given(options) };
    const counters = (points: number): BoundedCounters => new BoundedCounters({ points, windowSecs, maxKeys: maxRemembered });
    this.#pairs = counters(perUserAndAddress);
    this.#addresses = counters(perAddress);
    this.#sharedAddresses = counters(perAddress * SHARED_FACTOR);
    this.#users = counters(perUser);
    this.#maxRemembered = maxRemembered;
    this.#queue = new FairQueue({
      parallel: queue.parallel,
      parallelPerSource: queue.parallelPerAddress,
      maxWaiting: queue.maxWaiting,
      maxWaitingPerSource: queue.maxWaitingPerAddress,
    });
  }

  /** Logins that wait for their turn. */
  get waiting(): number {
    return this.#queue.waiting;
  }

  /**
   * Lets a login be checked when its turn comes. `check` answers null for a wrong password; what it throws is no wrong password.
   *
   * @throws SyncError LOGIN_LIMITED after too many wrong passwords, BUSY when too many logins wait; then nothing was checked
   */
  async attempt<T>({ username, clientAddress, signal }: LoginAttempt, check: () => Promise<T | null>): Promise<T | null> {
    const group = addressGroup(clientAddress);
    const user = keyOf(username);
    const pair = `${user} ${group.name}`;
    const counted = (): [BoundedCounters, string][] => (this.#knownPairs.has(pair)
      ? [[this.#pairs, pair]]
      : [[this.#pairs, pair], [group.isShared ? this.#sharedAddresses : this.#addresses, group.name], [this.#users, user]]);

    // whoever may not sign in now takes no place in the queue
    refuseFor(await Promise.all(counted().map(([counters, key]) => counters.secsUntilOpen(key))));
    const turn = { source: group.name, isShared: group.isShared, isKnown: this.#knownAddresses.has(group.name), signal };
    return this.#queue.run(turn, async () => {
      const counts = counted();
      let found: T | null;
      try {
        // counted before it is checked, so that guesses at the same time are no way past
        refuseFor(await Promise.all(counts.map(([counters, key]) => counters.add(key))));
        found = await check();
      } catch (error) {
        await Promise.all(counts.map(([counters, key]) => counters.giveBack(key)));
        throw error;
      }
      if (found === null) return null;
      await this.#pairs.remove(pair);
      await Promise.all(counts.slice(1).map(([counters, key]) => counters.giveBack(key)));
      this.#remember(pair, group.name);
      return found;
    });
  }

  /** A host key of the user was used at this address. */
  know(loginName: string, clientAddress: string | undefined): void {
    const raw = `${loginName}\n${clientAddress}`;
    if (this.#justKnown.has(raw)) return;
    if (this.#justKnown.size >= 1000) this.#justKnown.clear();
    this.#justKnown.add(raw);
    const { name } = addressGroup(clientAddress);
    this.#remember(`${keyOf(loginName)} ${name}`, name);
  }

  #remember(pair: string, address: string): void {
    for (const [known, key] of [[this.#knownPairs, pair], [this.#knownAddresses, address]] as const) {
      known.delete(key);
      known.add(key);
      if (known.size > this.#maxRemembered) known.delete(known.values().next().value!);
    }
  }
}

/** An option that is undefined counts as left out. */
function given(options: LoginLimitsOptions): LoginLimitsOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function refuseFor(waits: readonly number[]): void {
  const secs = Math.max(...waits);
  if (secs > 0) throw new SyncError('LOGIN_LIMITED', `too many wrong passwords: try again in ${Math.ceil(secs / 60)} minutes`, { retryAfterSecs: secs });
}

/**
 * One key for all spellings that a directory might take for the same name: it ignores case, forms of letters, accents and signs that
 * nobody sees. Two people with almost the same name share a count, which does little harm. Hashed, so that long names take no more room.
 */
function keyOf(username: string): string {
  const folded = username.normalize('NFKD').replaceAll(/[\p{M}\p{Default_Ignorable_Code_Point}]/gu, '').toLowerCase().replaceAll(/\s+/g, ' ').trim();
  return hash('sha256', folded, 'base64url');
}
