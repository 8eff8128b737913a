import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Sessions } from '../../lib/account/sessions.ts';
import { PasswordHasher } from '../../lib/auth/password-hash.ts';
import { SignIn } from '../../lib/auth/sign-in.ts';
import { SqliteHostKeys } from '../../lib/auth/sqlite-host-keys.ts';
import { SqliteUsers } from '../../lib/auth/sqlite-users.ts';
import { SqliteUserDirectory } from '../../lib/auth/user-directory.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import { CHEAP } from './cheap.ts';
import { dataFolder, inOtherProcess } from './folder.ts';

interface Rooms {
  base: string;
  database: UsersDatabase;
  users: SqliteUsers;
  keys: SqliteHostKeys;
  hasher: PasswordHasher;
}

async function withUsers(body: (rooms: Rooms) => Promise<void>): Promise<void> {
  const base = dataFolder();
  const database = await UsersDatabase.open(base);
  const hasher = new PasswordHasher(CHEAP);
  try {
    await body({ base, database, users: new SqliteUsers(database, { hasher }), keys: new SqliteHostKeys(database), hasher });
  } finally {
    await database.close();
  }
}

const DEVICE = { client: 'test' };
const signsIn = async (users: SqliteUsers, username: string, password: string): Promise<boolean> =>
  (await users.authenticate({ username, password })) !== null;

test('an added user signs in, in whatever case and Unicode form the name is typed', async () => {
  await withUsers(async ({ users }) => {
    await users.add('Zo\u00eb@Example.org', 'secret');
    for (const typed of ['Zo\u00eb@Example.org', 'zoe\u0308@example.ORG', ' zo\u00eb@example.org ']) {
      assert.equal((await users.authenticate({ username: typed, password: 'secret' }))?.loginName, 'Zo\u00eb@Example.org');
    }
  });
});

test('a name is added once', async () => {
  await withUsers(async ({ users }) => {
    await users.add('Ann', 'secret');
    await assert.rejects(users.add('ann', 'other'), { code: 'USER_EXISTS' });
    const both = await Promise.allSettled([users.add('bob', 'one'), users.add('BOB', 'two')]);
    assert.deepEqual(both.map((result) => result.status).sort(), ['fulfilled', 'rejected']);
    assert.equal(await signsIn(users, 'ann', 'secret'), true);
  });
});

test('a folder of the official server is adopted, and the answer says so', async () => {
  await withUsers(async ({ base, users }) => {
    mkdirSync(join(base, 'Ann'));
    assert.deepEqual(pick(await users.add('ann', 'secret')), { folder: 'Ann', folderExisted: true });
    assert.deepEqual(pick(await users.add('bob', 'secret')), { folder: 'bob', folderExisted: false });
  });
  function pick(added: Awaited<ReturnType<SqliteUsers['add']>>): unknown {
    return { folder: added.user.folder, folderExisted: added.folderExisted };
  }
});

test('unusable names and passwords are refused with a reason', async () => {
  await withUsers(async ({ users }) => {
    await assert.rejects(users.add('a\nb', 'secret'), { code: 'NAME_INVALID', message: /control/ });
    await assert.rejects(users.add('ann', ''), { code: 'PASSWORD_INVALID', message: /empty/ });
    await assert.rejects(users.add('ann', 'ä'.repeat(513)), { code: 'PASSWORD_INVALID', message: /1024 bytes/ });
    assert.deepEqual(await users.list(), []);
    await users.add('ann', 'ä'.repeat(512));
    assert.equal(await signsIn(users, 'ann', 'ä'.repeat(512)), true);
  });
});

