import { SyncError, type ErrorCode } from '../errors.ts';

export interface ToThread<C> {
  id: number;
  call: C | 'close';
}

export type FromThread = { id: number; value: unknown } | { id: number; error: PackedError };

/** An error as it crosses between threads: structured clone would lose its class. */
export interface PackedError {
  code: ErrorCode;
  message: string;
  detail: string | undefined;
  retryAfterSecs: number;
  snapshot: string | undefined;
  stack: string | undefined;
}

export function packError(error: SyncError): PackedError {
  const cause = error.cause instanceof Error ? error.cause.stack : undefined;
  const { code, message, detail, retryAfterSecs, snapshot } = error;
  return { code, message, detail, retryAfterSecs, snapshot, stack: cause ?? error.stack };
}

export function unpackError(packed: PackedError): SyncError {
  const { code, message, stack, detail, retryAfterSecs, snapshot } = packed;
  const error = new SyncError(code, message, {
    retryAfterSecs,
    ...(detail === undefined ? {} : { detail }),
    ...(snapshot === undefined ? {} : { snapshot }),
  });
  if (stack !== undefined) error.stack = stack;
  return error;
}
