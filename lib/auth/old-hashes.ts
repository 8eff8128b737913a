/** Hashes of old community servers (`ankisyncd`), in the form in which we keep them until their owner's next login. */
import { createHash, timingSafeEqual } from 'node:crypto';

const OLD = /^\$ankisyncd-sha256\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]{43})$/;

export function isOldHash(stored: string): boolean {
  return OLD.test(stored);
}

/** Whether a password belongs to an old community server's hash: byte by byte as typed, with the name as it stood there. */
export function matchesOldHash(password: string, stored: string): boolean {
  const [, username = '', salt = '', hash = ''] = OLD.exec(stored) ?? [];
  const digest = createHash('sha256').update(Buffer.from(username, 'base64')).update(password).update(Buffer.from(salt, 'base64')).digest();
  const expected = Buffer.from(hash, 'base64');
  return expected.length === digest.length && timingSafeEqual(digest, expected);
}