test('a new password ends the old one and every key of the user, and of nobody else', async () => {
  await withUsers(async ({ users, keys }) => {
    const ann = (await users.add('ann', 'old')).user;
    const bob = (await users.add('bob', 'old')).user;
    const [annsKey, bobsKey] = [await keys.issue(ann, DEVICE), await keys.issue(bob, DEVICE)];
    assert.deepEqual(keys.resolve(annsKey), ann);
    assert.equal((await users.setPassword('Ann', 'new')).endedKeys, 1);
    assert.equal(await signsIn(users, 'ann', 'old'), false);
    assert.equal(await signsIn(users, 'ann', 'new'), true);
    assert.equal(keys.resolve(annsKey), null);
    assert.deepEqual(keys.resolve(bobsKey), bob);
    await assert.rejects(users.setPassword('nobody', 'new'), { code: 'USER_UNKNOWN' });
  });
});

test('a new password can leave the devices signed in', async () => {
  await withUsers(async ({ users, keys }) => {
    const ann = (await users.add('ann', 'old')).user;
    const key = await keys.issue(ann, DEVICE);
    assert.equal((await users.setPassword('ann', 'new', { keepKeys: true })).endedKeys, 0);
    assert.deepEqual(keys.resolve(key), ann);
  });
});

test('removing a user ends the keys, keeps the data and says where, and the name takes it up again', async () => {
  await withUsers(async ({ base, users, keys }) => {
    const ann = (await users.add('ann', 'secret')).user;
    mkdirSync(join(base, ann.folder));
    const key = await keys.issue(ann, DEVICE);
    assert.deepEqual(await users.remove('ann'), { user: ann, endedKeys: 1, keptFolder: join(base, 'ann') });
    assert.equal(keys.resolve(key), null);
    assert.equal(await signsIn(users, 'ann', 'secret'), false);
    assert.deepEqual(readdirSync(base).includes('ann'), true);
    await assert.rejects(users.remove('ann'), { code: 'USER_UNKNOWN' });
    await assert.rejects(keys.issue(ann, DEVICE), { code: 'PASSWORD_WRONG' });

    const again = await users.add('ann', 'other');
    assert.equal(again.user.folder, 'ann');
    assert.equal(again.folderExisted, true);
    assert.notEqual(again.user.id, ann.id);
    assert.equal(keys.resolve(key), null);
  });
});

test('a disabled user is out at once, and back with the same keys', async () => {
  await withUsers(async ({ users, keys, database }) => {
    const ann = (await users.add('ann', 'secret')).user;
    const key = await keys.issue(ann, DEVICE);
    assert.deepEqual(keys.resolve(key), ann);
    await users.disable('ann');
    assert.equal(keys.resolve(key), null);
    assert.equal(await signsIn(users, 'ann', 'secret'), false);
    await assert.rejects(new SqliteUserDirectory(database).userFor('ann'), { code: 'PASSWORD_WRONG' });
    await assert.rejects(keys.issue(ann, DEVICE), { code: 'PASSWORD_WRONG' });
    await users.enable('ann');
    assert.deepEqual(keys.resolve(key), ann);
    assert.equal(await signsIn(users, 'ann', 'secret'), true);
    await assert.rejects(users.disable('nobody'), { code: 'USER_UNKNOWN' });
  });
});

test('the operator learns why a password does not work', async () => {
  await withUsers(async ({ users, database }) => {
    await users.add('ann', 'secret');
    assert.equal(await users.verify('ann', 'secret'), 'right');
    assert.equal(await users.verify('ann', 'x'), 'wrong');
    assert.equal(await users.verify('ann', ''), 'wrong');
    assert.equal(await users.verify('bob', 'secret'), 'unknown user');
    await users.disable('ann');
    assert.equal(await users.verify('ann', 'secret'), 'disabled');
    await new SqliteUserDirectory(database).userFor('cleo');
    assert.equal(await users.verify('cleo', 'secret'), 'no password');
  });
});

