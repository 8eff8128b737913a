export interface PageErrorOptions {
  /** For the log only. */
  detail?: string;
  /** Of the error table, for the log. */
  code?: string;
  /** For 429 and 503. */
  retryAfterSecs?: number;
}

/** What went wrong, in words for the person in front of the page. Plain text, escaped where it is shown. */
export class PageError extends Error {
  readonly status: number;
  readonly detail: string | undefined;
  readonly code: string | undefined;
  readonly retryAfterSecs: number | undefined;

  constructor(status: number, message: string, options: PageErrorOptions = {}) {
    super(message);
    this.name = 'PageError';
    this.status = status;
    this.detail = options.detail;
    this.code = options.code;
    this.retryAfterSecs = options.retryAfterSecs;
  }
}
