import assert from 'node:assert/strict';
import { createHash, hash, pbkdf2Sync, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openBuiltInAuth } from '../../lib/auth/built-in.ts';
import type { BuiltInAuth, BuiltInAuthOptions } from '../../lib/auth/built-in.ts';
import { EnvHostKeys } from '../../lib/auth/env-host-keys.ts';
import { EnvUsers, readSyncUsers } from '../../lib/auth/env-users.ts';
import { PasswordHasher } from '../../lib/auth/password-hash.ts';
import { SqliteHostKeys } from '../../lib/auth/sqlite-host-keys.ts';
import { SqliteUserDirectory } from '../../lib/auth/user-directory.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import { hostKeysSuite } from '../../lib/conformance/host-keys.ts';
import { CHEAP } from './cheap.ts';
import { dataFolder } from './folder.ts';

type Environment = Record<string, string>;

async function withAuth<T>(base: string, environment: Environment, body: (auth: BuiltInAuth) => Promise<T>, options: BuiltInAuthOptions = {}): Promise<T> {
  const auth = await openBuiltInAuth(base, { passwords: CHEAP, environment: readSyncUsers(environment).users, ...options });
  try {
    return await body(auth);
  } finally {
    await auth.close();
  }
}

/** What the server does with a login. */
async function logIn({ authenticator, directory, hostKeys }: BuiltInAuth, username: string, password: string): Promise<string> {
  const known = await authenticator.authenticate({ username, password });
  assert.ok(known !== null, 'the login was refused');
  return hostKeys.issue(await directory.userFor(known.loginName), { client: 'test' });
}

const officialKey = (value: string): string => createHash('sha1').update(value).digest('hex');
const nameOf = async ({ hostKeys }: BuiltInAuth, key: string): Promise<string | undefined> => (await hostKeys.resolve(key))?.loginName;

hostKeysSuite({
  name: 'SQLite with users of the environment',
  make: async () => {
    const auth = await openBuiltInAuth(dataFolder(), { passwords: CHEAP, environment: readSyncUsers({ SYNC_USER1: 'ann:1', SYNC_USER2: 'bob:2' }).users });
    return {
      hostKeys: auth.hostKeys,
      ann: await auth.directory.userFor('ann'),
      bob: await auth.directory.userFor('bob'),
      appPasswordOf: async ({ id }) => (await auth.appPasswords.create(id, { name: 'phone' })).id,
      close: () => auth.close(),
    };
  },
});

test('without users of the environment, those of the data folder sign in', async () => {
  await withAuth(dataFolder(), {}, async (auth) => {
    await auth.users.add('ann', 'secret');
    assert.equal(await nameOf(auth, await logIn(auth, 'ANN', 'secret')), 'ann');
    assert.equal(await nameOf(auth, officialKey('ann:secret')), undefined);
  });
});

test('who moves from the official server stays signed in and keeps the folder', async () => {
  const base = dataFolder();
  mkdirSync(join(base, 'Ann'));
  await withAuth(base, { SYNC_USER1: 'Ann:secret' }, async (auth) => {
    const user = await auth.hostKeys.resolve(officialKey('Ann:secret'));
    assert.deepEqual({ loginName: user?.loginName, folder: user?.folder }, { loginName: 'Ann', folder: 'Ann' });
    assert.equal(await nameOf(auth, officialKey('Ann:other')), undefined);
    assert.deepEqual(await auth.hostKeys.resolve(await logIn(auth, 'Ann', 'secret')), user);
  });
});

test('official host keys can be switched off', async () => {
  await withAuth(dataFolder(), { SYNC_USER1: 'ann:secret' }, async (auth) => {
    assert.equal(await nameOf(auth, officialKey('ann:secret')), undefined);
  }, { officialKeys: false });
});

test('signing out all devices ends the key of the official server too, and signing in again gives one of ours', async () => {
  const base = dataFolder();
  const environment = { SYNC_USER1: 'ann:secret', SYNC_USER2: 'bob:secret' };
  const [ann, bob] = [officialKey('ann:secret'), officialKey('bob:secret')];
  await withAuth(base, environment, async (auth) => {
    assert.deepEqual([await nameOf(auth, ann), await nameOf(auth, bob)], ['ann', 'bob']);
    const { id } = (await auth.hostKeys.resolve(ann))!;
    await auth.hostKeys.revoke(id, 'of another device');
    assert.equal(await nameOf(auth, ann), 'ann');
    await auth.hostKeys.revoke(id);
    assert.deepEqual([await nameOf(auth, ann), await nameOf(auth, bob)], [undefined, 'bob']);
    assert.equal(await nameOf(auth, await logIn(auth, 'ann', 'secret')), 'ann');
  });
  await withAuth(base, environment, async (auth) => assert.equal(await nameOf(auth, ann), undefined));
});

test('a disabled user is out, with official keys too', async () => {
  await withAuth(dataFolder(), { SYNC_USER1: 'ann:secret' }, async (auth) => {
    const key = await logIn(auth, 'ann', 'secret');
    await auth.users.disable('ann');
    assert.equal(await nameOf(auth, key), undefined);
    assert.equal(await nameOf(auth, officialKey('ann:secret')), undefined);
    await auth.users.enable('ann');
    assert.equal(await nameOf(auth, officialKey('ann:secret')), 'ann');
  });
});

test('keys outlive a restart as long as the environment says the same', async () => {
  const base = dataFolder();
  const environment = { SYNC_USER1: 'ann:secret' };
  const key = await withAuth(base, environment, (auth) => logIn(auth, 'ann', 'secret'));
  for (let start = 0; start < 2; start++) {
    await withAuth(base, environment, async (auth) => {
      assert.deepEqual(await Promise.all([nameOf(auth, key), nameOf(auth, key)]), ['ann', 'ann']);
    });
  }
});

