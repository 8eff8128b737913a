import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { prepareUpload } from '../../../lib/storage/sqlite/anki2.ts';
import { writeCollection } from '../../engine/collections.ts';

test('a collection that is cut anywhere, also within its last page, is corrupt, and no failure of the disk', () => {
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-cut-'));
  try {
    const path = join(folder, 'whole.anki2');
    writeCollection(path, 40_000);
    const whole = readFileSync(path);
    for (const missing of [1, 100, 511, 512, 1024, 3000, 4095, 4096, 4097, 9000, whole.length - 50]) {
      const cut = join(folder, `${missing}.anki2`);
      writeFileSync(cut, whole.subarray(0, whole.length - missing));
      assert.equal(prepareUpload(cut).verdict, 'corrupt', `${missing} bytes are missing`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
