import { loginNameOrNull } from '../auth/login-names.ts';
import { hint } from '../spelling.ts';

export interface AccountOptions {
  /** Default true, where there are options at all. */
  enabled?: boolean;
  /** Login names of administrators, beside those whom `anki-sync user admin` made ones. Default: none. */
  admins?: readonly string[];
  /** Whether people may sign in by typing a password. False, where all come by a provider or a portal. Default true. */
  passwords?: boolean;
  /** Hours from a sign-in until a browser has to sign in again. Default 12. */
  sessionHours?: number;
  /** Minutes without a request until then. Default 60. */
  idleMinutes?: number;
}

export type CheckedAccountOptions = Required<Omit<AccountOptions, 'enabled'>>;

const HOUR_MINUTES = 60;
const MAX_HOURS = 24 * 365;

const isTime = (max: number) => (value: unknown): boolean => typeof value === 'number' && value > 0 && value <= max;
const isFlag = (value: unknown): boolean => typeof value === 'boolean';

const isLoginName = (value: unknown): boolean => typeof value === 'string' && loginNameOrNull(value) !== null;

const CHECKS: Readonly<Record<keyof AccountOptions, readonly [(value: unknown) => boolean, string]>> = {
  enabled: [isFlag, 'true or false'],
  admins: [(value) => Array.isArray(value) && value.every(isLoginName), 'a list of login names'],
  passwords: [isFlag, 'true or false'],
  sessionHours: [isTime(MAX_HOURS), 'a number of hours, at most a year'],
  idleMinutes: [isTime(MAX_HOURS * HOUR_MINUTES), 'a number of minutes, at most a year'],
};

/** Undefined: there is no account page. @throws TypeError that names the option */
export function checkAccountOptions(options: AccountOptions | boolean | undefined): CheckedAccountOptions | undefined {
  if (options === undefined || options === false) return undefined;
  if (options !== true && (typeof options !== 'object' || options === null)) throw new TypeError('option "account" must be true, false, or an object');
  const given = options === true ? {} : options;
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(CHECKS, name)) throw new TypeError(`unknown option "account.${name}".${hint(name, Object.keys(CHECKS))}`);
    const [check, wanted] = CHECKS[name as keyof AccountOptions];
    if (value !== undefined && !check(value)) throw new TypeError(`option "account.${name}" must be ${wanted}`);
  }
  if (given.enabled === false) return undefined;
  return {
    admins: given.admins ?? [],
    passwords: given.passwords ?? true,
    sessionHours: given.sessionHours ?? 12,
    idleMinutes: given.idleMinutes ?? 60,
  };
}
