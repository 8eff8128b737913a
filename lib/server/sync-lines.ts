/** Syncs that go on. Each that is finished has a line of the log of its own, behind the one of its last request. */
import { finished, Readable } from 'node:stream';
import type { User } from '../auth/authenticator.ts';
import { syncEntry, Syncs, type SyncHooks, type Syncing, type UnfinishedSync } from '../activity.ts';
import { SyncError } from '../errors.ts';
import type { HttpResponse } from '../http.ts';
import type { LogEntry } from '../options.ts';
import type { SyncRequest } from '../protocol/request.ts';
import { SYNCS } from '../tracing.ts';
import type { Tell } from './log-lines.ts';

const TOLD: SyncHooks = {
  began: (sync) => SYNCS.start.publish(sync),
  ended: (sync) => SYNCS.asyncEnd.publish(sync),
};

export class SyncLines {
  readonly #tell: Tell;
  readonly #syncs = new Syncs(TOLD);
  /** Lines of finished syncs, by those of their last requests. */
  readonly #finished = new Map<LogEntry, LogEntry>();

  constructor(tell: Tell) {
    this.#tell = tell;
  }

  now(nowMillis: number): UnfinishedSync[] {
    return this.#syncs.now(nowMillis);
  }

  /** Before a step. Undefined where it belongs to no sync that has begun. */
  arrived(method: string, user: User, client: string | undefined): Syncing | undefined {
    return this.#syncs.arrived(method, user, client, performance.now());
  }

  /** After a step that was answered. A download is finished when its last byte was taken. */
  stepped(sync: Syncing, request: SyncRequest, response: HttpResponse, entry: LogEntry): void {
    const lineOf = (): LogEntry | undefined => {
      const now = performance.now();
      const report = this.#syncs.stepped(sync, request, now);
      return report && syncEntry(entry, report, now - sync.startedMillis);
    };
    if (entry.event === 'upload.refused' || entry.event === 'sanity.bad') this.#syncs.ended(sync);
    else if (response.body instanceof Readable && sync.kind === 'download') {
      finished(response.body, (error) => (error == null ? this.#tell(lineOf()!) : this.#syncs.ended(sync)));
    } else {
      const line = lineOf();
      if (line !== undefined) this.#finished.set(entry, line);
    }
  }

  /** After a step that failed. */
  failed(sync: Syncing, error: unknown): void {
    if (sync.kind !== 'media' && !isTakenOver(error)) this.#syncs.ended(sync);
  }

  /** Once the line of a request is told. */
  tellFinished(entry: LogEntry): void {
    if (this.#finished.size === 0) return;
    const line = this.#finished.get(entry);
    this.#finished.delete(entry);
    if (line !== undefined) this.#tell(line);
  }
}

/** The sync that goes on is another device's. */
function isTakenOver(error: unknown): boolean {
  return error instanceof SyncError && error.code === 'SYNC_TAKEN_OVER';
}
