import { resolve } from 'node:path';
import { checkAccountOptions, type AccountOptions, type CheckedAccountOptions } from './account/settings.ts';
import type { SyncReport } from './activity.ts';
import type { AuthenticateFunction } from './auth/authenticator-from.ts';
import type { Authenticator } from './auth/authenticator.ts';
import type { EnvUser } from './auth/env-users.ts';
import type { HostKeys } from './auth/host-keys.ts';
import type { AuditEvent } from './auth/users-rows.ts';
import { LOGIN_LIMITS, type LoginLimitsOptions } from './auth/login-limits.ts';
import { requireOidcLibrary } from './auth/oidc/library.ts';
import { checkOidcOptions, type OidcOptions } from './auth/oidc/settings.ts';
import type { StoreChoice } from './engine/calls.ts';
import { DEFAULT_BODY_LIMITS, type BodyLimits } from './protocol/body-limits.ts';
import { isQuota, type QuotaOption } from './quotas.ts';
import { hint } from './spelling.ts';
import type { SnapshotLimits } from './storage/sqlite/snapshots.ts';
import type { CollectionStore, MediaFiles, MediaStore } from './storage/storage.ts';

/**
 * What an audit looks for, by names that stay: a right login, a wrong one, one that was not looked at (LOGIN_LIMITED, BUSY), one of
 * which nobody can tell; a collection that was replaced as a whole, and one that was not; and what happens to users and keys.
 */
export type LogEvent =
  | 'login.ok' | 'login.refused' | 'login.limited' | 'login.unavailable' | 'upload.replaced' | 'upload.refused' | 'data.downloaded' | 'data.deleted'
  | SyncEvent | AuditEvent;

/** A sync that ended well, in an entry of its own behind that of its last request; a sanity check that failed, after which the client syncs one way. */
export type SyncEvent = 'sync.done' | 'sanity.bad';

/** One line per request, and one per event. Holds no secret: no password, no host key, no header. */
export interface LogEntry {
  level: 'info' | 'warn' | 'error';
  /** HTTP method and the protocol's method, for instance `applyChunk`; the path where it is no method of the protocol. */
  request: string;
  status: number;
  /** Milliseconds until the answer was ready; a download is still being sent then. */
  ms: number;
  event?: LogEvent;
  /** Login name. Of a refused login only where there is such a user: people type passwords where names belong. */
  user?: string;
  /** As the client describes itself. */
  client?: string;
  /** Sync version. */
  version?: number;
  address?: string;
  /** Of the error table. */
  code?: string;
  /** What happened, or which setting is probably wrong. */
  detail?: string;
  /** Bytes of the body, unpacked. */
  receivedBytes?: number;
  /** Bytes of the answer, unpacked. */
  sentBytes?: number;
  /** Of `sync.done`: what it moved. `ms` is the time from its first request on. */
  sync?: SyncReport;
}

export type AuthenticatorChoice = Authenticator | AuthenticateFunction | 'local';

