import { SyncError } from '../errors.ts';

/** How a sign-in that failed is called in the log, on a device or on a page. */
export function loginEvent(error: unknown): 'login.refused' | 'login.limited' | 'login.unavailable' {
  const code = error instanceof SyncError ? error.code : 'INTERNAL';
  if (code === 'PASSWORD_WRONG') return 'login.refused';
  return code === 'LOGIN_LIMITED' || code === 'BUSY' ? 'login.limited' : 'login.unavailable';
}
