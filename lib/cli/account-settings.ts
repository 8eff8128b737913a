/** `--account-…` and `ACCOUNT_…` → the option `account`: on, unless it is switched off. */
import { checkAccountOptions, type AccountOptions } from '../account/settings.ts';
import type { FlagKinds } from './flags.ts';
import type { Environment } from './settings.ts';
import { UsageError } from './usage-error.ts';

export const accountFlags = {
  'no-account': 'switch',
  'account-admins': 'value',
  'account-session-hours': 'value',
  'account-idle-minutes': 'value',
  'no-account-passwords': 'switch',
} as const satisfies FlagKinds;

/** @throws UsageError */
export function accountSettings(flags: ReadonlyMap<string, string>, env: Environment): AccountOptions {
  const value = (flag: keyof typeof accountFlags): string | undefined => {
    const given = flags.get(flag) ?? env[variableOf(flag)];
    return given === '' && !flags.has(flag) ? undefined : given;
  };
  const isSet = (flag: 'no-account' | 'no-account-passwords'): boolean => {
    const given = flags.has(flag) ? 'true' : (value(flag) ?? 'false');
    if (!/^(0|1|true|false)$/.test(given)) throw new UsageError(`${variableOf(flag)} must be true or false, not "${given}"`);
    return given === '1' || given === 'true';
  };
  const number = (flag: 'account-session-hours' | 'account-idle-minutes'): number | undefined => {
    const given = value(flag);
    if (given !== undefined && !/^[1-9]\d{0,6}$/.test(given)) {
      throw new UsageError(`${flags.has(flag) ? `--${flag}` : variableOf(flag)} must be a whole number from 1, not "${given}"`);
    }
    return given === undefined ? undefined : Number(given);
  };
  const admins = value('account-admins')?.split(',').map((name) => name.trim()).filter((name) => name !== '');
  const [sessionHours, idleMinutes] = [number('account-session-hours'), number('account-idle-minutes')];
  const options = {
    enabled: !isSet('no-account'),
    passwords: !isSet('no-account-passwords'),
    ...(admins === undefined ? {} : { admins }),
    ...(sessionHours === undefined ? {} : { sessionHours }),
    ...(idleMinutes === undefined ? {} : { idleMinutes }),
  };
  try {
    checkAccountOptions(options);
  } catch (error) {
    throw new UsageError((error as Error).message.replace(/option "account\.(\w+)"/, (_, name: string) => OF_OPTIONS[name] ?? name));
  }
  return options;
}

const OF_OPTIONS: Readonly<Record<string, string>> = { admins: 'ACCOUNT_ADMINS', sessionHours: 'ACCOUNT_SESSION_HOURS', idleMinutes: 'ACCOUNT_IDLE_MINUTES' };

function variableOf(flag: string): string {
  return flag.replaceAll('-', '_').toUpperCase();
}
