import { UsageError } from './usage-error.ts';

/** PASSWORD_CHANGE_ENDS: what ends with a changed password. @throws UsageError */
export function passwordChangeEnds(env: Readonly<Record<string, string | undefined>>): 'all' | 'own' | undefined {
  const value = env.PASSWORD_CHANGE_ENDS;
  if (value === undefined || value === '') return undefined;
  if (value !== 'all' && value !== 'own') throw new UsageError(`PASSWORD_CHANGE_ENDS must be all or own, not "${value}"`);
  return value;
}
