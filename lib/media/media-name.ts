import { SyncError } from '../errors.ts';
import { MAX_NAME_BYTES } from './limits.ts';

/**
 * The names that Anki's server refuses, and those it fails on (empty, `.`, `..`, NUL). Every other name must be accepted,
 * however odd: a client whose zip is refused sends the same zip again, so its media would never sync again.
 */
export function checkMediaName(name: string): void {
  const reason = reasonToRefuse(name);
  if (reason !== null) throw new SyncError('MEDIA_NAME_INVALID', `a media name ${reason}`, { detail: JSON.stringify(name.slice(0, 300)) });
}

function reasonToRefuse(name: string): string | null {
  if (name === '' || name === '.' || name === '..') return 'is not a file name';
  if (name.includes('/') || name.includes('\0')) return 'contains a slash or NUL';
  if (!name.isWellFormed()) return 'is not Unicode';
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return `is longer than ${MAX_NAME_BYTES} bytes`;
  if (name.normalize('NFC') !== name) return 'is not in normal form C';
  return null;
}
