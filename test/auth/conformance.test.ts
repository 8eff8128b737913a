import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SqliteAppPasswords } from '../../lib/auth/app-passwords.ts';
import { authenticatorFrom } from '../../lib/auth/authenticator-from.ts';
import type { User } from '../../lib/auth/authenticator.ts';
import type { HostKeys, IssuedKey } from '../../lib/auth/host-keys.ts';
import { PasswordHasher } from '../../lib/auth/password-hash.ts';
import { SqliteHostKeys } from '../../lib/auth/sqlite-host-keys.ts';
import { SqliteUsers } from '../../lib/auth/sqlite-users.ts';
import { SqliteUserDirectory } from '../../lib/auth/user-directory.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import { authenticatorSuite } from '../../lib/conformance/authenticator.ts';
import { hostKeysSuite } from '../../lib/conformance/host-keys.ts';
import { CHEAP } from './cheap.ts';
import { dataFolder } from './folder.ts';

authenticatorSuite({
  name: 'your own function',
  make: () => {
    let broken = false;
    return {
      authenticator: authenticatorFrom(({ username, password }) => {
        if (broken) throw new Error('the portal is down');
        return username === 'ann' && password === 'Secret 1';
      }),
      right: { username: 'ann', password: 'Secret 1' },
      unknownUsername: 'nobody',
      breakDown: () => void (broken = true),
    };
  },
});

authenticatorSuite({
  name: 'SQLite users',
  make: async () => {
    const database = await UsersDatabase.open(dataFolder());
    const hasher = new PasswordHasher(CHEAP);
    const users = new SqliteUsers(database, { hasher });
    await users.add('ann@example.org', 'Secret 1');
    return {
      authenticator: users,
      right: { username: 'ann@example.org', password: 'Secret 1' },
      unknownUsername: 'nobody',
      hashComputations: () => hasher.computations,
      breakDown: () => database.close(),
      close: () => database.close(),
    };
  },
});

hostKeysSuite({ name: 'in memory', make: () => ({ hostKeys: memoryHostKeys(), ann: user('ann'), bob: user('bob') }) });

hostKeysSuite({
  name: 'SQLite',
  make: async () => {
    const base = dataFolder();
    const database = await UsersDatabase.open(base);
    const opened = [database];
    const directory = new SqliteUserDirectory(database);
    return {
      hostKeys: new SqliteHostKeys(database),
      ann: await directory.userFor('ann'),
      bob: await directory.userFor('bob'),
      appPasswordOf: async ({ id }) => (await new SqliteAppPasswords(database).create(id, { name: 'phone' })).id,
      again: async () => {
        const second = await UsersDatabase.open(base);
        opened.push(second);
        return new SqliteHostKeys(second);
      },
      storedBytes: () => {
        const folder = join(base, '.anki-sync');
        return Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))));
      },
      close: async () => {
        for (const each of opened) await each.close();
        rmSync(base, { recursive: true, force: true });
      },
    };
  },
});

function user(name: string): User {
  return { id: `id of ${name}`, loginName: name, folder: name };
}

/** The least that keeps the contract. */
function memoryHostKeys(): HostKeys {
  const keys = new Map<string, { user: User; issued: IssuedKey; expiresSecs: number }>();
  const hashOf = (key: string): string => createHash('sha256').update(key).digest('hex');
  const holds = ({ expiresSecs }: { expiresSecs: number }): boolean => expiresSecs * 1000 > Date.now();
  const of = (userId: string): [string, { user: User; issued: IssuedKey }][] => [...keys].filter(([, entry]) => entry.user.id === userId && holds(entry));
  return {
    async issue(owner, device) {
      const key = randomBytes(32).toString('base64url');
      const { expiresSecs = Infinity, ...about } = device;
      keys.set(hashOf(key), { user: owner, expiresSecs, issued: { keyId: randomBytes(8).toString('hex'), issuedSecs: Math.floor(Date.now() / 1000), ...about } });
      return key;
    },
    resolve(key) {
      const entry = keys.get(hashOf(key));
      return entry !== undefined && holds(entry) ? entry.user : null;
    },
    async revoke(userId, keyId) {
      const ended = of(userId).filter(([, entry]) => keyId === undefined || entry.issued.keyId === keyId);
      for (const [hash] of ended) keys.delete(hash);
      return ended.length;
    },
    list: async (userId) => of(userId).map(([, entry]) => entry.issued),
  };
}
