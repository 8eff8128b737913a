import assert from 'node:assert/strict';
import test from 'node:test';
import { checkAccountOptions } from '../../lib/account/settings.ts';
import { checkOptions } from '../../lib/options.ts';

test('in an application there is no account page unless it is wanted', () => {
  assert.equal(checkOptions({}).account, undefined);
  assert.equal(checkAccountOptions(false), undefined);
  assert.equal(checkAccountOptions({ enabled: false, admins: ['ada'] }), undefined);
  assert.deepEqual(checkAccountOptions(true), { admins: [], passwords: true, sessionHours: 12, idleMinutes: 60 });
  assert.deepEqual(checkAccountOptions({ sessionHours: 1 }), { admins: [], passwords: true, sessionHours: 1, idleMinutes: 60 });
});

const wrong: [unknown, RegExp][] = [
  ['yes', /^TypeError: option "account" must be/],
  [null, /^TypeError: option "account" must be/],
  [{ admin: ['ada'] }, /unknown option "account\.admin"\. Did you mean admins\?/],
  [{ admins: 'ada' }, /option "account\.admins" must be a list of login names/],
  [{ admins: [''] }, /option "account\.admins" must be/],
  [{ sessionHours: 0 }, /option "account\.sessionHours" must be/],
  [{ sessionHours: Infinity }, /option "account\.sessionHours" must be/],
  [{ idleMinutes: '5' }, /option "account\.idleMinutes" must be/],
  [{ passwords: 1 }, /option "account\.passwords" must be/],
  [{ enabled: 'no' }, /option "account\.enabled" must be/],
];
for (const [value, message] of wrong) {
  test(`account: ${JSON.stringify(value)} is refused with the name of the option`, () => {
    assert.throws(() => checkOptions({ account: value as never }), message);
  });
}
