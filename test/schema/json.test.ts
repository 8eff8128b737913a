import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLossless, rawNumber, stringifyLossless } from '../../lib/schema/json.ts';

const exact = [
  '{"id":-7290854878769846350}',
  '[9007199254740993,1.0,1e3,-0,0.1,123.456,1E400]',
  '{"a\\"b":"\\\\","n":9007199254740993}',
  '{"text":"12345678901234567890 1.0 \\" 1e5","x":1.50}',
  '{"a":{"b":[[18446744073709551615]]}}',
  '"\\\\\\""',
  '[]',
];
for (const text of exact) {
  test(`${text} comes back letter by letter`, () => assert.equal(stringifyLossless(parseLossless(text)), text));
}

test('numbers that JavaScript holds exactly are numbers, others keep their text', () => {
  const [small, large, one] = parseLossless('[12,9007199254740993,1.0]') as unknown[];
  assert.equal(small, 12);
  assert.equal(rawNumber(large), '9007199254740993');
  assert.equal(rawNumber(one), '1.0');
  assert.equal(rawNumber(small), undefined);
});

test('a key __proto__ is a key like others', () => {
  const parsed = parseLossless('{"__proto__":{"x":1.0}}') as object;
  assert.deepEqual(Object.keys(parsed), ['__proto__']);
  assert.equal((parsed as { x?: unknown }).x, undefined);
});

test('what is not JSON is a SyntaxError, however many quotes it has', () => {
  for (const text of ['', '{', '"1.0', '\\"'.repeat(50_000), '["' + '\\"'.repeat(50_000), '01', 'NaN', "{'a':1.0}"]) {
    assert.throws(() => parseLossless(text), SyntaxError);
  }
});
