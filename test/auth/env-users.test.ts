import assert from 'node:assert/strict';
import { createHash, pbkdf2Sync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EnvUsers, readSyncUsers } from '../../lib/auth/env-users.ts';
import { PasswordHasher } from '../../lib/auth/password-hash.ts';
import { authenticatorSuite } from '../../lib/conformance/authenticator.ts';
import { CHEAP } from './cheap.ts';
import { dataFolder } from './folder.ts';

const SALT = Buffer.from('0123456789abcdef');
const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
const phcOf = (password: string): string => `$pbkdf2-sha256$i=100,l=32$${base64(SALT)}$${base64(pbkdf2Sync(password, SALT, 100, 32, 'sha256'))}`;

authenticatorSuite({
  name: 'users of the environment',
  make: () => {
    const { users } = readSyncUsers({ SYNC_USER1: 'ann@example.org:Secret 1', SYNC_USER2: 'bob:other' });
    const authenticator = new EnvUsers(users, { caseSensitive: false });
    return { authenticator, right: { username: 'ann@example.org', password: 'Secret 1' }, unknownUsername: 'nobody', hashComputations: () => authenticator.computations };
  },
});

authenticatorSuite({
  name: 'users of the environment with hashed passwords',
  make: () => {
    const { users } = readSyncUsers({ SYNC_USER1: `bob:${phcOf('other')}`, SYNC_USER2: `ann@example.org:${phcOf('Secret 1')}`, PASSWORDS_HASHED: '1' });
    const authenticator = new EnvUsers(users, { caseSensitive: false });
    return { authenticator, right: { username: 'ann@example.org', password: 'Secret 1' }, unknownUsername: 'nobody', hashComputations: () => authenticator.computations };
  },
});

test('name and password part at the first colon', async () => {
  const { users } = readSyncUsers({ SYNC_USER1: 'ann:a:b' });
  assert.deepEqual(users.map(({ loginName, password }) => ({ loginName, password })), [{ loginName: 'ann', password: 'a:b' }]);
});

test('no users at all is an empty list, for the caller to say', () => {
  assert.deepEqual(readSyncUsers({ PATH: '/bin', SYNC_BASE: '/data', SYNC_HOST: 'x' }), { users: [], warnings: [] });
});

test('reading ends at the first gap, as on the official server, and what it leaves out is named', () => {
  const { users, warnings } = readSyncUsers({
    SYNC_USER1: 'ann:secret-1', SYNC_USER2: 'bob:secret-2', SYNC_USER4: 'dora:secret-4', SYNC_USER7_FILE: '/x', SYNC_USER: 'eve:secret-5', SYNC_USER0: 'fay:secret-6', SYNC_USER01: 'gus:secret-7',
  });
  assert.deepEqual(users.map((user) => user.loginName), ['ann', 'bob']);
  assert.deepEqual(warnings.map((text) => text.split(' ')[0]), ['SYNC_USER', 'SYNC_USER0', 'SYNC_USER01', 'SYNC_USER4', 'SYNC_USER7_FILE']);
  assert.match(warnings[3] ?? '', /SYNC_USER3 is missing/);
  assert.equal(warnings.join().includes('secret'), false);
});

test('a file can hold the value, with or without a line end', async () => {
  const folder = dataFolder();
  writeFileSync(join(folder, 'one'), 'ann:secret \n');
  writeFileSync(join(folder, 'two'), 'bob:secret');
  const { users, warnings } = readSyncUsers({ SYNC_USER1_FILE: join(folder, 'one'), SYNC_USER2_FILE: join(folder, 'two') });
  assert.deepEqual(users.map((user) => [user.loginName, user.password]), [['ann', 'secret '], ['bob', 'secret']]);
  assert.deepEqual(warnings, []);
});

