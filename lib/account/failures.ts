/** What failed, in words for the person in front of the page. */
import { UsersError } from '../auth/users-error.ts';
import { OidcError, type OidcReason } from '../auth/oidc/oidc.ts';
import { SyncError } from '../errors.ts';
import { PageError } from './page-error.ts';

const OIDC_STATUS: Record<OidcReason, number> = { unavailable: 503, cancelled: 400, stale: 400, refused: 403, 'name-taken': 403 };

const OURS = 'Something went wrong on the server, which has written it into its log.';

const WORDS: Partial<Record<SyncError['code'], string>> = {
  PASSWORD_WRONG: 'This user name and password do not belong together, or the account is disabled.',
  BUSY: 'The server is busy. Please try again in a moment.',
  CLOSING: 'The server is being restarted. Please try again in a moment.',
  AUTH_UNAVAILABLE: 'Nobody can be signed in at the moment, because what checks passwords does not answer. Devices that are signed in go on syncing. '
    + 'Please try again later.',
  DISK_FULL: 'The disk of the server is full. Please tell its administrator.',
  STORAGE_FAILED: 'The disk of the server cannot be read or written. Please tell its administrator.',
  COLLECTION_DAMAGED: 'The collection on the server cannot be read. Please tell its administrator, who finds more in the log.',
  MEDIA_INDEX_DAMAGED: 'The list of media on the server cannot be read. Please tell its administrator, who finds more in the log.',
};

/** Errors that only the log may tell of become 500 without a detail. */
export function failureOf(error: unknown): PageError {
  if (error instanceof PageError) return error;
  if (error instanceof OidcError) {
    const { reason, message, detail } = error;
    return new PageError(OIDC_STATUS[reason], message, { detail, code: `OIDC_${reason.toUpperCase().replace('-', '_')}` });
  }
  if (error instanceof UsersError) return new PageError(400, sentence(error.message));
  if (!(error instanceof SyncError)) return new PageError(500, OURS, { code: 'INTERNAL' });
  const { code, status, detail, retryAfterSecs } = error;
  if (code === 'LOGIN_LIMITED') {
    const minutes = Math.max(1, Math.ceil(retryAfterSecs / 60));
    const time = minutes === 1 ? 'a minute' : `${minutes} minutes`;
    return new PageError(status, `Too many wrong passwords. Please try again in ${time}.`, { code, retryAfterSecs });
  }
  const words = WORDS[code] ?? OURS;
  return new PageError(status, words, { code, ...(detail === undefined ? {} : { detail }), ...(status === 503 ? { retryAfterSecs } : {}) });
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}