test('the list tells who there is, with how many keys', async () => {
  await withUsers(async ({ users, keys, database }) => {
    const bob = (await users.add('bob', 'secret')).user;
    await new SqliteUserDirectory(database).userFor('ann');
    await keys.issue(bob, DEVICE);
    await keys.issue(bob, DEVICE);
    await users.disable('ann');
    const list = (await users.list()).map(({ loginName, disabled, hasPassword, keys: count }) => ({ loginName, disabled, hasPassword, count }));
    assert.deepEqual(list, [
      { loginName: 'ann', disabled: true, hasPassword: false, count: 0 },
      { loginName: 'bob', disabled: false, hasPassword: true, count: 2 },
    ]);
    const [ann, bobs] = await users.list();
    assert.equal(ann?.lastUsedDay, null);
    assert.equal(bobs?.lastUsedDay, Math.floor(Date.now() / 86_400_000));
  });
});

test('unknown, disabled, without a password and of impossible names: all cost as much as a wrong password', async () => {
  await withUsers(async ({ users, database, hasher }) => {
    await users.add('ann', 'secret');
    await users.add('bob', 'secret');
    await users.disable('bob');
    await new SqliteUserDirectory(database).userFor('cleo');
    for (const username of ['ann', 'bob', 'cleo', 'nobody', 'a\nb', '']) {
      const before = hasher.computations;
      assert.equal(await signsIn(users, username, username === 'ann' ? 'wrong' : 'secret'), false);
      assert.equal(hasher.computations - before, 1, username);
    }
  });
});

test('a hash with old parameters is replaced at the next login, without signing anybody out', async () => {
  await withUsers(async ({ users, keys, database, hasher }) => {
    const ann = (await users.add('ann', 'secret')).user;
    const key = await keys.issue(ann, DEVICE);
    const stronger = new SqliteUsers(database, { memoryKiB: 128, passes: 2 });
    assert.equal(await signsIn(stronger, 'ann', 'wrong'), false);
    assert.match(database.userById(ann.id)?.password_hash ?? '', /m=64,t=1/);
    assert.equal(await signsIn(stronger, 'ann', 'secret'), true);
    assert.match(database.userById(ann.id)?.password_hash ?? '', /m=128,t=2/);
    assert.equal(await signsIn(stronger, 'ann', 'secret'), true);
    assert.deepEqual(keys.resolve(key), ann);
    assert.equal(hasher.computations, 1);
  });
});

test('a login that began before the password was changed does not succeed after', async () => {
  await withUsers(async ({ database }) => {
    // the hash that the login computes is held back until the password has changed
    let letGo = (): void => {};
    const held = new Promise<void>((resolve) => (letGo = resolve));
    let reached = (): void => {};
    const verifying = new Promise<void>((resolve) => (reached = resolve));
    class HeldHasher extends PasswordHasher {
      override async verify(password: string, stored: string | null): Promise<boolean> {
        const right = await super.verify(password, stored);
        reached();
        await held;
        return right;
      }
    }
    const users = new SqliteUsers(database, { hasher: new HeldHasher(CHEAP) });
    await users.add('ann', 'old');
    const login = users.authenticate({ username: 'ann', password: 'old' });
    await verifying;
    await users.setPassword('ann', 'new');
    letGo();
    assert.equal(await login, null);
  });
});

test('a login whose password was right just before it was changed gets no key any more, and a browser no session', async () => {
  await withUsers(async ({ users, keys, database }) => {
    const directory = new SqliteUserDirectory(database);
    const sessions = new Sessions({ database, maxSecs: 1000, idleSecs: 1000, basisOf: () => undefined });
    const signIn = new SignIn({ authenticator: users, directory });
    await users.add('ann', 'old');
    const before = await signIn.signedIn({ username: 'ann', password: 'old' });
    await users.setPassword('ann', 'new');
    await assert.rejects(keys.issue(before.user, { ...DEVICE, ...before }), { code: 'PASSWORD_WRONG' });
    assert.equal(await sessions.start(before.user, 'password', undefined, undefined, before.passwordMark), undefined);
    const after = await signIn.signedIn({ username: 'ann', password: 'new' });
    assert.equal((keys.resolve(await keys.issue(after.user, { ...DEVICE, ...after })))?.loginName, 'ann');
    assert.ok(await sessions.start(after.user, 'password', undefined, undefined, after.passwordMark));
  });
});

