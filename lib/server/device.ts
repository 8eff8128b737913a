/** What is remembered of a device when it syncs. */
import type { LogEntry } from '../options.ts';
import type { MediaMethod, SyncMethod } from '../protocol/methods.ts';

/** What a device asks for at the end of a sync, or at the beginning of one of media. `meta`, at the beginning of each, tells of it itself. */
export const TELLS_OF_DEVICE: ReadonlySet<string> = new Set<SyncMethod | MediaMethod>(['finish', 'upload', 'download', 'begin']);

export function deviceAt({ address }: LogEntry, client: string): { client: string; address?: string } {
  return { client, ...(address === undefined ? {} : { address }) };
}
