import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasMoreValues } from '../../lib/schema/json-values.ts';

const count = (json: string): number => {
  const bytes = Buffer.from(json);
  return Array.from({ length: 100 }, (_, max) => max).find((max) => !hasMoreValues(bytes, max))!;
};

test('values and keys are counted at least once each, lists and objects too', () => {
  assert.equal(count('[1,2,3]'), 4);
  assert.equal(count('{"a":{"b":[]},"c":null}'), 8);
  assert.equal(count('[[],[],[]]'), 7);
});

test('what stands in strings is not counted, whatever is escaped there', () => {
  assert.equal(count('[",,,[[{{::",1]'), 3);
  assert.equal(count(String.raw`["\",,,",2]`), 3);
  assert.equal(count(String.raw`["\\",1,1]`), 4);
  assert.equal(count(String.raw`["\\\",,,,"]`), 2);
  assert.equal(count('["never closed,,,,'), 2);
});

test('a text no longer than the limit cannot have more', () => {
  assert.equal(hasMoreValues(Buffer.from('[,,,]'), 5), false);
  assert.equal(hasMoreValues(Buffer.from('[,,,,,,]'), 5), true);
});