test('what cannot be used is refused at start, by the name of the variable and without the value', () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ SYNC_USER1: 'hunter2' }, /^SYNC_USER1 must be of the form/],
    [{ SYNC_USER1: '' }, /^SYNC_USER1 must be of the form/],
    [{ SYNC_USER1: 'hunter2:' }, /^SYNC_USER1 has no password/],
    [{ SYNC_USER1: ':hunter2' }, /^SYNC_USER1 cannot be used: .*empty/],
    [{ SYNC_USER1: 'a\nb:hunter2' }, /^SYNC_USER1 cannot be used: .*control/],
    [{ SYNC_USER1: 'ann:hunter2', SYNC_USER2: 'ann:other' }, /^SYNC_USER2 names the same user as SYNC_USER1/],
    [{ SYNC_USER1: 'ann:hunter2', SYNC_USER1_FILE: '/x' }, /^SYNC_USER1 and SYNC_USER1_FILE are both set/],
    [{ SYNC_USER1_FILE: '/does/not/exist' }, /^SYNC_USER1_FILE names a file that cannot be read \(ENOENT\)/],
    [{ SYNC_USER1: 'ann:hunter2', PASSWORDS_HASHED: '' }, /^SYNC_USER1 cannot be used: .*PHC.*PASSWORDS_HASHED is set/],
    [{ SYNC_USER1: 'ann:$pbkdf2-sha256$i=600000,l=32$hunter2$', PASSWORDS_HASHED: '1' }, /^SYNC_USER1 cannot be used/],
  ];
  for (const [environment, message] of cases) {
    assert.throws(() => readSyncUsers(environment), (error: Error & { code: string }) => {
      assert.equal(error.code, 'ENVIRONMENT_INVALID');
      assert.match(error.message, message);
      assert.equal(`${error.message}${error.stack}`.includes('hunter2'), false);
      return true;
    });
  }
});

test('a start computes no slow hash, however many users there are', () => {
  const hasher = new PasswordHasher(CHEAP);
  const environment = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`SYNC_USER${i + 1}`, `user ${i}:secret ${i}`]));
  const users = new EnvUsers(readSyncUsers(environment).users, { caseSensitive: false, hasher });
  assert.equal(users.user('user 499')?.password, 'secret 499');
  assert.equal(hasher.computations, 0);
});

test('a name that nobody has signs in with nobody\'s password, not even with that of the user whose hash stands in for the work', async () => {
  const hashed = new EnvUsers(readSyncUsers({ SYNC_USER1: `ann:${phcOf('secret')}`, PASSWORDS_HASHED: '1' }).users, { caseSensitive: false });
  const plain = new EnvUsers(readSyncUsers({ SYNC_USER1: 'ann:secret' }).users, { caseSensitive: false });
  for (const users of [hashed, plain]) {
    for (const username of ['nobody', '', 'a\nb']) assert.equal(await users.authenticate({ username, password: 'secret' }), null);
  }
});

test('the case rule of the data folder decides whether case counts', async () => {
  const { users } = readSyncUsers({ SYNC_USER1: 'Bob:big', SYNC_USER2: 'bob:small' });
  const exact = new EnvUsers(users, { caseSensitive: true });
  assert.deepEqual(await exact.authenticate({ username: 'Bob', password: 'big' }), { loginName: 'Bob' });
  assert.equal(await exact.authenticate({ username: 'bob', password: 'big' }), null);
  assert.equal(await exact.authenticate({ username: 'BOB', password: 'big' }), null);
  const folded = new EnvUsers(users.slice(0, 1), { caseSensitive: false });
  assert.deepEqual(await folded.authenticate({ username: 'BOB ', password: 'big' }), { loginName: 'Bob' });
});

test('the official host key is the SHA-1 of the whole value', () => {
  const { users } = readSyncUsers({ SYNC_USER1: 'ann:a:b' });
  const envUsers = new EnvUsers(users, { caseSensitive: false });
  const key = createHash('sha1').update('ann:a:b').digest('hex');
  assert.equal(envUsers.userOfOfficialKey(key)?.loginName, 'ann');
  for (const other of [key.toUpperCase(), `${key}0`, key.slice(1), '', createHash('sha1').update('ann:a').digest('hex')]) {
    assert.equal(envUsers.userOfOfficialKey(other), undefined);
  }
});
