import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { appPasswordLetters, MAX_APP_PASSWORDS, newAppPassword } from '../../lib/auth/app-passwords.ts';
import type { Authenticator, Credentials } from '../../lib/auth/authenticator.ts';
import { openBuiltInAuth, type BuiltInAuth } from '../../lib/auth/built-in.ts';
import type { User } from '../../lib/auth/authenticator.ts';
import { PasswordHasher } from '../../lib/auth/password-hash.ts';
import { SignIn } from '../../lib/auth/sign-in.ts';
import { SqliteUsers } from '../../lib/auth/sqlite-users.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import { withAppPasswords } from '../../lib/auth/with-app-passwords.ts';
import { authenticatorSuite } from '../../lib/conformance/authenticator.ts';
import { SyncError } from '../../lib/errors.ts';
import { CHEAP } from './cheap.ts';
import { dataFolder, inOtherProcess } from './folder.ts';

interface Stage {
  auth: BuiltInAuth;
  ann: User;
  bob: User;
  clock: { secs: number };
  /** Whom all other passwords are shown to, and what it saw. */
  asked: string[];
  authenticator: Authenticator;
  signIn: SignIn;
  /** Signs in as a client does. */
  key(username: string, password: string): Promise<string>;
  base: string;
}

const NOW = 1_800_000_000;

async function stage(body: (stage: Stage) => Promise<void>, rest: Partial<Authenticator> = {}): Promise<void> {
  const base = dataFolder();
  const clock = { secs: NOW };
  const now = (): number => clock.secs * 1000;
  const auth = await openBuiltInAuth(base, { passwords: CHEAP, keys: { now } });
  const asked: string[] = [];
  const directory: Authenticator = {
    async authenticate({ password, username }) {
      asked.push(password);
      return password === 'own' ? { loginName: username } : null;
    },
    ...rest,
  };
  const authenticator = withAppPasswords({ rest: directory, database: auth.database, now });
  const signIn = new SignIn({ authenticator, directory: auth.directory });
  const key = async (username: string, password: string): Promise<string> => {
    const { user, ...rests } = await signIn.signedIn({ username, password });
    return auth.hostKeys.issue(user, { client: 'test', ...rests });
  };
  try {
    const [ann, bob] = [await auth.directory.userFor('ann'), await auth.directory.userFor('bob')];
    await body({ auth, ann, bob, clock, asked, authenticator, signIn, key, base });
  } finally {
    await auth.close();
  }
}

authenticatorSuite({
  name: 'app passwords before other authenticators',
  make: async () => {
    const database = await UsersDatabase.open(dataFolder());
    const hasher = new PasswordHasher(CHEAP);
    const local = new SqliteUsers(database, { hasher });
    await local.add('ann', 'Secret 1');
    return {
      authenticator: withAppPasswords({ rest: local, database }),
      right: { username: 'ann', password: 'Secret 1' },
      unknownUsername: 'nobody',
      hashComputations: () => hasher.computations,
      breakDown: () => database.close(),
      close: () => database.close(),
    };
  },
});

test('an app password is seven groups of five letters that make no words, and no two are the same', () => {
  const made = Array.from({ length: 50 }, newAppPassword);
  for (const each of made) assert.match(each, /^([bcdfghjkmnpqrstvwxyz]{5}-){6}[bcdfghjkmnpqrstvwxyz]{5}$/);
  assert.equal(new Set(made.map((each) => each.slice(0, 35))).size, 50);
});

test('it is the same however it is typed', () => {
  const password = newAppPassword();
  const letters = password.replaceAll('-', '');
  const typed = [
    password, letters, password.toUpperCase(), password.replaceAll('-', ' '), ` ${password}\n`, password.replaceAll('-', '–'), password.replaceAll('-', '\u00ad'),
    password.replaceAll('-', '\u00a0'), `${letters.slice(0, 1).toUpperCase()}${letters.slice(1)}`, password.replaceAll('-', ' - '),
    // as some keyboards for Chinese and Japanese write
    [...letters].map((letter) => String.fromCodePoint(letter.codePointAt(0)! + 0xfee0)).join(''),
  ];
  for (const each of typed) assert.equal(appPasswordLetters(each), letters, JSON.stringify(each));
});

