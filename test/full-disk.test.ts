import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { asSyncError } from '../lib/engine/step-error.ts';
import { isFullDisk } from '../lib/full-disk.ts';
import { diskError } from '../lib/protocol/disk-writes.ts';

const { EDQUOT } = constants.errno;

test('a quota that is used up is a full disk, whatever Node calls it', () => {
  for (const code of ['EDQUOT', 'UNKNOWN', `Unknown system error -${EDQUOT}`]) {
    const error = Object.assign(new Error('write'), { code, errno: -EDQUOT });
    assert.equal(asSyncError(error).code, 'DISK_FULL', code);
    assert.equal((diskError(error) as { code: string }).code, 'DISK_FULL', code);
  }
});

test('other errors without a name, and what is no error, are no full disk', () => {
  for (const error of [{ code: 'UNKNOWN', errno: -1 }, { code: 'UNKNOWN' }, { errno: -EDQUOT }, { code: 'EIO', errno: -5 }, new Error('x'), null, undefined, 'ENOSPC']) {
    assert.equal(isFullDisk(error), false);
  }
});

test('a disk that cannot be read or written is told as such, in a step and while a body is received', () => {
  for (const code of ['EIO', 'EROFS', 'EACCES', 'SQLITE_IOERR_WRITE', 'SQLITE_READONLY']) {
    const error = Object.assign(new Error('open'), { code });
    assert.equal(asSyncError(error).code, 'STORAGE_FAILED', code);
    assert.equal((diskError(error) as { code: string }).code, 'STORAGE_FAILED', code);
  }
});