export interface SyncServerOptions {
  /** The data folder: one folder per user, and `.anki-sync` for the server's own. Default `./data`. */
  base?: string;
  /**
   * Who may sign in: an object or a function, or a list of them, which is asked in order (see `chainedAuthenticator`).
   * Default: `local`, the users in the data folder (`anki-sync user add`), or those of the environment.
   */
  authenticator?: AuthenticatorChoice | readonly AuthenticatorChoice[];
  /** Providers of OpenID Connect, for the account page: a button each. Needs the package `openid-client`. Default: none. */
  oidc?: readonly OidcOptions[];
  /** Where host keys are kept. Default: in the data folder. */
  hostKeys?: HostKeys;
  /** Users as `readSyncUsers` finds them in the official server's environment. Given and not empty, they alone may sign in. */
  environmentUsers?: readonly EnvUser[];
  /** Whether host keys that the official server gave to the users of the environment still hold. Default true. */
  officialHostKeys?: boolean;
  /** Whether app passwords may sign in, in Anki clients: before all authenticators, for the users of each. Default true. */
  appPasswords?: boolean;
  /**
   * What ends when a user's own password changes, in the data folder, the environment or a JSON file: `all` host keys and app passwords, or only
   * its `own` host keys, so that devices with an app password stay signed in. Default `all`.
   */
  passwordChangeEnds?: 'all' | 'own';
  /** How many wrong passwords, and logins at once, are too many. False: no limits, for an application that has its own. */
  loginLimits?: LoginLimitsOptions | false;
  /** Whether `Bob` and `bob` are two users. Fixed at first start; default: not, unless folders of both are there already. */
  caseSensitive?: boolean;
  /** A collection upload on the wire, bytes. Default 2 GiB. */
  maxPackedBytes?: number;
  /** A collection upload unpacked, bytes. Default 4 GiB less 64 MiB. */
  maxUnpackedBytes?: number;
  /**
   * Most that each user may have: a collection, media files together. A function is asked at each sync, and knows each user. What
   * `anki-sync user quota` set for a user goes before it. Default: no limit but the disk.
   */
  quota?: QuotaOption;
  /** Worker threads for collections and media. Default: the cores, at most 4. */
  threads?: number;
  /** JavaScript heap of each worker thread, MiB. Default 512. */
  threadHeapMib?: number;
  /** Collections held open at once. Default 200. */
  maxOpenCollections?: number;
  /** An unused collection is closed after this many milliseconds. Default 60000. */
  closeIdleMillis?: number;
  /** A sync without a request for this many milliseconds is rolled back. Default 300000. */
  syncIdleMillis?: number;
  /** Requests of one user that may be on the way at once; one more is answered 503. Default 8. */
  maxWaitingPerUser?: number;
  /** SQLite page cache of each open collection, KiB. Default 4096. */
  collectionCacheKib?: number;
  /** What a full upload replaced stays in `<user>/.snapshots`. Default 5 files and 2 GiB per user. */
  snapshots?: Partial<SnapshotLimits>;
  /** Collections elsewhere than in SQLite files. */
  collections?: StoreChoice<CollectionStore>;
  /** Media indexes elsewhere than in SQLite files. */
  media?: StoreChoice<MediaStore>;
  /** Media files elsewhere than in folders. */
  mediaFiles?: StoreChoice<MediaFiles>;
  /** The pages at `<mount>/account`, where people manage their devices and data. Default false; the command line's default is true. */
  account?: AccountOptions | boolean;
  /** The page at `GET <mount>/`. Default true. */
  landingPage?: boolean;
  /** Whether the server tells, to whoever asks, how a request arrived: `anki-sync doctor` needs it. Default true. */
  doctor?: boolean;
  /** The address that the page shows, where the server cannot know it: `https://example.org/anki/`. */
  publicUrl?: string;
  /** Called for each request and event. Default: nothing is logged. */
  log?: (entry: LogEntry) => void;
}

/** Options with their defaults in place. */
export type CheckedOptions = Omit<SyncServerOptions, 'base' | 'landingPage' | 'doctor' | 'log' | 'account'> & {
  account: CheckedAccountOptions | undefined;
  base: string;
  landingPage: boolean;
  doctor: boolean;
  log: (entry: LogEntry) => void;
  limits: BodyLimits;
};

type Check = (value: unknown) => boolean;
const whole = (least: number): Check => (value) => Number.isSafeInteger(value) && (value as number) >= least;
const text: Check = (value) => typeof value === 'string' && value !== '';
const flag: Check = (value) => typeof value === 'boolean';
const object: Check = (value) => typeof value === 'object' && value !== null;
const callable: Check = (value) => typeof value === 'function';

const isAuthenticator: Check = (value) => value === 'local' || callable(value) || callable((value as Authenticator | null)?.authenticate);

const isLoginLimits: Check = (value) => value === false
  || (object(value) && Object.entries(value as object).every(([name, each]) => Object.hasOwn(LOGIN_LIMITS, name) && (each === undefined || whole(1)(each))));

