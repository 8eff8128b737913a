import type { LogEntry } from '../options.ts';

/** What went wrong last for a user, since the start of the server. */
export interface LastError {
  atMillis: number;
  request: string;
  code: string;
}

const MAX_USERS = 1000;

/**
 * For administrators: by login name, in memory. Logins that failed are not among them, since whoever types a name could write here: they are
 * lines of the log, and a metric.
 */
export class LastErrors {
  readonly #errors = new Map<string, LastError>();

  note({ user, code, request, event }: LogEntry): void {
    if (user === undefined || code === undefined || code === 'CLIENT_GONE' || event?.startsWith('login.') === true) return;
    this.#errors.delete(user);
    this.#errors.set(user, { atMillis: Date.now(), request, code });
    if (this.#errors.size > MAX_USERS) this.#errors.delete(this.#errors.keys().next().value!);
  }

  of(loginName: string): LastError | undefined {
    return this.#errors.get(loginName);
  }
}
