/** `--login-limit-…` and `LOGIN_LIMIT_…` → the option `loginLimits`. */
import type { LoginLimitsOptions } from '../auth/login-limits.ts';
import type { FlagKinds } from './flags.ts';
import type { Environment } from './settings.ts';
import { UsageError } from './usage-error.ts';

export const loginLimitFlags = {
  'login-limit-user-and-address': 'value',
  'login-limit-address': 'value',
  'login-limit-user': 'value',
  'login-limit-minutes': 'value',
  'no-login-limits': 'switch',
} as const satisfies FlagKinds;

/** Undefined: the defaults. @throws UsageError */
export function loginLimitSettings(flags: ReadonlyMap<string, string>, env: Environment): LoginLimitsOptions | false | undefined {
  const off = flags.has('no-login-limits') ? 'true' : (env.NO_LOGIN_LIMITS ?? '');
  if (!/^(|0|1|true|false)$/.test(off)) throw new UsageError(`NO_LOGIN_LIMITS must be true or false, not "${off}"`);
  const number = (flag: keyof typeof loginLimitFlags): number | undefined => {
    const variable = flag.replaceAll('-', '_').toUpperCase();
    const value = flags.get(flag) ?? env[variable];
    if (value === undefined || value === '') return undefined;
    if (!/^[1-9]\d{0,8}$/.test(value)) throw new UsageError(`${flags.has(flag) ? `--${flag}` : variable} must be a whole number from 1, not "${value}"`);
    return Number(value);
  };
  const minutes = number('login-limit-minutes');
  const limits = {
    perUserAndAddress: number('login-limit-user-and-address'),
    perAddress: number('login-limit-address'),
    perUser: number('login-limit-user'),
    windowSecs: minutes === undefined ? undefined : minutes * 60,
  };
  const given = Object.entries(limits).filter(([, value]) => value !== undefined);
  if (off === '1' || off === 'true') {
    if (given.length > 0) throw new UsageError('login limits are both set and switched off');
    return false;
  }
  return given.length === 0 ? undefined : (Object.fromEntries(given) as LoginLimitsOptions);
}
