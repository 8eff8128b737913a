/**
 * Hooks for whoever makes spans of what happens: tracing channels of node:diagnostics_channel. Nothing is told, and nothing made, where nobody
 * has subscribed. What is told holds no secret: no password, no key, no header, no answer.
 */
import { tracingChannel, type TracingChannel } from 'node:diagnostics_channel';
import type { SyncKind, SyncReport } from './activity.ts';
import type { LogEntry } from './options.ts';

/** `anki-sync.request`: from its head until its answer is ready. Never tells an error: that is in the entry. */
export interface RequestTrace {
  /** The line of the log: its method or path at the start, all of it at `asyncEnd`. */
  readonly entry: LogEntry;
}

/** `anki-sync.upload`: a full upload, from its last byte until it has replaced the collection, or was refused: `entry.event` of the request tells. */
export interface UploadTrace {
  readonly user: string;
  readonly bytes: number;
}

/** `anki-sync.sync`: from its first request to the end of its last one. */
export interface SyncTrace extends SyncReport {
  readonly kind: SyncKind;
  readonly user: string;
  readonly client: string | undefined;
  /** From `asyncEnd` on. `ended`: it failed, another device took over, or its client did not go on. */
  outcome?: 'done' | 'ended';
}

export const REQUESTS: TracingChannel<unknown, RequestTrace> = tracingChannel('anki-sync.request');
export const UPLOADS: TracingChannel<unknown, UploadTrace> = tracingChannel('anki-sync.upload');
export const SYNCS: TracingChannel<unknown, SyncTrace> = tracingChannel('anki-sync.sync');

/** Node's own `tracePromise` would also hand over what the promise brings, and that may be a host key. */
export async function traced<Context extends object, T>(channel: TracingChannel<unknown, Context>, context: Context, work: () => Promise<T>): Promise<T> {
  let result: T;
  await channel.tracePromise(async () => {
    result = await work();
  }, context);
  return result!;
}
