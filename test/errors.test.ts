import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERROR_STATUS, SyncError } from '../lib/errors.ts';

test('the documentation has every code with its status, and no other', () => {
  const text = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `([A-Z_]+)` \| (\d+) \| ([^|]+) \| ([^|]+) \|$/gm)].map(([, code, status]) => [code, Number(status)]);
  assert.deepEqual(rows.toSorted(), Object.entries(ERROR_STATUS).toSorted());
});

test('nothing that passes by itself is a 400, and nothing but credentials is a 403', () => {
  const codes = (status: number): string[] => Object.entries(ERROR_STATUS).filter(([, of]) => of === status).map(([code]) => code).sort();
  assert.deepEqual(codes(403), ['HOST_KEY_UNKNOWN', 'PASSWORD_WRONG']);
  assert.deepEqual(codes(503), ['AUTH_UNAVAILABLE', 'BUSY', 'CLOSING', 'DISK_FULL', 'MAINTENANCE', 'MEDIA_FOLDER_MISSING', 'STORAGE_FAILED', 'UPSTREAM_REFUSED']);
});

test('an error knows its status, and when to come again', () => {
  const error = new SyncError('BUSY', 'words');
  assert.deepEqual([error.status, error.code, error.message, error.retryAfterSecs, error.detail, error.cause], [503, 'BUSY', 'words', 5, undefined, undefined]);
  const cause = new Error('cause');
  const other = new SyncError('DISK_FULL', 'words', { retryAfterSecs: 60, detail: 'for the log', cause });
  assert.deepEqual([other.retryAfterSecs, other.detail, other.cause], [60, 'for the log', cause]);
});
