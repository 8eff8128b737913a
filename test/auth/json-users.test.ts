import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { jsonUsersAuthenticator, type JsonUsersOptions } from '../../lib/auth/json-users.ts';
import { PasswordHasher } from '../../lib/auth/password-hash.ts';
import { authenticatorSuite } from '../../lib/conformance/authenticator.ts';
import { RawClient } from '../client/raw.ts';
import { runningServer } from '../server/running-server.ts';
import { CHEAP } from './cheap.ts';
import { dataFolder } from './folder.ts';

const hasher = new PasswordHasher(CHEAP);
const SECRET = 'Secret 1';
const HASH = await hasher.hash(SECRET);
const OTHER = await hasher.hash('Secret 2');

/** A file of users, and what was said of it. */
class UsersFile {
  readonly path = join(mkdtempSync(join(dataFolder(), 'users-')), 'users.json');
  readonly said: string[] = [];

  write(content: unknown): void {
    writeFileSync(this.path, typeof content === 'string' ? content : JSON.stringify(content));
  }

  replace(content: unknown): void {
    writeFileSync(`${this.path}.new`, typeof content === 'string' ? content : JSON.stringify(content));
    renameSync(`${this.path}.new`, this.path);
  }

  open(options: Partial<JsonUsersOptions> = {}): ReturnType<typeof jsonUsersAuthenticator> {
    return jsonUsersAuthenticator({ file: this.path, hasher, log: (level, detail) => this.said.push(`${level} ${detail}`), ...options });
  }
}

const signsIn = async (users: ReturnType<typeof jsonUsersAuthenticator>, username: string, password: string): Promise<boolean> =>
  (await users.authenticate({ username, password })) !== null;

for (const plain of [false, true]) {
  authenticatorSuite({
    name: `users of a JSON file, with ${plain ? 'plain passwords' : 'hashes'}`,
    make: () => {
      const file = new UsersFile();
      file.write({ 'ann@example.org': plain ? SECRET : HASH, bob: plain ? 'x' : OTHER });
      const own = new PasswordHasher(CHEAP);
      return {
        authenticator: file.open({ dangerouslyAllowPlainPasswords: plain, hasher: own }),
        right: { username: 'ann@example.org', password: SECRET },
        unknownUsername: 'nobody',
        hashComputations: () => own.computations,
      };
    },
  });
}

test('a new version holds from the next login on, whether written in place or replaced, and also at once after the last', async () => {
  const file = new UsersFile();
  file.write({ ann: HASH });
  const users = file.open();
  for (const [way, put] of [['in place', file.write], ['replaced', file.replace]] as const) {
    put.call(file, { bob: HASH });
    assert.deepEqual([await signsIn(users, 'ann', SECRET), await signsIn(users, 'bob', SECRET)], [false, true], way);
    // of the same size, in the same tick of the clock
    put.call(file, { ann: HASH });
    assert.deepEqual([await signsIn(users, 'ann', SECRET), await signsIn(users, 'bob', SECRET)], [true, false], way);
  }
  assert.equal(file.said.filter((line) => /^info new version .*: 1 users$/.test(line)).length, 4);
});

test('a change of the same size and time is seen too: the file that is there now is another one', async () => {
  const file = new UsersFile();
  const old = new Date(Date.now() - 3_600_000);
  file.write({ ann: HASH });
  utimesSync(file.path, old, old);
  const users = file.open();
  assert.equal(await signsIn(users, 'ann', SECRET), true);
  const { mtimeMs, size } = statSync(file.path);
  file.replace({ bob: HASH });
  utimesSync(file.path, old, old);
  assert.deepEqual([statSync(file.path).mtimeMs, statSync(file.path).size], [mtimeMs, size]);
  assert.equal(await signsIn(users, 'bob', SECRET), true);
});

const BROKEN: [string, unknown, RegExp][] = [
  ['half a file', '{"ann": "$argon', /it is not JSON/],
  ['an empty file', '', /it is not JSON/],
  ['a list', [HASH], /must be an object/],
  ['a plain password', { ann: 'canary-plain' }, /entry 1: not a usable password hash/],
  ['a hash of an unknown kind', { ann: HASH, bob: '$2b$10$canary' }, /entry 2: not a usable password hash.*algorithm must be one of/],
  ['no text', { ann: 5 }, /entry 1 has no password hash/],
  ['one name twice, in two spellings', { ann: HASH, 'ANN ': HASH }, /entry 2 names a user who is there already/],
  ['a name that cannot be', { 'a\nb': HASH }, /entry 1: this user name cannot be used/],
];
for (const [what, content, reason] of BROKEN) {
  test(`a new version with ${what} changes nothing, is told of once, and quotes nothing; at a start it is refused`, async () => {
    const file = new UsersFile();
    file.write({ ann: HASH });
    const users = file.open();
    file.replace(content);
    for (let i = 0; i < 3; i++) assert.equal(await signsIn(users, 'ann', SECRET), true);
    assert.equal(file.said.length, 1);
    assert.match(file.said[0]!, reason);
    assert.match(file.said[0]!, /^error .*users stay as they were/);
    assert.doesNotMatch(file.said[0]!, /canary/);
    assert.throws(() => file.open(), { name: 'UsersError', code: 'FILE_INVALID', message: reason });
    file.replace({ bob: HASH });
    assert.deepEqual([await signsIn(users, 'ann', SECRET), await signsIn(users, 'bob', SECRET)], [false, true]);
  });
}

