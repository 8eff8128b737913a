/** `UPSTREAM_*` and `--upstream…` → the option `upstream` of a gateway. Passwords are no arguments: they come from files, or a variable. */
import { readFileSync } from 'node:fs';
import { checkUsers, type UpstreamOptions, type UpstreamUserChoice } from '../gateway/settings.ts';
import type { Environment } from './configuration.ts';
import type { FlagKinds } from './flags.ts';
import { secretSetting } from './secret-settings.ts';
import { UsageError } from './usage-error.ts';

export const upstreamFlags = {
  upstream: 'value',
  'upstream-users-file': 'value',
  'upstream-shared-password-file': 'value',
  'upstream-timeout-secs': 'value',
} as const satisfies FlagKinds;

/** Undefined where nothing speaks of a server behind. @throws UsageError */
export function upstreamSettings(flags: ReadonlyMap<string, string>, env: Environment): UpstreamOptions | undefined {
  const text = (flag: keyof typeof upstreamFlags, variable: string): string | undefined => flags.get(flag) ?? (env[variable] === '' ? undefined : env[variable]);
  const url = text('upstream', 'UPSTREAM_URL');
  const usersFile = text('upstream-users-file', 'UPSTREAM_USERS_FILE');
  const sharedPassword = secretSetting('UPSTREAM_SHARED_PASSWORD', env, flags.get('upstream-shared-password-file'));
  const timeoutSecs = text('upstream-timeout-secs', 'UPSTREAM_TIMEOUT_SECS');
  if (url === undefined) {
    const alone = usersFile !== undefined ? 'UPSTREAM_USERS_FILE' : sharedPassword !== undefined ? 'UPSTREAM_SHARED_PASSWORD' : undefined;
    if (alone !== undefined) throw new UsageError(`${alone} is set, but UPSTREAM_URL is not`);
    return undefined;
  }
  if (timeoutSecs !== undefined && !/^[1-9]\d{0,5}$/.test(timeoutSecs)) throw new UsageError(`UPSTREAM_TIMEOUT_SECS must be a whole number of seconds, not "${timeoutSecs}"`);
  return {
    url,
    ...(usersFile === undefined ? {} : { users: usersIn(usersFile) }),
    ...(sharedPassword === undefined ? {} : { sharedPassword }),
    ...(timeoutSecs === undefined ? {} : { timeoutMillis: Number(timeoutSecs) * 1000 }),
  };
}

/** A message of `createGateway` names options; whoever set variables knows only those. */
export function inUpstreamVariables(message: string): string {
  const names: Record<string, string> = { url: 'UPSTREAM_URL', users: 'UPSTREAM_USERS_FILE', sharedPassword: 'UPSTREAM_SHARED_PASSWORD', timeoutMillis: 'UPSTREAM_TIMEOUT_SECS' };
  return message
    .replace(/^option "upstream" needs .*/, 'a gateway needs UPSTREAM_USERS_FILE or UPSTREAM_SHARED_PASSWORD: nobody could sync')
    .replaceAll(/(?:option )?"upstream\.(\w+)"/g, (whole, name: string) => names[name] ?? whole);
}

/** `{ "kim": "password there", "ada": { "user": "name there", "password": "password there" } }` */
function usersIn(path: string): Record<string, UpstreamUserChoice> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`UPSTREAM_USERS_FILE names a file that cannot be read (${(error as NodeJS.ErrnoException).code}): ${path}`);
  }
  let users: unknown;
  try {
    users = JSON.parse(text);
  } catch {
    // the parser's message would quote a password
    throw new UsageError(`UPSTREAM_USERS_FILE names a file that is not JSON: ${path}`);
  }
  try {
    checkUsers(users);
  } catch (error) {
    throw new UsageError(inUpstreamVariables((error as Error).message));
  }
  return users;
}
