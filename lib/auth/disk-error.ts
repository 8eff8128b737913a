import { SyncError } from '../errors.ts';
import { isFullDisk } from '../full-disk.ts';

/**
 * What SQLite or the file system says, as an error for the hall. All are 503: a disk that fails is no reason for a client
 * to throw its key away.
 */
export function diskError(error: { code?: string | undefined; message: string }): SyncError {
  const code = error.code ?? '';
  const cause = error instanceof Error ? error : new Error(error.message);
  if (isFullDisk(error)) return new SyncError('DISK_FULL', 'the disk of the users is full', { cause });
  if (code.startsWith('SQLITE_BUSY')) return new SyncError('BUSY', 'the users are being changed', { cause });
  return new SyncError('AUTH_UNAVAILABLE', 'the users cannot be read or written', { detail: code, cause });
}