test('a file that is gone changes nothing, until it is there again', async () => {
  const file = new UsersFile();
  file.write({ ann: HASH });
  const users = file.open();
  rmSync(file.path);
  assert.equal(await signsIn(users, 'ann', SECRET), true);
  assert.match(file.said[0]!, /cannot be read \(ENOENT\)/);
  file.write({});
  assert.equal(await signsIn(users, 'ann', SECRET), false);
  rmSync(file.path);
  assert.throws(() => file.open(), { code: 'FILE_INVALID' });
});

test('a login that began before its user got another hash, or was taken out, does not succeed after', async () => {
  for (const content of [{ ann: OTHER, bob: OTHER }, { bob: OTHER }]) {
    const file = new UsersFile();
    file.write({ ann: HASH, bob: OTHER });
    let letGo = (): void => {};
    const held = new Promise<void>((resolve) => (letGo = resolve));
    let reached = (): void => {};
    let verifying = new Promise<void>((resolve) => (reached = resolve));
    class HeldHasher extends PasswordHasher {
      override async verify(password: string, stored: string | null): Promise<boolean> {
        const right = await super.verify(password, stored);
        reached();
        await held;
        return right;
      }
    }
    const users = file.open({ hasher: new HeldHasher(CHEAP) });
    const ann = signsIn(users, 'ann', SECRET);
    await verifying;
    verifying = new Promise<void>((resolve) => (reached = resolve));
    file.replace(content);
    const bob = signsIn(users, 'bob', 'Secret 2');
    await verifying;
    letGo();
    assert.deepEqual([await ann, await bob], [false, true]);
  }
});

test('plain passwords are taken with the option alone, beside hashes', async () => {
  const file = new UsersFile();
  file.write({ ann: HASH, bob: 'Zo\u00eb', carl: '$5 a day' });
  assert.throws(() => file.open(), { code: 'FILE_INVALID' });
  const users = file.open({ dangerouslyAllowPlainPasswords: true });
  assert.deepEqual([await signsIn(users, 'ann', SECRET), await signsIn(users, 'bob', 'Zoe\u0308'), await signsIn(users, 'carl', '$5 a day')], [true, true, true]);
  assert.equal(await signsIn(users, 'ann', HASH), false);
});

for (const endKeys of ['changed', 'removed', 'never'] as const) {
  test(`with endKeys ${endKeys}, a new version ends the keys of ${{ changed: 'changed and removed users', removed: 'removed users', never: 'nobody' }[endKeys]}`, async () => {
    const file = new UsersFile();
    file.write({ ann: HASH, bob: HASH, carl: HASH });
    const base = dataFolder();
    let server = await runningServer({ base, authenticator: file.open({ endKeys }) });
    const META = { v: 11, cv: 'test' };
    const clients: string[] = [];
    try {
      for (const name of ['ann', 'bob', 'carl']) {
        const client = new RawClient(server.url);
        await client.hostKey(name, SECRET);
        assert.equal((await client.post('meta', META)).status, 200);
        clients.push(client.key);
      }
      file.replace({ ann: HASH, bob: OTHER });
      // a login looks at the file at once
      await new RawClient(server.url).post('hostKey', { u: 'ann', p: 'x' });
      const statuses = async (): Promise<number[]> => Promise.all(clients.map(async (key) => (await new RawClient(server.url, { key }).post('meta', META)).status));
      const expected = { changed: [200, 403, 403], removed: [200, 200, 403], never: [200, 200, 200] }[endKeys];
      assert.deepEqual(await statuses(), expected);
      const revoked = server.log.filter(({ event }) => event === 'keys.revoked').map(({ user }) => user);
      assert.deepEqual(revoked.toSorted(), { changed: ['bob', 'carl'], removed: ['carl'], never: [] }[endKeys]);
      if (endKeys === 'never') return;
      // and what changes while the server is down
      await server.stop();
      file.replace({ ann: OTHER, bob: OTHER, carl: HASH });
      server = await runningServer({ base, authenticator: file.open({ endKeys }) });
      assert.equal((await statuses())[0], endKeys === 'changed' ? 403 : 200);
    } finally {
      await server.stop();
    }
  });
}
