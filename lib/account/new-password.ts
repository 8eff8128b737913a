import { randomInt } from 'node:crypto';

/** Letters and digits that nobody mixes up. */
const ALPHABET = 'abcdefghjkmnpqrstuvwxyz23456789';

/** For somebody else to begin with: 20 characters, 99 bits. */
export function newPassword(): string {
  return Array.from({ length: 20 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}
