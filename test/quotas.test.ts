import assert from 'node:assert/strict';
import test from 'node:test';
import type { Quota, User } from '../lib/auth/authenticator.ts';
import { Quotas, type QuotaOption } from '../lib/quotas.ts';

const ANN: User = { id: 'a', loginName: 'ann', folder: 'ann' };

function quotas(option: QuotaOption | undefined, own?: Quota): { quotas: Quotas; failures: string[] } {
  const failures: string[] = [];
  return { quotas: new Quotas({ option, ownOf: () => own, failed: (error, { loginName }) => failures.push(`${loginName}: ${String(error)}`) }), failures };
}

test('what was set for a user goes before what holds for all, value by value; 0 is no limit', async () => {
  const all = { maxCollectionBytes: 10, maxMediaBytes: 20 };
  const cases: [QuotaOption | undefined, Quota | undefined, Quota][] = [
    [undefined, undefined, {}],
    [all, undefined, all],
    [all, { maxMediaBytes: 5 }, { maxCollectionBytes: 10, maxMediaBytes: 5 }],
    [all, { maxCollectionBytes: 0 }, { maxMediaBytes: 20 }],
    [undefined, { maxCollectionBytes: 7, maxMediaBytes: 0 }, { maxCollectionBytes: 7 }],
    [({ loginName }) => (loginName === 'ann' ? { maxMediaBytes: 3 } : undefined), undefined, { maxMediaBytes: 3 }],
    [async () => all, { maxMediaBytes: 0 }, { maxCollectionBytes: 10 }],
    [() => undefined, undefined, {}],
    [() => ({ maxMediaBytes: 0 }), undefined, {}],
  ];
  for (const [option, own, expected] of cases) assert.deepEqual(await quotas(option, own).quotas.of(ANN), expected);
});

test('a function that fails, or answers no quota, limits nobody, and the log says so', async () => {
  const broken: [() => Quota | Promise<Quota>, RegExp][] = [
    [() => { throw new Error('no answer'); }, /^ann: Error: no answer$/],
    [async () => Promise.reject(new Error('later')), /^ann: Error: later$/],
    [() => ({ maxMediaBytes: -1 }), /^ann: TypeError: .*whole numbers of bytes/],
    [() => ({ maxMediaMib: 1 }) as Quota, /^ann: TypeError/],
    [() => 5 as unknown as Quota, /^ann: TypeError/],
  ];
  for (const [option, words] of broken) {
    const { quotas: failing, failures } = quotas(option);
    assert.deepEqual(await failing.of(ANN), {});
    assert.equal(failures.length, 1);
    assert.match(failures[0]!, words);
  }
});

test('a device is told at each sync until one went through that told it, and then a day later', (t) => {
  let nowMillis = 0;
  t.mock.method(performance, 'now', () => nowMillis);
  const { quotas: one } = quotas({ maxCollectionBytes: 1 });
  const told = (key: string): boolean => {
    const now = one.isToTell(key);
    if (now) one.told(key);
    return now;
  };
  assert.deepEqual([told('laptop'), told('laptop')], [true, true]);
  one.synced('laptop');
  assert.deepEqual([told('laptop'), told('phone')], [false, true]);
  one.synced('tablet');
  assert.deepEqual([told('laptop'), told('phone'), told('tablet')], [false, true, true]);
  nowMillis = 24 * 3_600_000 - 1;
  assert.equal(told('laptop'), false);
  nowMillis += 1;
  assert.equal(told('laptop'), true);
});