test('one wrong letter, two that changed places, and whatever else people have for passwords are none', () => {
  const letters = newAppPassword().replaceAll('-', '');
  const another = (letter: string): string => (letter === 'b' ? 'c' : 'b');
  for (let i = 0; i < letters.length; i++) {
    assert.equal(appPasswordLetters(`${letters.slice(0, i)}${another(letters[i]!)}${letters.slice(i + 1)}`), null);
    if (i > 0 && letters[i] !== letters[i - 1]) {
      assert.equal(appPasswordLetters(`${letters.slice(0, i - 1)}${letters[i]}${letters[i - 1]}${letters.slice(i + 1)}`), null);
    }
  }
  for (const each of ['', 'secret', letters.slice(1), `${letters}b`, `${letters}${letters}`, 'b'.repeat(35), 'x'.repeat(100_000), `${letters}1`]) {
    assert.equal(appPasswordLetters(each), null, each.slice(0, 50));
  }
});

test('those of one moment are listed by name', async () => {
  await stage(async ({ auth, ann }) => {
    const names = ['tablet', 'desk', 'laptop', 'phone', 'attic'];
    for (const name of names) await auth.appPasswords.create(ann.id, { name });
    assert.deepEqual((await auth.appPasswords.list(ann.id)).map(({ name }) => name), names.toSorted());
  });
});

test('it signs in as the user it is of, in any spelling of the name, and as nobody else', async () => {
  await stage(async ({ auth, ann, asked, authenticator }) => {
    const { id, password } = await auth.appPasswords.create(ann.id, { name: 'phone' });
    assert.deepEqual(await authenticator.authenticate({ username: ' ANN', password: password.toUpperCase() }), { loginName: 'ann', appPasswordId: id });
    for (const username of ['bob', 'nobody', '', 'a\0b', 'ann@example.org']) assert.equal(await authenticator.authenticate({ username, password }), null);
    assert.deepEqual(asked, []);
  });
});

test('a wrong one is shown to nobody further, and everything that is none is', async () => {
  await stage(async ({ auth, ann, asked, authenticator }) => {
    const { id, password } = await auth.appPasswords.create(ann.id, { name: 'phone' });
    await auth.appPasswords.revoke(ann.id, id);
    for (const each of [password, password.replaceAll('-', ''), newAppPassword()]) {
      assert.equal(await authenticator.authenticate({ username: 'ann', password: each }), null);
      assert.equal(await authenticator.decides!({ username: 'ann', password: each }), true);
    }
    assert.deepEqual(asked, []);
    // looks like one, and is the person's own
    const alike = `${'bcdfg-'.repeat(6)}bcdfg`;
    for (const each of ['own', alike]) await authenticator.authenticate({ username: 'ann', password: each });
    assert.equal(await authenticator.decides!({ username: 'ann', password: alike }), false);
    assert.deepEqual(asked, ['own', alike]);
  });
});

test('the account page takes none, and shows them to nobody', async () => {
  await stage(async ({ auth, ann, asked, signIn }) => {
    const { password } = await auth.appPasswords.create(ann.id, { name: 'phone' });
    const at = (credentials: Partial<Credentials>): Promise<User> => signIn.user({ username: 'ann', password, ...credentials });
    await assert.rejects(at({ at: 'page' }), { code: 'PASSWORD_WRONG' });
    assert.equal((await at({})).id, ann.id);
    assert.equal((await at({ at: 'page', password: 'own' })).id, ann.id);
    assert.deepEqual(asked, ['own']);
  });
});

test('revoking it ends the keys that it was used for, at once, and no others', async () => {
  await stage(async ({ auth, ann, bob, key }) => {
    const phone = await auth.appPasswords.create(ann.id, { name: 'phone' });
    const tablet = await auth.appPasswords.create(ann.id, { name: 'tablet' });
    const [a, b, c, d] = [await key('ann', phone.password), await key('ann', phone.password), await key('ann', tablet.password), await key('ann', 'own')];
    for (const each of [a, b, c, d]) assert.equal((await auth.hostKeys.resolve(each))?.id, ann.id);
    assert.equal(await auth.appPasswords.revoke(bob.id, phone.id), false);
    assert.equal(await auth.appPasswords.revoke(ann.id, phone.id), true);
    assert.deepEqual([a, b, c, d].map((each) => auth.hostKeys.resolve(each) !== null), [false, false, true, true]);
    assert.equal(await auth.appPasswords.revoke(ann.id, phone.id), false);
    assert.deepEqual((await auth.appPasswords.list(ann.id)).map(({ name }) => name), ['tablet']);
    assert.deepEqual((await auth.hostKeys.list(ann.id)).map(({ appPasswordId }) => appPasswordId).sort(), [tablet.id, undefined].sort());
  });
});

