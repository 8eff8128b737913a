import { UsersError } from './users-error.ts';

const MAX_NAME_BYTES = 255;

/** Controls, line and paragraph separators: they forge log lines and terminals, and nobody can type them. */
const FORBIDDEN = /[\p{Cc}\u2028\u2029]/u;

/**
 * The form in which a login name is kept: NFC, without white space around it (phone keyboards add a space after a
 * suggestion). 1 to 255 bytes of UTF-8.
 *
 * @throws UsersError NAME_INVALID
 */
export function normaliseLoginName(typed: string): string {
  const name = typed.normalize('NFC').trim();
  const reason = !name.isWellFormed() ? 'is not valid Unicode'
    : name === '' ? 'is empty'
    : FORBIDDEN.test(name) ? 'holds control characters'
    : Buffer.byteLength(name) > MAX_NAME_BYTES ? `is longer than ${MAX_NAME_BYTES} bytes`
    : undefined;
  if (reason !== undefined) throw new UsersError('NAME_INVALID', `this user name cannot be used: it ${reason}`);
  return name;
}

/** As `normaliseLoginName`, with null for a name that cannot be one. */
export function loginNameOrNull(typed: string): string | null {
  try {
    return normaliseLoginName(typed);
  } catch (error) {
    if (error instanceof UsersError) return null;
    throw error;
  }
}

/**
 * What two spellings of one login name have in common, under the case rule of the data folder.
 * Lower case and no more: a coarser folding (ß and ss, ı and i) would give one person's cards to another.
 */
export function loginKey(loginName: string, caseSensitive: boolean): string {
  return caseSensitive ? loginName : loginName.toLowerCase().normalize('NFC');
}

/** Pairs of different names that mean the same user when case does not count. */
export function namesDifferingInCase(names: Iterable<string>): [string, string][] {
  const seen = new Map<string, string>();
  const pairs: [string, string][] = [];
  for (const name of names) {
    const key = loginKey(name.normalize('NFC'), false);
    const other = seen.get(key);
    if (other === undefined) seen.set(key, name);
    else if (other !== name) pairs.push([other, name]);
  }
  return pairs;
}
