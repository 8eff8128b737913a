/** What the decoders of zstd and gzip say, in our words. */
import { SyncError } from '../errors.ts';
import { tooLarge } from './zstd-frames.ts';

/** Other errors stay. */
export function decodingError(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (isEndOfInput(error)) return new SyncError('BODY_TRUNCATED', 'the body ended too early', { cause: error });
  if (code === 'ERR_BUFFER_TOO_LARGE') return tooLarge();
  if (code === 'ZSTD_error_memory_allocation') return new SyncError('BUSY', 'out of memory', { cause: error });
  if (isZstdError(error)) return new SyncError('BODY_NOT_ZSTD', 'the zstd frame of the body is damaged', { cause: error });
  if (code === 'Z_DATA_ERROR' || code === 'Z_NEED_DICT') return new SyncError('BODY_INVALID', 'the gzip of the body is damaged', { cause: error });
  return error;
}

export function isEndOfInput(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'Z_BUF_ERROR';
}

export function isZstdError(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code?.startsWith('ZSTD_error_') === true;
}

export function trailingGzip(): SyncError {
  return new SyncError('BODY_TRAILING_DATA', 'the body goes on after its gzip');
}
