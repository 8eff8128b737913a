import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readFully } from '../../../lib/storage/files/read-fully.ts';

test('a place is filled with what stands at a position, or the file ends early', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'read-fully-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'file');
  writeFileSync(path, 'a few bytes');
  const descriptor = openSync(path, 'r');
  t.after(() => closeSync(descriptor));
  for (const [position, bytes, whole] of [[0, 11, true], [2, 3, true], [8, 3, true], [8, 4, false], [11, 0, true], [11, 1, false]] as const) {
    const place = Buffer.alloc(bytes);
    assert.equal(readFully(descriptor, place, position), whole);
    if (whole) assert.equal(place.toString(), 'a few bytes'.slice(position, position + bytes));
  }
});
