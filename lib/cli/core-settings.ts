/** Variables that set an option of the core as it is: numbers and switches. They have no flags. */
import type { Quota } from '../auth/authenticator.ts';
import type { SyncServerOptions } from '../options.ts';
import { passwordChangeEnds } from './password-settings.ts';
import type { Environment } from './settings.ts';
import { UsageError } from './usage-error.ts';

type CoreOptions = Pick<
  SyncServerOptions,
  | 'threads' | 'threadHeapMib' | 'maxOpenCollections' | 'closeIdleMillis' | 'syncIdleMillis' | 'maxWaitingPerUser' | 'collectionCacheKib'
  | 'snapshots' | 'landingPage' | 'doctor' | 'caseSensitive' | 'appPasswords' | 'passwordChangeEnds'
> & { quota?: Quota };

interface NumberSetting {
  least: number;
  set(value: number): CoreOptions;
}

const NUMBERS: Readonly<Record<string, NumberSetting>> = {
  THREADS: { least: 1, set: (threads) => ({ threads }) },
  THREAD_HEAP_MIB: { least: 32, set: (threadHeapMib) => ({ threadHeapMib }) },
  MAX_OPEN_COLLECTIONS: { least: 1, set: (maxOpenCollections) => ({ maxOpenCollections }) },
  CLOSE_IDLE_SECS: { least: 1, set: (secs) => ({ closeIdleMillis: secs * 1000 }) },
  SYNC_IDLE_SECS: { least: 1, set: (secs) => ({ syncIdleMillis: secs * 1000 }) },
  MAX_WAITING_PER_USER: { least: 1, set: (maxWaitingPerUser) => ({ maxWaitingPerUser }) },
  COLLECTION_CACHE_KIB: { least: 64, set: (collectionCacheKib) => ({ collectionCacheKib }) },
  QUOTA_COLLECTION_MIB: { least: 1, set: (mib) => ({ quota: { maxCollectionBytes: mib * 1024 ** 2 } }) },
  QUOTA_MEDIA_MIB: { least: 1, set: (mib) => ({ quota: { maxMediaBytes: mib * 1024 ** 2 } }) },
  SNAPSHOTS_MAX_COUNT: { least: 0, set: (maxCount) => ({ snapshots: { maxCount } }) },
  SNAPSHOTS_MAX_MIB: { least: 0, set: (mib) => ({ snapshots: { maxBytes: mib * 1024 ** 2 } }) },
};

const SWITCHES: Readonly<Record<string, (value: boolean) => CoreOptions>> = {
  LANDING_PAGE: (landingPage) => ({ landingPage }),
  DOCTOR: (doctor) => ({ doctor }),
  CASE_SENSITIVE: (caseSensitive) => ({ caseSensitive }),
  APP_PASSWORDS: (appPasswords) => ({ appPasswords }),
};

export const coreVariables: readonly string[] = [...Object.keys(NUMBERS), ...Object.keys(SWITCHES), 'PASSWORD_CHANGE_ENDS'];

/** Only what is set. @throws UsageError */
export function coreSettings(env: Environment): CoreOptions {
  const ends = passwordChangeEnds(env);
  const options: CoreOptions = ends === undefined ? {} : { passwordChangeEnds: ends };
  for (const variable of [...Object.keys(NUMBERS), ...Object.keys(SWITCHES)]) {
    const value = env[variable];
    if (value === undefined || value === '') continue;
    const number = NUMBERS[variable];
    const { snapshots, quota, ...others } = number === undefined ? SWITCHES[variable]!(yesOrNo(variable, value)) : numbered(variable, value, number);
    Object.assign(options, others);
    if (quota !== undefined) options.quota = { ...options.quota, ...quota };
    if (snapshots !== undefined) options.snapshots = { ...options.snapshots, ...snapshots };
  }
  return options;
}

function numbered(variable: string, value: string, { least, set }: NumberSetting): CoreOptions {
  if (!/^\d{1,9}$/.test(value) || Number(value) < least) throw new UsageError(`${variable} must be a whole number from ${least}, not "${value}"`);
  return set(Number(value));
}

/** @throws UsageError */
export function yesOrNo(variable: string, value: string): boolean {
  if (/^(1|true|yes|on)$/i.test(value)) return true;
  if (/^(0|false|no|off)$/i.test(value)) return false;
  throw new UsageError(`${variable} must be true or false, not "${value}"`);
}
