import assert from 'node:assert/strict';
import { pbkdf2Sync, scryptSync } from 'node:crypto';
import { test } from 'node:test';
import { parsePhc, PasswordHasher } from '../../lib/auth/password-hash.ts';
import { CHEAP } from './cheap.ts';

const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
const SALT = Buffer.from('0123456789abcdef');
const pbkdf2 = `$pbkdf2-sha256$i=1000,l=32$${base64(SALT)}$${base64(pbkdf2Sync('secret', SALT, 1000, 32, 'sha256'))}`;

test('a hash is argon2id with the parameters of OWASP, and salted anew each time', async () => {
  const hasher = new PasswordHasher();
  const hash = await hasher.hash('secret');
  assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.notEqual(await hasher.hash('secret'), hash);
  assert.equal(await hasher.verify('secret', hash), true);
  assert.equal(await hasher.verify('Secret', hash), false);
  assert.equal(hasher.isOutdated(hash), false);
});

test('argon2id is computed as the reference implementation computes it', async () => {
  // a vector from the tests of the reference implementation: 256 KiB, 2 passes, 1 lane
  const known = '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4';
  assert.equal(await new PasswordHasher().verify('password', known), true);
});

test('a password typed in another Unicode form is the same password', async () => {
  const hasher = new PasswordHasher(CHEAP);
  assert.equal(await hasher.verify('Zoe\u0308', await hasher.hash('Zo\u00eb')), true);
});

test('hashes of the official server and of scrypt are checked too, and are outdated', async () => {
  const hasher = new PasswordHasher(CHEAP);
  const scrypt = `$scrypt$ln=4,r=8,p=1$${base64(SALT)}$${base64(scryptSync('secret', SALT, 32, { N: 16, r: 8, p: 1 }))}`;
  const sha512 = `$pbkdf2-sha512$i=10,l=64$${base64(SALT)}$${base64(pbkdf2Sync('secret', SALT, 10, 64, 'sha512'))}`;
  for (const stored of [pbkdf2, scrypt, sha512]) {
    assert.equal(await hasher.verify('secret', stored), true, stored);
    assert.equal(await hasher.verify('wrong', stored), false, stored);
    assert.equal(hasher.isOutdated(stored), true);
  }
});

test('where Node.js has no argon2, new hashes are scrypt with 32 MiB', async () => {
  const hasher = new PasswordHasher({ algorithm: 'scrypt' });
  const hash = await hasher.hash('secret');
  assert.match(hash, /^\$scrypt\$ln=15,r=8,p=3\$/);
  assert.equal(await hasher.verify('secret', hash), true);
  assert.equal(await hasher.verify('secret\0', hash), false);
  assert.equal(hasher.isOutdated(hash), false);
  assert.equal(new PasswordHasher().isOutdated(hash), true);
});

test('no user costs one hash, like a wrong password', async () => {
  const hasher = new PasswordHasher(CHEAP);
  const stored = await hasher.hash('secret');
  const before = hasher.computations;
  assert.equal(await hasher.verify('wrong', stored), false);
  assert.equal(hasher.computations, before + 1);
  assert.equal(await hasher.verify('wrong', null), false);
  assert.equal(hasher.computations, before + 2);
});

test('few hashes run at a time, some wait, and the rest are told to come again', async () => {
  const hasher = new PasswordHasher({ ...CHEAP, parallel: 2, maxWaiting: 3 });
  const results = await Promise.allSettled(Array.from({ length: 7 }, () => hasher.hash('secret')));
  assert.deepEqual(results.map((result) => result.status), [...Array(5).fill('fulfilled'), ...Array(2).fill('rejected')]);
  assert.equal((results[6] as PromiseRejectedResult).reason.code, 'BUSY');
  assert.match(await hasher.hash('secret'), /^\$argon2id/); // the places are free again
});

test('a malformed hash is refused with a reason, and is not repeated', () => {
  const salt = base64(SALT);
  const cases: [string, RegExp][] = [
    ['secret', /expected/],
    ['$2b$10$abcdefghijklmnopqrstuv', /algorithm/],
    [`$argon2i$v=19$m=64,t=1,p=1$${salt}$${salt}`, /algorithm/],
    [`$argon2id$v=16$m=64,t=1,p=1$${salt}$${salt}`, /version/],
    [`$argon2id$v=19$m=64,t=1$${salt}$${salt}`, /p is missing/],
    [`$argon2id$v=19$m=64,t=1,p=1,x=3$${salt}$${salt}`, /unknown parameter/],
    [`$argon2id$v=19$m=9999999,t=1,p=1$${salt}$${salt}`, /m must be from/],
    [`$pbkdf2-sha256$i=0,l=32$${salt}$${salt}`, /i must be from/],
    [`$pbkdf2-sha256$i=10,l=32$${salt}$${salt}`, /differs from the length/],
    [`$pbkdf2-sha256$i=10,l=32$${salt}`, /base64/],
    [`$pbkdf2-sha256$i=10$!$${salt}`, /base64/],
    [`$pbkdf2-sha256$i=10$YQ$${salt}`, /salt must have/],
    [`$pbkdf2-sha256$i=10$${salt}$YQ`, /hash must have/],
  ];
  for (const [text, reason] of cases) {
    assert.throws(() => parsePhc(text), (error: Error & { code: string }) => {
      assert.equal(error.code, 'PASSWORD_INVALID');
      assert.match(error.message, reason, text);
      assert.ok(!error.message.includes(text) && !error.message.includes(salt));
      return true;
    });
  }
});

test('a damaged hash at rest is a failure of ours, not a wrong password', async () => {
  await assert.rejects(new PasswordHasher(CHEAP).verify('secret', '$argon2id$damaged'), { code: 'AUTH_UNAVAILABLE', status: 503 });
});
