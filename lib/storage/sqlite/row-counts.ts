import { readFileSync, statSync, writeFileSync } from 'node:fs';
import type { RowKind } from '../storage.ts';

/** How many rows there are. Every sync asks, and SQLite can only tell by walking a whole index. */
export type RowCounts = Record<RowKind, number>;

/** What the counts are of. Each commit of a sync changes `mod` and `usn`, and whatever else writes to the file changes its time. */
export interface CountedState {
  modifiedMillis: number;
  usn: number;
}

/** Beside the collection while it is closed. May be deleted at any time: it is counted again then. */
const SUFFIX = '.counts';

/** Of the closed collection at `path`: undefined when they are not known, or something else wrote to it since. */
export function readRowCounts(path: string, state: CountedState): RowCounts | undefined {
  try {
    const kept = JSON.parse(readFileSync(path + SUFFIX, 'utf8')) as { of: unknown; counts: RowCounts };
    return JSON.stringify(kept.of) === JSON.stringify(stampOf(path, state)) ? kept.counts : undefined;
  } catch {
    return undefined;
  }
}

/** Called once the collection is closed: what was counted need not be durable. */
export function keepRowCounts(path: string, state: CountedState, counts: RowCounts): void {
  try {
    writeFileSync(path + SUFFIX, JSON.stringify({ of: stampOf(path, state), counts }));
  } catch {
    // a full disk must not keep a collection from being closed
  }
}

function stampOf(path: string, { modifiedMillis, usn }: CountedState): unknown[] {
  const { size, mtimeMs } = statSync(path);
  return [modifiedMillis, usn, size, mtimeMs];
}
