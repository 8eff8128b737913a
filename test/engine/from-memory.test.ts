import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs, { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { exportedAnswer } from '../../lib/engine/from-memory.ts';
import type { ExportedFile } from '../../lib/storage/storage.ts';

const MIB = 1024 * 1024;

describe('an exported collection', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'from-memory-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const exported = (content: Buffer): ExportedFile => {
    const path = join(folder, 'download.anki2');
    writeFileSync(path, content);
    return { path, bytes: content.length };
  };

  for (const bytes of [1, 4 * MIB]) {
    test(`of ${bytes} bytes leaves from memory that may move, and its file is gone`, () => {
      const content = randomBytes(bytes);
      const file = exported(content);
      const answer = exportedAnswer(file);
      assert.ok(answer.kind === 'bytes' && answer.data instanceof Uint8Array);
      assert.ok(content.equals(answer.data));
      assert.equal(answer.data.buffer.byteLength, bytes);
      assert.equal(existsSync(file.path), false);
    });
  }

  test('leaves although the disk keeps its file', (t) => {
    const content = randomBytes(100);
    const file = exported(content);
    t.mock.method(fs, 'unlinkSync', () => {
      throw Object.assign(new Error('EIO: i/o error, unlink'), { code: 'EIO' });
    });
    syncBuiltinESMExports();
    t.after(() => {
      t.mock.restoreAll();
      syncBuiltinESMExports();
    });
    const answer = exportedAnswer(file);
    assert.ok(answer.kind === 'bytes' && content.equals(answer.data as Uint8Array));
    assert.equal(existsSync(file.path), true);
  });

  test('larger than 4 MiB stays a file', () => {
    const file = exported(randomBytes(4 * MIB + 1));
    assert.deepEqual(exportedAnswer(file), { kind: 'file', ...file });
    assert.equal(existsSync(file.path), true);
  });

  for (const more of [-1, 1]) {
    test(`of another size than it should have (${more}) is refused, and removed`, () => {
      const file = exported(randomBytes(100));
      assert.throws(() => exportedAnswer({ ...file, bytes: 100 + more }), /100 bytes instead of/);
      assert.equal(existsSync(file.path), false);
    });
  }
});
