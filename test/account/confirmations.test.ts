import assert from 'node:assert/strict';
import test from 'node:test';
import { Confirmations } from '../../lib/account/confirmations.ts';
import { UsedStates } from '../../lib/account/used-states.ts';

test('a confirmation holds for ten minutes, and for its own browser', () => {
  const clock = { millis: 1000 };
  const confirmations = new Confirmations(() => clock.millis);
  confirmations.add('ada');
  clock.millis += 9 * 60_000;
  assert.deepEqual([confirmations.has('ada'), confirmations.has('bob')], [true, false]);
  clock.millis += 60_000;
  assert.equal(confirmations.has('ada'), false);
});

test('a state is used once for as long as it could be sealed, and memory has its bounds', () => {
  const clock = { millis: 1000 };
  const states = new UsedStates(() => clock.millis);
  assert.deepEqual([states.use('one'), states.use('one'), states.use('two')], [true, false, true]);
  clock.millis += 16 * 60_000;
  assert.equal(states.use('one'), false);
  clock.millis += 10 * 60_000;
  assert.equal(states.use('one'), true);
  for (let number = 0; number < 20_000; number += 1) states.use(String(number));
  assert.equal(states.use('19999'), false);
  assert.equal(states.use('0'), true, 'the oldest are forgotten');
});
