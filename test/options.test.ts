import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { createSyncServer } from '../lib/index.ts';
import { checkOptions } from '../lib/options.ts';

test('without options the data folder is ./data, and limits are generous', () => {
  const options = checkOptions({});
  assert.equal(options.base, resolve('data'));
  assert.equal(options.landingPage, true);
  assert.equal(options.limits.maxPackedBytes, 2 * 1024 ** 3);
  assert.equal(options.limits.maxUnpackedBytes, 4 * 1024 ** 3 - 64 * 1024 ** 2);
});

test('a misspelled option is refused, and the likely one named', () => {
  assert.throws(() => createSyncServer({ bse: './x' } as never), /unknown option "bse"\. Did you mean base\?/);
  assert.throws(() => createSyncServer({ maxpackedbytes: 1 } as never), /Did you mean maxPackedBytes\?/);
  assert.throws(() => createSyncServer({ colour: 1 } as never), /unknown option "colour"\.$/);
});

const wrong: Record<string, unknown[]> = {
  base: ['', 5],
  authenticator: [{}, 'ldap', [], ['local', 'ldap'], [null]],
  hostKeys: [{ issue() {} }],
  loginLimits: [true, 'off', { perUser: 0 }, { perUsers: 5 }, { windowSecs: 1.5 }],
  caseSensitive: ['yes'],
  doctor: ['no', 0],
  maxPackedBytes: [0, -1, 1.5, '100', NaN],
  threads: [0, 2.5],
  threadHeapMib: [1],
  snapshots: [5, null],
  collections: ['pg'],
  publicUrl: ['example.org', 'ftp://example.org', 'https://'],
  log: [console],
};
for (const [name, values] of Object.entries(wrong)) {
  test(`a wrong ${name} is refused with the name of the option`, () => {
    for (const value of values) assert.throws(() => checkOptions({ [name]: value }), new RegExp(`^TypeError: option "${name}" must be `));
  });
}

test('an option that is undefined counts as left out', () => {
  assert.equal(checkOptions({ base: undefined, landingPage: undefined } as never).landingPage, true);
});