test('devices that sign in at the same time, while a hash with old parameters is replaced, all get in', async () => {
  await withUsers(async ({ users, database }) => {
    await users.add('ann', 'secret');
    const newer = new SqliteUsers(database, { hasher: new PasswordHasher({ ...CHEAP, passes: 2 }) });
    assert.deepEqual(await Promise.all([1, 2, 3].map(() => signsIn(newer, 'ann', 'secret'))), [true, true, true]);
  });
});

test('what another process changes holds at once, without a restart', async () => {
  await withUsers(async ({ base, users, keys }) => {
    await inOtherProcess(base, 'add', 'ann', 'first');
    assert.equal(await signsIn(users, 'ann', 'first'), true);
    const [entry] = await users.list();
    assert.ok(entry !== undefined);
    const ann = { id: entry.id, loginName: entry.loginName, folder: entry.folder };
    const before = await keys.issue(ann, DEVICE);
    assert.deepEqual(keys.resolve(before), ann);

    await inOtherProcess(base, 'passwd', 'ann', 'second');
    assert.equal(keys.resolve(before), null);
    assert.equal(await signsIn(users, 'ann', 'first'), false);
    assert.equal(await signsIn(users, 'ann', 'second'), true);

    const after = await keys.issue(ann, DEVICE);
    assert.deepEqual(keys.resolve(after), ann);
    await inOtherProcess(base, 'disable', 'ann');
    assert.equal(keys.resolve(after), null);
    await users.enable('ann');
    assert.deepEqual(keys.resolve(after), ann);
    await inOtherProcess(base, 'remove', 'ann');
    assert.equal(keys.resolve(after), null);
    assert.equal(await signsIn(users, 'ann', 'second'), false);
  });
});

test('no password is kept, nor repeated in an error', async () => {
  const secret = 'a-password-that-stands-out';
  await withUsers(async ({ base, users }) => {
    await users.add('ann', secret);
    await users.setPassword('ann', `${secret}-2`);
    const folder = join(base, '.anki-sync');
    for (const name of readdirSync(folder)) assert.equal(readFileSync(join(folder, name)).includes(secret), false, name);
    for (const failing of [users.add('ann', secret), users.add('', secret), users.setPassword('nobody', secret), users.add('bob', secret.repeat(99))]) {
      const error = await failing.then(() => assert.fail('must fail'), (reason: Error) => reason);
      assert.equal(`${error.message}${error.stack}${JSON.stringify(error)}`.includes(secret), false);
    }
  });
});

test('users are found by a part of their name, some at a time, whatever the case', async () => {
  const base = dataFolder();
  const database = await UsersDatabase.open(base);
  try {
    const users = new SqliteUsers(database, CHEAP);
    for (const name of ['Anna', 'hanna', 'Bob', '100%', 'Zo\u00eb']) await users.addWithHash(name, null);
    const found = async (part: string, limit = 10, offset = 0): Promise<unknown> => {
      const page = await users.search(part, limit, offset);
      return [page.users.map(({ loginName }) => loginName), page.count];
    };
    assert.deepEqual(await found('ANN'), [['Anna', 'hanna'], 2]);
    assert.deepEqual(await found('ann', 1, 1), [['hanna'], 2]);
    assert.deepEqual(await found('%'), [['100%'], 1]);
    assert.deepEqual(await found('zoe\u0308'), [['Zo\u00eb'], 1]);
    assert.deepEqual(await found('', 0), [[], 5]);
    const { id } = users.named('bob');
    assert.equal((await users.byId(id))?.loginName, 'Bob');
    assert.equal(await users.byId('nobody'), null);
  } finally {
    await database.close();
  }
});
