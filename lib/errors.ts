/**
 * The one error class, and the one table of all codes.
 *
 * A status is a word to the user of an Anki client (seen in rslib's `sync/error.rs` and in the desktop's behaviour):
 * 400 "check database, then one-way sync" · 403 wrong password, and the desktop throws its saved key away ·
 * 409 another device took over · 501 client too old · 500/502/503/504 server error · anything else "network error", 429 with
 * "Too Many Requests" in its details.
 * So nothing temporary is ever a 400, and nothing but credentials is ever a 403.
 */
export const ERROR_STATUS = {
  // 400: the request can never succeed as it is
  SYNC_HEADER_INVALID: 400,
  SYNC_VERSION_UNSUPPORTED: 400,
  METHOD_UNKNOWN: 400,
  AUTH_EXPECTED: 400,
  SESSION_KEY_MISSING: 400,
  BODY_NOT_ZSTD: 400,
  BODY_TRUNCATED: 400,
  BODY_TRAILING_DATA: 400,
  BODY_SIZE_WRONG: 400,
  BODY_NOT_JSON: 400,
  BODY_INVALID: 400,
  UPLOAD_EMPTY: 400,
  STEP_FAILED: 400,
  NOTETYPE_CHANGED: 400,
  MEDIA_ZIP_INVALID: 400,
  MEDIA_NAME_INVALID: 400,
  MEDIA_TOO_MANY_FILES: 400,
  // 403: credentials, and nothing else
  PASSWORD_WRONG: 403,
  HOST_KEY_UNKNOWN: 403,
  // 404, 405: not a sync request
  PATH_UNKNOWN: 404,
  HTTP_METHOD_WRONG: 405,
  // 409: the state moved on
  SYNC_NOT_ACTIVE: 409,
  SYNC_TAKEN_OVER: 409,
  MEDIA_FILE_MISSING: 409,
  // 413: only where no message of the protocol exists (uploads answer 200 with a text)
  BODY_TOO_LARGE: 413,
  QUOTA_EXCEEDED: 413,
  // 429: not now, for this user or address. Not 503: a load balancer would take the server for down
  LOGIN_LIMITED: 429,
  // 500: our fault
  INTERNAL: 500,
  BODY_ALREADY_READ: 500,
  COLLECTION_DAMAGED: 500,
  MEDIA_INDEX_DAMAGED: 500,
  THREAD_LOST: 500,
  // 501: the words an old client expects
  CLIENT_TOO_OLD: 501,
  // 502, 503, 504 of a gateway: the server behind it
  UPSTREAM_UNREACHABLE: 502,
  UPSTREAM_REFUSED: 503,
  UPSTREAM_SLOW: 504,
  // 503: try again
  BUSY: 503,
  CLOSING: 503,
  MAINTENANCE: 503,
  AUTH_UNAVAILABLE: 503,
  DISK_FULL: 503,
  STORAGE_FAILED: 503,
  MEDIA_FOLDER_MISSING: 503,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

export interface SyncErrorOptions {
  /** For the log only; never sent. Must hold no secret. */
  detail?: string;
  cause?: unknown;
  /** Seconds, for 429 and 503: sent as `Retry-After`. Default 5. */
  retryAfterSecs?: number;
  /** Of COLLECTION_DAMAGED: the newest snapshot that is there, for the log's advice. */
  snapshot?: string;
}

/** Every error that may reach the hall. The answer's body is the code and, below 500, the message; a 5xx never tells more than its code. */
export class SyncError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly detail: string | undefined;
  readonly retryAfterSecs: number;
  readonly snapshot: string | undefined;

  constructor(code: ErrorCode, message: string, options: SyncErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SyncError';
    this.code = code;
    this.status = ERROR_STATUS[code];
    this.detail = options.detail;
    this.retryAfterSecs = options.retryAfterSecs ?? 5;
    this.snapshot = options.snapshot;
  }
}
