import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { unicaseEqual, unicaseKey } from '../../lib/schema/unicase.ts';
import { ankiEnvironment, ankiPython, run } from '../oracle/anki-python.ts';

const SCRIPT = fileURLToPath(new URL('../oracle/rules-unicase.py', import.meta.url));

test('every character of Unicode is equal to exactly those that Anki calls equal', async () => {
  const pairs: [string, string][] = [];
  const keys = new Set<string>();
  for (let code = 0; code < 0x110000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const char = String.fromCodePoint(code);
    const key = unicaseKey(char);
    if (key !== char) pairs.push([char, key]);
    keys.add(key);
  }
  const answer = await run(await ankiPython(), [SCRIPT, 'partition'], { input: JSON.stringify(pairs), env: ankiEnvironment() });
  // each character equals its key, and there are as many different keys as different values: no two classes are one, none is split
  assert.deepEqual(JSON.parse(answer), { different: [], values: keys.size });
});

test('names fold character by character, without normalisation', () => {
  assert.ok(unicaseEqual('Straße', 'STRASSE'));
  assert.ok(unicaseEqual('ÄÖÜ', 'äöü'));
  assert.ok(unicaseEqual('στιγμας', 'ΣΤΙΓΜΑΣ'));
  assert.ok(unicaseEqual('ASCII', 'ascii'));
  assert.ok(unicaseEqual('K', 'k'), 'the Kelvin sign is a k');
  assert.ok(!unicaseEqual('\u00c5', 'A\u030a'));
  assert.ok(!unicaseEqual('I', 'ı'), 'no Turkic rules');
  assert.ok(!unicaseEqual('ﬃ', 'ffi'), 'as in Anki');
});
