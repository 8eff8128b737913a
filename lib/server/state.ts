/** What the server has before its data folder is open, and hands to each request. */
import type { HttpRequest } from '../http.ts';
import type { CheckedOptions, LogEntry } from '../options.ts';
import type { Tell } from './log-lines.ts';
import type { SyncLines } from './sync-lines.ts';

export interface ServerState {
  readonly options: CheckedOptions;
  readonly tell: Tell;
  readonly syncs: SyncLines;
  /** The words that clients show while no sync may begin. */
  maintenance: string | undefined;
  /** Whoever may choose should choose another server. */
  isEnding: boolean;
}

/** A request, and what the log is to know of it. */
export interface Arrival {
  http: HttpRequest;
  /** The one line of the log. */
  entry: LogEntry;
  /** What must not stand in it. */
  secrets: string[];
}

export function arrivalOf(http: HttpRequest): Arrival {
  const entry: LogEntry = { level: 'info', request: `${http.method} ${http.url.split('?', 1)[0]}`, status: 0, ms: 0 };
  if (http.clientAddress !== undefined) entry.address = http.clientAddress;
  return { http, entry, secrets: [] };
}
