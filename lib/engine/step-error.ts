import { SyncError } from '../errors.ts';
import { isFailingDisk, isFullDisk } from '../full-disk.ts';
import { SchemaError } from '../schema/schema-error.ts';

/**
 * What went wrong in a step, as one of our codes. Constraint errors are the client's (a row that cannot be); everything else
 * about files and disks is ours or passing, and must never look like the client's fault: a 400 asks people for a one-way sync.
 */
export function asSyncError(error: unknown): SyncError {
  if (error instanceof SyncError) return error;
  if (error instanceof SchemaError) return new SyncError('BODY_INVALID', error.message);
  const code = String((error as { code?: unknown } | null)?.code ?? '');
  const detail = error instanceof Error ? `${code} ${error.message}`.trim() : code;
  const options = { cause: error, detail };
  if (isFullDisk(error)) return new SyncError('DISK_FULL', 'no space left', options);
  if (code === 'SQLITE_CORRUPT' || code.startsWith('SQLITE_CORRUPT_') || code === 'SQLITE_NOTADB') {
    return new SyncError('COLLECTION_DAMAGED', 'the stored collection is damaged', options);
  }
  if (code === 'SQLITE_BUSY' || code.startsWith('SQLITE_BUSY_') || code === 'EMFILE' || code === 'ENFILE') {
    return new SyncError('BUSY', 'the collection is in use elsewhere', options);
  }
  if (isFailingDisk(error)) return new SyncError('STORAGE_FAILED', 'the disk cannot be read or written', options);
  if (code.startsWith('SQLITE_CONSTRAINT') || code === 'SQLITE_MISMATCH') {
    return new SyncError('STEP_FAILED', 'an object was refused', options);
  }
  // a value of a type that no client writes; Anki's own server fails such a step too, and a one-way sync mends it
  if (/^SQLITE_ERROR JSON cannot hold BLOB/.test(detail)) return new SyncError('STEP_FAILED', 'an object cannot be read', options);
  return new SyncError('INTERNAL', 'internal error', options);
}