test('its end by date is the end of its keys too, though nobody does anything', async () => {
  await stage(async ({ auth, ann, clock, key }) => {
    const { password } = await auth.appPasswords.create(ann.id, { name: 'exam week', expiresSecs: NOW + 100 });
    const [short, long] = [await key('ann', password), await key('ann', 'own')];
    clock.secs = NOW + 99;
    assert.equal((await auth.hostKeys.resolve(short))?.id, ann.id);
    clock.secs = NOW + 100;
    assert.deepEqual([auth.hostKeys.resolve(short), (auth.hostKeys.resolve(long) as User).id], [null, ann.id]);
    await assert.rejects(key('ann', password), { code: 'PASSWORD_WRONG' });
    assert.equal((await auth.hostKeys.list(ann.id)).length, 1);
    const [entry] = await auth.appPasswords.list(ann.id);
    assert.deepEqual([entry!.name, entry!.expiresSecs, entry!.lastUsedSecs], ['exam week', NOW + 100, NOW]);
  });
});

test('what another process does to it holds at once', async () => {
  await stage(async ({ auth, ann, key, base }) => {
    const { id, password } = await auth.appPasswords.create(ann.id, { name: 'phone' });
    const device = await key('ann', password);
    assert.equal((await auth.hostKeys.resolve(device))?.id, ann.id);
    await inOtherProcess(base, 'revoke app password', ann.id, id);
    assert.equal(auth.hostKeys.resolve(device), null);
    await assert.rejects(key('ann', password), { code: 'PASSWORD_WRONG' });
  });
});

test('one that is revoked between its login and its key gives none', async () => {
  await stage(async ({ auth, ann, signIn }) => {
    const { id, password } = await auth.appPasswords.create(ann.id, { name: 'phone' });
    const { user, ...rests } = await signIn.signedIn({ username: 'ann', password });
    await auth.appPasswords.revoke(ann.id, id);
    await assert.rejects(auth.hostKeys.issue(user, { client: '', ...rests }), { code: 'PASSWORD_WRONG' });
    assert.deepEqual(await auth.hostKeys.list(ann.id), []);
  });
});

test('with a disabled or removed user it is none', async () => {
  await stage(async ({ auth, ann, key }) => {
    const { password } = await auth.appPasswords.create(ann.id, { name: 'phone' });
    const device = await key('ann', password);
    await auth.users.disable('ann');
    assert.equal(auth.hostKeys.resolve(device), null);
    await assert.rejects(key('ann', password), { code: 'PASSWORD_WRONG' });
    await auth.users.enable('ann');
    assert.equal((await auth.hostKeys.resolve(device))?.id, ann.id);
    await auth.users.remove('ann');
    const again = await auth.directory.userFor('ann');
    await assert.rejects(key('ann', password), { code: 'PASSWORD_WRONG' });
    assert.deepEqual(await auth.appPasswords.list(again.id), []);
  });
});

test('where the person comes from is asked whether the person still may: no is no, and no answer is no reason', async () => {
  const answers: (boolean | Error)[] = [true, false, new SyncError('AUTH_UNAVAILABLE', 'down')];
  const stillAllowed = async (): Promise<boolean> => {
    const answer = answers.shift()!;
    if (typeof answer === 'boolean') return answer;
    throw answer;
  };
  await stage(async ({ auth, ann, key }) => {
    const { password } = await auth.appPasswords.create(ann.id, { name: 'phone' });
    await key('ann', password);
    await assert.rejects(key('ann', password), { code: 'PASSWORD_WRONG' });
    await key('ann', password);
    assert.deepEqual(answers, []);
    // from single sign-on: the directory does not know the person, and is not asked
    await auth.directory.userFor('ann', { provider: 'oidc:keycloak' });
    await key('ann', password);
  }, { stillAllowed, recheckMinutes: 10 });
});

