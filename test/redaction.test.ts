import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redacted } from '../lib/redaction.ts';

test('a secret is cut out in each form in which libraries quote what they were given', () => {
  const secret = 'Zoë "s&cret\\1';
  const forms = [
    secret, secret.normalize('NFD'), JSON.stringify(secret), encodeURIComponent(secret), new URLSearchParams({ p: secret }).toString(),
    Buffer.from(secret).toString('base64'), Buffer.from(secret).toString('base64url'), Buffer.from(secret).toString('hex'),
  ];
  for (const form of forms) {
    const clean = redacted(`bind failed: ${form} (49); again: ${form}`, [secret]);
    assert.match(clean, /^bind failed: .*\[secret\].* \(49\); again: .*\[secret\]/);
    assert.doesNotMatch(clean, /cret/i.test(form) ? /s&?(%26)?cret\b(?!\])/ : new RegExp(form), form);
  }
});

test('other text stays, and a secret of some letters is none', () => {
  assert.equal(redacted('an error in an answer', ['an', '', undefined, 'nothing']), 'an error in an answer');
  assert.equal(redacted('x\ud800y', ['\ud800abc']), 'x\ud800y');
});
