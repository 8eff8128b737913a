import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeFile } from '../../../lib/storage/files/durable.ts';
import { isFailingDisk } from '../../../lib/full-disk.ts';

test('a file is removed, and one that is missing is none to complain of', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'removing-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'file');
  writeFileSync(path, 'x');
  removeFile(path);
  assert.equal(existsSync(path), false);
  removeFile(path);
});

test('what the disk does not let go of is told with the code of the error', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'removing-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'no file');
  mkdirSync(path);
  assert.throws(() => removeFile(path), (error: unknown) => isFailingDisk(error));
});