test('who is gone from a file of users has no app password any more', async () => {
  let basis: string | null = 'a';
  await stage(async ({ auth, ann, key }) => {
    const { password } = await auth.appPasswords.create(ann.id, { name: 'phone' });
    await key('ann', password);
    basis = null;
    await assert.rejects(key('ann', password), { code: 'PASSWORD_WRONG' });
  }, { keyBasis: () => basis });
});

test('a new password of the person\'s own ends app passwords and all keys, or its own keys alone, or none', async () => {
  for (const [ends, keys, appPasswords] of [['all', 0, 0], ['own', 1, 1], ['none', 2, 1]] as const) {
    await stage(async ({ auth, ann, key }) => {
      await auth.users.setPassword('ann', 'first');
      const { password } = await auth.appPasswords.create(ann.id, { name: 'phone' });
      await key('ann', password);
      await key('ann', 'own');
      const { endedKeys } = await auth.users.setPassword('ann', 'second', { ends });
      assert.equal(endedKeys, 2 - keys, ends);
      assert.equal((await auth.hostKeys.list(ann.id)).length, keys);
      assert.equal((await auth.appPasswords.list(ann.id)).length, appPasswords);
    });
  }
});

test('an app password leaves what is known of a person\'s provider, and the person\'s own password ends it', async () => {
  await stage(async ({ auth, ann, key }) => {
    await auth.directory.userFor('ann', { provider: 'oidc:keycloak' });
    const { password } = await auth.appPasswords.create(ann.id, { name: 'phone' });
    const device = await key('ann', password);
    assert.equal((await auth.hostKeys.resolve(device))?.provider, 'oidc:keycloak');
    await key('ann', 'own');
    assert.equal((await auth.hostKeys.resolve(device))?.provider, undefined);
  });
});

test('names and ends that cannot be are refused with a reason, and too many too', async () => {
  await stage(async ({ auth, ann }) => {
    const refused = (wanted: { name: string; expiresSecs?: number }, words: RegExp): Promise<void> =>
      assert.rejects(auth.appPasswords.create(ann.id, wanted), (error: { code: string; message: string }) => error.code === 'APP_PASSWORD_INVALID' && words.test(error.message));
    await refused({ name: '' }, /is empty/);
    await refused({ name: ' \n ' }, /is empty/);
    await refused({ name: 'a\nb' }, /cannot be shown/);
    await refused({ name: '\ud800' }, /cannot be shown/);
    await refused({ name: '🃏'.repeat(101) }, /longer than 100/);
    for (const expiresSecs of [NOW, NOW - 1, NaN, Infinity, NOW + 0.5]) await refused({ name: 'a', expiresSecs }, /time to come/);
    await assert.rejects(auth.appPasswords.create('nobody', { name: 'a' }), { code: 'USER_UNKNOWN' });
    assert.deepEqual(await auth.appPasswords.list(ann.id), []);
    await Promise.all(Array.from({ length: MAX_APP_PASSWORDS }, (_, i) => auth.appPasswords.create(ann.id, { name: i === 0 ? '🃏'.repeat(100) : 'same name' })));
    await refused({ name: 'one more' }, /one user can have 100 app passwords/);
  });
});

test('nothing that is kept holds it', async () => {
  await stage(async ({ auth, ann, key, base }) => {
    const { password } = await auth.appPasswords.create(ann.id, { name: 'phone' });
    await key('ann', password);
    const folder = join(base, '.anki-sync');
    const bytes = Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))));
    assert.ok(bytes.includes('phone'));
    for (const form of [password, password.replaceAll('-', ''), password.slice(0, 11)]) assert.equal(bytes.includes(form), false);
    assert.ok(!JSON.stringify([auth.database.audit(), await auth.appPasswords.list(ann.id)]).includes(password.slice(0, 5)));
  });
});

test('a disk that is full keeps nobody out, though the last use is not remembered', async () => {
  await stage(async ({ auth, ann, authenticator }) => {
    const { id, password } = await auth.appPasswords.create(ann.id, { name: 'phone' });
    const write = auth.database.write.bind(auth.database);
    auth.database.write = (async (name: 'markAppPasswordUsed') => {
      throw new SyncError('DISK_FULL', name);
    }) as never;
    assert.deepEqual(await authenticator.authenticate({ username: 'ann', password }), { loginName: 'ann', appPasswordId: id });
    auth.database.write = write;
  });
});
