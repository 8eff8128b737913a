/**
 * A secret is a variable, or better the content of the file that the variable of the same name with `_FILE` names. It is no argument,
 * which others can read.
 */
import { readFileSync } from 'node:fs';
import type { Environment } from './configuration.ts';
import { UsageError } from './usage-error.ts';

/** @param file of the flag, which is stronger than both variables. @throws UsageError */
export function secretSetting(variable: string, env: Environment, file?: string): string | undefined {
  const value = env[variable] === '' ? undefined : env[variable];
  const path = file ?? (env[`${variable}_FILE`] === '' ? undefined : env[`${variable}_FILE`]);
  if (path === undefined) return value;
  if (value !== undefined && file === undefined) throw new UsageError(`${variable} and ${variable}_FILE are both set: give one`);
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new UsageError(`${variable}_FILE names a file that cannot be read (${(error as NodeJS.ErrnoException).code}): ${path}`);
  }
}
