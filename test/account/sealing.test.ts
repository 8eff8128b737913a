import assert from 'node:assert/strict';
import test from 'node:test';
import { newSealing } from '../../lib/account/sealing.ts';

test('what was sealed is opened again, for the same browser and by the same process alone', () => {
  const sealing = newSealing();
  const sealed = sealing.seal({ codeVerifier: 'canary-verifier' }, 'token of one browser');
  assert.deepEqual(sealing.open(sealed, 'token of one browser'), { codeVerifier: 'canary-verifier' });
  assert.equal(sealing.open(sealed, 'token of another'), undefined);
  assert.equal(newSealing().open(sealed, 'token of one browser'), undefined);
});

test('what was sealed can be neither read nor changed', () => {
  const sealing = newSealing();
  const sealed = sealing.seal('canary-verifier', '');
  assert.doesNotMatch(Buffer.from(sealed, 'base64url').toString('latin1'), /canary/);
  assert.notEqual(sealing.seal('canary-verifier', ''), sealed);
  const bytes = Buffer.from(sealed, 'base64url');
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 1;
    assert.equal(sealing.open(changed.toString('base64url'), ''), undefined);
  }
  for (const garbage of ['', 'x', 'AAAA', sealed.slice(0, 40)]) assert.equal(sealing.open(garbage, ''), undefined);
});