test('a restart costs no slow hash for the users whose keys are used again, and one for a key from before there were seals', async () => {
  const base = dataFolder();
  const { users } = readSyncUsers({ SYNC_USER1: 'ann:secret' });
  const started = async (body: (hostKeys: EnvHostKeys, database: UsersDatabase, directory: SqliteUserDirectory) => Promise<void>): Promise<number> => {
    const database = await UsersDatabase.open(base);
    const hasher = new PasswordHasher(CHEAP);
    const directory = new SqliteUserDirectory(database);
    const envUsers = new EnvUsers(users, { caseSensitive: false, hasher });
    try {
      await body(new EnvHostKeys({ database, directory, envUsers, hasher, hostKeys: new SqliteHostKeys(database) }), database, directory);
    } finally {
      await database.close();
    }
    return hasher.computations;
  };
  let key = '';
  assert.equal(await started(async (hostKeys, _, directory) => {
    key = await hostKeys.issue((await directory.userFor('ann'))!, { client: '' });
  }), 1, 'the one that is remembered');
  const use = async (hostKeys: EnvHostKeys): Promise<void> => assert.equal((await hostKeys.resolve(key))?.loginName, 'ann');
  assert.equal(await started(use), 0);
  await started((_, database) => database.write('setEnvironmentSeal', hash('sha256', key, 'base64url'), ''));
  assert.equal(await started(use), 1);
  assert.equal(await started(use), 0);
});

test('who is taken out of the environment is signed out, and nobody else', async () => {
  const base = dataFolder();
  const [anns, bobs] = await withAuth(base, { SYNC_USER1: 'ann:1', SYNC_USER2: 'bob:2' }, async (auth) => [await logIn(auth, 'ann', '1'), await logIn(auth, 'bob', '2')] as const);
  await withAuth(base, { SYNC_USER1: 'bob:2' }, async (auth) => {
    assert.equal(await nameOf(auth, anns), undefined);
    assert.equal(await nameOf(auth, bobs), 'bob');
    const ann = (await auth.directory.list()).find((user) => user.loginName === 'ann');
    await assert.rejects(auth.hostKeys.issue(ann!, { client: '' }), { code: 'PASSWORD_WRONG' });
  });
});

test('another password in the environment ends the keys of the old one, also before anybody signs in with the new one', async () => {
  const base = dataFolder();
  const old = await withAuth(base, { SYNC_USER1: 'ann:old' }, (auth) => logIn(auth, 'ann', 'old'));
  await withAuth(base, { SYNC_USER1: 'ann:new' }, async (auth) => {
    assert.deepEqual(await Promise.all([nameOf(auth, old), nameOf(auth, old)]), [undefined, undefined]);
    assert.equal(await nameOf(auth, await logIn(auth, 'ann', 'new')), 'ann');
  });
  await withAuth(base, { SYNC_USER1: 'ann:old' }, async (auth) => {
    assert.equal(await nameOf(auth, old), undefined);
  });
});

test('the same holds for hashed passwords, by the hash', async () => {
  const phcOf = (password: string): string => {
    const salt = randomBytes(16);
    const plain = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
    return `$pbkdf2-sha256$i=10,l=32$${plain(salt)}$${plain(pbkdf2Sync(password, salt, 10, 32, 'sha256'))}`;
  };
  const base = dataFolder();
  const environment = { SYNC_USER1: `ann:${phcOf('secret')}`, PASSWORDS_HASHED: '1' };
  const key = await withAuth(base, environment, (auth) => logIn(auth, 'ann', 'secret'));
  await withAuth(base, environment, async (auth) => assert.equal(await nameOf(auth, key), 'ann'));
  await withAuth(base, { ...environment, SYNC_USER1: `ann:${phcOf('other')}` }, async (auth) => assert.equal(await nameOf(auth, key), undefined));
});

test('who moves from the data folder into the environment stays signed in', async () => {
  const base = dataFolder();
  const key = await withAuth(base, {}, async (auth) => {
    await auth.users.add('ann', 'secret');
    return logIn(auth, 'ann', 'secret');
  });
  await withAuth(base, { SYNC_USER1: 'ann:secret' }, async (auth) => assert.equal(await nameOf(auth, key), 'ann'));
});

test('names of the environment that differ only in case are two users, or are refused where that cannot be', async () => {
  const environment = { SYNC_USER1: 'Bob:1', SYNC_USER2: 'bob:2' };
  await withAuth(dataFolder(), environment, async (auth) => {
    const [first, second] = [await auth.hostKeys.resolve(officialKey('Bob:1')), await auth.hostKeys.resolve(officialKey('bob:2'))];
    assert.notEqual(first?.id, second?.id);
    assert.notEqual(first?.folder.toLowerCase(), second?.folder.toLowerCase());
  });
  const base = dataFolder();
  await withAuth(base, {}, async () => {});
  await assert.rejects(withAuth(base, environment, async () => {}), { code: 'NAMES_CLASH' });
});

test('neither the password of the environment nor an official key is kept', async () => {
  const base = dataFolder();
  await withAuth(base, { SYNC_USER1: 'ann:a-password-that-stands-out' }, async (auth) => {
    await auth.hostKeys.resolve(officialKey('ann:a-password-that-stands-out'));
    await logIn(auth, 'ann', 'a-password-that-stands-out');
    const folder = join(base, '.anki-sync');
    for (const name of readdirSync(folder)) {
      const bytes = readFileSync(join(folder, name));
      assert.equal(bytes.includes('a-password-that-stands-out'), false, name);
      assert.equal(bytes.includes(officialKey('ann:a-password-that-stands-out')), false, name);
    }
  });
});
