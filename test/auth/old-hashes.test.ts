import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { keptHash } from '../../lib/auth/kept-hash.ts';
import { parsePhc, PasswordHasher } from '../../lib/auth/password-hash.ts';
import { SqliteUsers } from '../../lib/auth/sqlite-users.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import { CHEAP } from './cheap.ts';
import { dataFolder } from './folder.ts';

/** As `ankisyncd` makes one. */
function oldHash(username: string, password: string, salt = '00ff00ff00ff00ff'): string {
  return createHash('sha256').update(username + password + salt).digest('hex') + salt;
}

// of the password "secret", computed by Python's hashlib
const ankisyncd = '724be9d505cd19f834326c03a2740362fe8cb30bbd99347461dcaf4daba4444e0123456789abcdef';
const django = 'pbkdf2_sha256$1000$abcdefghijkl$gLfHtkQteC323qwsg1iAHjNuz02AzcFUy3ldAAn6TAw=';

test('a hash of an old community server is that of name, password and salt', async () => {
  const hasher = new PasswordHasher(CHEAP);
  assert.equal(await hasher.verify('secret', keptHash('ada', ankisyncd)), true);
  const kept = keptHash('Änna', oldHash('Änna', 'pässword'));
  assert.equal(await hasher.verify('pässword', kept), true);
  assert.equal(await hasher.verify('password', kept), false);
  assert.equal(await hasher.verify('', kept), false);
  // the salt is part of what is hashed: nobody may type a part of it
  assert.equal(await hasher.verify('pässword00ff00ff00ff00ff', kept), false);
  assert.equal(await hasher.verify('pässword', keptHash('änna', oldHash('Änna', 'pässword'))), false);
});

test('a wrong password costs as much as that of an unknown user', async () => {
  const hasher = new PasswordHasher(CHEAP);
  await hasher.verify('wrong', keptHash('ada', oldHash('ada', 'right')));
  const once = hasher.computations;
  await hasher.verify('wrong', null);
  assert.equal(hasher.computations, 2 * once);
});

test('a hash of Django is a PHC string in other clothes', async () => {
  const kept = keptHash('ada', django)!;
  parsePhc(kept);
  const hasher = new PasswordHasher(CHEAP);
  assert.equal(await hasher.verify('secret', kept), true);
  assert.equal(await hasher.verify('Secret', kept), false);
});

test('what is no hash we know is not kept', () => {
  const bad = ['', 'secret', 'pbkdf2_sha256$x$y$z', `${oldHash('a', 'b')}0`, oldHash('a', 'b').slice(1), 'bcrypt$$2b$12$abc', '$ankisyncd-sha256$YQ$YQ$YQ'];
  for (const hash of bad) assert.equal(keptHash('a', hash), null, hash);
});

test('the form in which old hashes are kept is for the data folder alone: in the environment it is refused', () => {
  assert.throws(() => parsePhc(keptHash('ada', oldHash('ada', 'b'))!));
});

for (const [from, hash] of [['an old community server', oldHash('Ada', 'secret')], ['Django', django]] as const) {
  test(`a hash of ${from} is replaced at the next login, and the devices stay signed in`, async () => {
    const database = await UsersDatabase.open(dataFolder());
    try {
      const users = new SqliteUsers(database, CHEAP);
      const user = await users.addWithHash('Ada', keptHash('Ada', hash));
      assert.equal(await users.authenticate({ username: 'ada', password: 'wrong' }), null);
      assert.equal(database.userById(user.id)!.password_hash, keptHash('Ada', hash));
      assert.equal((await users.authenticate({ username: 'ada', password: 'secret' }))?.loginName, 'Ada');
      assert.match(database.userById(user.id)!.password_hash!, /^\$(argon2id|scrypt)\$/);
      assert.equal((await users.authenticate({ username: 'ADA', password: 'secret' }))?.loginName, 'Ada');
      assert.equal(await users.verify('ada', 'wrong'), 'wrong');
    } finally {
      await database.close();
    }
  });
}
