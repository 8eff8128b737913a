/** One person, one collection: whatever vouches for a name, however it was typed. */
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Strategy as LocalStrategy } from 'passport-local';
import type { Authenticator } from '../../lib/auth/authenticator.ts';
import { readSyncUsers } from '../../lib/auth/env-users.ts';
import { jsonUsersAuthenticator } from '../../lib/auth/json-users.ts';
import { passportAuthenticator } from '../../lib/auth/passport.ts';
import { PasswordHasher } from '../../lib/auth/password-hash.ts';
import { SqliteUsers } from '../../lib/auth/sqlite-users.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import type { SyncServerOptions } from '../../lib/options.ts';
import { RawClient } from '../client/raw.ts';
import { runningServer } from '../server/running-server.ts';
import { CHEAP } from './cheap.ts';
import { dataFolder } from './folder.ts';

const PASSWORD = 'Secret 1';
const NAME = 'Zoë@example.org';
const TYPED = [NAME, NAME.normalize('NFD'), 'zoë@example.org', 'ZOË@EXAMPLE.ORG', ` ${NAME} `, 'zOE\u0308@example.org'];
const ASIDE: Authenticator = { authenticate: async () => null };

/** Each vouches for the name as typed, or in a form of its own. */
const KINDS: [string, (base: string) => Promise<SyncServerOptions> | SyncServerOptions][] = [
  ['users of the data folder', async (base) => {
    const database = await UsersDatabase.open(base);
    await new SqliteUsers(database, { hasher: new PasswordHasher(CHEAP) }).add(NAME, PASSWORD);
    await database.close();
    return { authenticator: 'local' };
  }],
  ['users of the environment', () => ({ environmentUsers: readSyncUsers({ SYNC_USER1: `${NAME}:${PASSWORD}` }).users, authenticator: 'local' })],
  ['a JSON file', async () => ({ authenticator: await jsonUsers() })],
  ['a function that says yes', () => ({ authenticator: ({ password }) => password === PASSWORD })],
  ['a function that answers names in every spelling', () => {
    let next = 0;
    return { authenticator: ({ password }) => (password === PASSWORD ? TYPED[next++ % TYPED.length]! : null) };
  }],
  ['a passport strategy', () => ({ authenticator: passportAuthenticator(new LocalStrategy((username, password, done) => done(null, password === PASSWORD && { username }))) })],
  ['a chain in which they take turns', async () => {
    let next = 0;
    const one: Authenticator = { authenticate: async ({ username, password }) => (password === PASSWORD && next++ % 2 === 0 ? { loginName: username } : null) };
    return { authenticator: [ASIDE, one, await jsonUsers()] };
  }],
];

async function jsonUsers(): Promise<Authenticator> {
  const hasher = new PasswordHasher(CHEAP);
  const file = join(mkdtempSync(join(dataFolder(), 'users-')), 'users.json');
  writeFileSync(file, JSON.stringify({ [NAME.normalize('NFD').toUpperCase()]: await hasher.hash(PASSWORD) }));
  return jsonUsersAuthenticator({ file, hasher });
}

describe('whoever types a name in another way is the same user, signed in by', () => {
  for (const [kind, options] of KINDS) {
    test(kind, async () => {
      const base = dataFolder();
      const server = await runningServer({ ...(await options(base)), base });
      try {
        for (const typed of TYPED) {
          const client = new RawClient(server.url);
          await client.hostKey(typed, PASSWORD);
          assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 200, typed);
        }
        await server.close();
        const database = await UsersDatabase.open(base);
        assert.equal(database.users().length, 1, database.users().map(({ login_name }) => login_name).join());
        await database.close();
        const logged = new Set(server.log.map(({ user }) => user));
        assert.equal(logged.size, 1);
      } finally {
        await server.stop();
      }
    });
  }
});

test('in a folder where case counts, only composition and white space do not', async () => {
  const base = dataFolder();
  const server = await runningServer({ base, caseSensitive: true, authenticator: () => true });
  try {
    for (const typed of TYPED) await new RawClient(server.url).hostKey(typed, PASSWORD);
    await server.close();
    const database = await UsersDatabase.open(base);
    assert.deepEqual(database.users().map(({ login_name }) => login_name).toSorted(), ['ZOË@EXAMPLE.ORG', 'Zoë@example.org', 'zOË@example.org', 'zoë@example.org']);
    await database.close();
  } finally {
    await server.stop();
  }
});
