/** Lines of the log: of failures, and of what happens beside requests. */
import type { User } from '../auth/authenticator.ts';
import type { UserDirectory } from '../auth/user-directory.ts';
import type { AuditRow } from '../auth/users-rows.ts';
import { SyncError } from '../errors.ts';
import type { LogEntry } from '../options.ts';
import { ClientGone } from '../protocol/client-gone.ts';
import { wayBack } from '../way-back.ts';

export type Tell = (entry: LogEntry) => void;

/** A log that fails is no reason to fail a request, whose work is done by then. */
export function toldSafely(log: Tell): Tell {
  return (entry) => {
    try {
      log(entry);
    } catch {
      // nobody else to tell
    }
  };
}

/** What the operator may want to know of a step that went well, or was refused in words. */
export function noteOf(level: LogEntry['level'], request: string, user: User, detail: string): LogEntry {
  return { level, request, status: 200, ms: 0, user: user.loginName, detail };
}

export function auditLine({ event, login_name: user, detail }: AuditRow): LogEntry {
  return { level: 'info', request: 'users', status: 200, ms: 0, event, user, ...(detail === '' ? {} : { detail }) };
}

/** Told once it is known whose they were. */
export function tellOfRevoked(tell: Tell, directory: UserDirectory, userId: string, count: number): void {
  const line = (user: User | null): void => tell({
    level: 'info', request: 'revoke', status: 200, ms: 0, event: 'keys.revoked', ...(user === null ? {} : { user: user.loginName }), detail: `${count} host keys ended`,
  });
  directory.userById(userId).then(line, () => line(null));
}

/** Into the line of a request that failed: its code, and what only the operator may know. */
export function describeFailure(error: unknown, entry: LogEntry, base: string): void {
  if (error instanceof ClientGone) {
    entry.code = 'CLIENT_GONE';
    return;
  }
  const known = error instanceof SyncError ? error : undefined;
  entry.code = known?.code ?? 'INTERNAL';
  entry.level = (known?.status ?? 500) >= 500 && known?.code !== 'CLOSING' && known?.code !== 'MAINTENANCE' && known?.code !== 'CLIENT_TOO_OLD' ? 'error' : 'warn';
  const detail = known === undefined ? (error instanceof Error ? (error.stack ?? error.message) : String(error)) : (known.detail ?? known.message);
  entry.detail = known !== undefined && known.status >= 500 && known.stack !== undefined && entry.code === 'INTERNAL' ? `${detail}\n${known.stack}` : detail;
  if (known?.code === 'COLLECTION_DAMAGED') entry.detail += `; ${wayBack(known.snapshot, entry.user ?? 'NAME', base)}`;
}
