import { parsePhc } from './password-hash.ts';
import { UsersError } from './users-error.ts';

/**
 * What to keep of an entry in the `auth` table of an old community server, or null for a form that nobody knows.
 *
 * - `sha256(username + password + salt)` in hex, then the salt, 16 hex digits, which went in as text (`ankisyncd`);
 * - `pbkdf2_sha256$iterations$salt$base64` (Django, in forks with a web page), whose salt is text too;
 * - a PHC string.
 */
export function keptHash(username: string, hash: string): string | null {
  const old = /^([0-9a-f]{64})([0-9a-f]{16})$/.exec(hash);
  if (old !== null) return `$ankisyncd-sha256$${base64(username)}$${base64(old[2]!)}$${base64(Buffer.from(old[1]!, 'hex'))}`;
  const django = /^pbkdf2_sha256\$(\d{1,9})\$([^$]+)\$([A-Za-z0-9+/]{43})=$/.exec(hash);
  const phc = django === null ? hash : `$pbkdf2-sha256$i=${django[1]},l=32$${base64(django[2]!)}$${django[3]}`;
  try {
    parsePhc(phc);
    return phc;
  } catch (error) {
    if (error instanceof UsersError) return null;
    throw error;
  }
}

function base64(value: string | Buffer): string {
  return Buffer.from(value).toString('base64').replace(/=+$/, '');
}