const CHECKS: Record<keyof SyncServerOptions, readonly [Check, string]> = {
  base: [text, 'a folder'],
  authenticator: [
    (value) => (Array.isArray(value) ? value.length > 0 && value.every(isAuthenticator) : isAuthenticator(value)),
    "a function, an object with authenticate(), 'local', or a list of these",
  ],
  oidc: [(value) => Array.isArray(value), 'a list of providers: { issuer, clientId, … }'],
  hostKeys: [(value) => callable((value as HostKeys | null)?.resolve) && callable((value as HostKeys).issue), 'an object with issue() and resolve()'],
  environmentUsers: [(value) => Array.isArray(value), 'what readSyncUsers answers as users'],
  officialHostKeys: [flag, 'true or false'],
  appPasswords: [flag, 'true or false'],
  passwordChangeEnds: [(value) => value === 'all' || value === 'own', "'all' or 'own'"],
  loginLimits: [isLoginLimits, `false, or an object with whole numbers from 1: ${Object.keys(LOGIN_LIMITS).join(', ')}`],
  caseSensitive: [flag, 'true or false'],
  maxPackedBytes: [whole(1), 'a whole number of bytes'],
  maxUnpackedBytes: [whole(1), 'a whole number of bytes'],
  quota: [(value) => callable(value) || isQuota(value, 1), 'an object with whole numbers of bytes: maxCollectionBytes, maxMediaBytes; or a function'],
  threads: [whole(1), 'a whole number from 1'],
  threadHeapMib: [whole(32), 'a whole number from 32'],
  maxOpenCollections: [whole(1), 'a whole number from 1'],
  closeIdleMillis: [whole(1), 'a whole number of milliseconds'],
  syncIdleMillis: [whole(1), 'a whole number of milliseconds'],
  maxWaitingPerUser: [whole(1), 'a whole number from 1'],
  collectionCacheKib: [whole(64), 'a whole number from 64'],
  snapshots: [object, 'an object with maxCount and maxBytes'],
  collections: [object, 'a store, or { module, options }'],
  media: [object, 'a store, or { module, options }'],
  mediaFiles: [object, 'a store, or { module, options }'],
  account: [() => true, 'told by its own check'],
  landingPage: [flag, 'true or false'],
  doctor: [flag, 'true or false'],
  publicUrl: [(value) => typeof value === 'string' && /^https?:\/\//.test(value) && URL.canParse(value), 'an http:// or https:// URL'],
  log: [callable, 'a function'],
};

/** @throws TypeError that names the option, and for an unknown one the likely misspelling. */
export function checkOptions(options: SyncServerOptions): CheckedOptions {
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(CHECKS, name)) {
      throw new TypeError(`unknown option "${name}".${hint(name, Object.keys(CHECKS))}`);
    }
    const [check, wanted] = CHECKS[name as keyof SyncServerOptions];
    if (value !== undefined && !check(value)) throw new TypeError(`option "${name}" must be ${wanted}`);
  }
  if (options.oidc !== undefined && options.oidc.length > 0) {
    checkOidcOptions(options.oidc);
    if (checkAccountOptions(options.account) === undefined) throw new TypeError('option "oidc" needs the account page: account: true');
    if ((options.environmentUsers ?? []).length > 0) throw new TypeError('options "oidc" and "environmentUsers": users of the environment alone may sign in');
    requireOidcLibrary();
  }
  const { base, landingPage, doctor, log, account, ...others } = options;
  return {
    ...others,
    base: resolve(base ?? './data'),
    account: checkAccountOptions(account),
    landingPage: landingPage ?? true,
    doctor: doctor ?? true,
    log: log ?? (() => {}),
    limits: {
      ...DEFAULT_BODY_LIMITS,
      maxPackedBytes: options.maxPackedBytes ?? DEFAULT_BODY_LIMITS.maxPackedBytes,
      maxUnpackedBytes: options.maxUnpackedBytes ?? DEFAULT_BODY_LIMITS.maxUnpackedBytes,
    },
  };
}
