import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

/** A data folder that is gone after the file's tests. */
export function dataFolder(): string {
  const base = mkdtempSync(join(tmpdir(), 'anki-sync-auth-'));
  after(() => rmSync(base, { recursive: true, force: true }));
  return base;
}

/** Cheap parameters: what is tested is what is done, not how slow it is. */
export const CHEAP = { memoryKiB: 64, passes: 1 };
