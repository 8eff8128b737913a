import assert from 'node:assert/strict';
import { test } from 'node:test';
import { surveyJson } from '../../lib/schema/json-values.ts';

const count = (json: string): number => {
  const bytes = Buffer.from(json);
  return Array.from({ length: 100 }, (_, max) => max).find((max) => !surveyJson(bytes, max).tooManyValues)!;
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
  assert.equal(surveyJson(Buffer.from('[,,,]'), 5).tooManyValues, false);
  assert.equal(surveyJson(Buffer.from('[,,,,,,]'), 5).tooManyValues, true);
});

const mayLose = (json: string): boolean => surveyJson(Buffer.from(json), Infinity).mayLose;

test('numbers that JavaScript may not hold as they are written are found, wherever they stand', () => {
  for (const number of ['1.0', '-0.5', '1e3', '1E3', '12345678901234567', '1234567890123456', '-9223372036854775808']) {
    for (const json of [number, `[${number}]`, `{"a":${number}}`, `["x",[{"b":${number}}],1]`]) assert.equal(mayLose(json), true, json);
  }
});

test('other numbers are not, and neither is what stands in strings', () => {
  for (const json of ['0', '-1', '123456789012345', '[1,2,3]', '[123456789,123456789]', 'false', '"1.5"', '"12345678901234567"', '{"1e5":1}']) {
    assert.equal(mayLose(json), false, json);
  }
  assert.equal(mayLose(String.raw`["\\\"1.5",1]`), false);
  assert.equal(mayLose(String.raw`["\\",1.5]`), true);
});
