/** A data folder of a former version, as its own code left it, under today's. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { openBuiltInAuth } from '../../lib/auth/built-in.ts';
import { usersDatabasePath } from '../../lib/auth/users-schema.ts';
import { withAppPasswords } from '../../lib/auth/with-app-passwords.ts';
import { CHEAP } from './cheap.ts';
import { dataFolder } from './folder.ts';

const ANNS_KEY = '1.vxsd5k3rg5q3mmu5.mmK6Bk2G7piYoHVI0q4l0fxCpV40-glib9Rth3r6GMg';
const ANNS_OLD_KEY = '1.vxsd5k3rg5q3mmu5.7qEqDbvHh64lbF8ws4N6qgBiLFI5RLLt-MiL-C5LYNU';
const BOBS_KEY = '1.5uukyja45hp5kyv2.w3udPyDr5PSPPLafGr3lLP4kiLABIeUE4MAi7gnEGCk';

function oldFolder(): string {
  const base = dataFolder();
  mkdirSync(join(base, '.anki-sync'));
  const db = new Database(usersDatabasePath(base));
  db.pragma('foreign_keys = OFF'); // tables come in the order of their names
  db.exec(readFileSync(new URL('users-of-version-2.sql', import.meta.url), 'utf8'));
  db.close();
  return base;
}

test('users, passwords and devices of a database before app passwords are there afterwards, and can do what is new', async () => {
  const base = oldFolder();
  const auth = await openBuiltInAuth(base, { passwords: CHEAP });
  try {
    const ann = { id: 'psksx62edw5mleaj', loginName: 'Ann@example.org', folder: 'Ann@example.org' };
    assert.deepEqual(await auth.hostKeys.resolve(ANNS_KEY), ann);
    assert.deepEqual(await auth.hostKeys.resolve(ANNS_OLD_KEY), ann);
    assert.equal((await auth.hostKeys.resolve(BOBS_KEY))?.loginName, 'bob');
    assert.equal((await auth.authenticator.authenticate({ username: 'ann@example.org', password: 'Secret 1' }))?.loginName, 'Ann@example.org');
    assert.equal(await auth.authenticator.authenticate({ username: 'eve', password: 'Secret 2' }), null);
    assert.deepEqual((await auth.users.list()).map(({ loginName, disabled, isAdmin, keys }) => [loginName, disabled, isAdmin, keys]), [
      ['Ann@example.org', false, undefined, 2], ['bob', false, undefined, 1], ['eve', true, undefined, 0],
    ]);

    assert.equal((await auth.hostKeys.resolve(ANNS_KEY))?.quota, undefined);
    await auth.users.setQuota('ann@example.org', { mediaBytes: 0 });
    assert.deepEqual((await auth.hostKeys.resolve(ANNS_KEY))?.quota, { maxMediaBytes: 0 });

    const { id, password } = await auth.appPasswords.create(ann.id, { name: 'phone' });
    const first = withAppPasswords({ rest: auth.authenticator, database: auth.database });
    assert.deepEqual(await first.authenticate({ username: 'ANN@example.org', password }), { loginName: 'Ann@example.org', appPasswordId: id });
    auth.hostKeys.synced!(ANNS_OLD_KEY, { client: '26.9.3,d1e7cf4b,windows' });
    const devices = await auth.hostKeys.list(ann.id);
    assert.deepEqual(devices.map(({ client }) => client).sort(), ['26.9.3,d1e7cf4b,linux', '26.9.3,d1e7cf4b,windows']);
    assert.equal(devices.filter(({ lastSyncSecs }) => lastSyncSecs !== undefined).length, 1);
    await auth.users.setPassword('ann@example.org', 'Secret 3');
    assert.equal(await auth.hostKeys.resolve(ANNS_KEY), null);
  } finally {
    await auth.close();
  }
});

test('it is the same database after an upgrade as a new one, table by table', async () => {
  const schema = async (base: string): Promise<unknown[]> => {
    await (await openBuiltInAuth(base)).close();
    const db = new Database(usersDatabasePath(base), { readonly: true });
    const rows = db.prepare<[], { name: string; sql: string }>('SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name').all();
    const version = db.pragma('user_version', { simple: true });
    db.close();
    return [version, ...rows.map(({ name, sql }) => [name, sql.replaceAll(/"/g, '')])];
  };
  assert.deepEqual(await schema(oldFolder()), await schema(dataFolder()));
});

test('a version that is interrupted while it upgrades has changed nothing', async () => {
  const base = oldFolder();
  const db = new Database(usersDatabasePath(base));
  // the migration fails in its middle: the name is taken
  db.exec('CREATE TABLE audit (x)');
  await assert.rejects(openBuiltInAuth(base));
  assert.equal(db.pragma('user_version', { simple: true }), 2);
  assert.equal(db.prepare(`SELECT count(*) FROM sqlite_schema WHERE name = 'app_passwords'`).pluck().get(), 0);
  db.exec('DROP TABLE audit');
  db.close();
  const auth = await openBuiltInAuth(base);
  assert.equal((await auth.hostKeys.resolve(BOBS_KEY))?.loginName, 'bob');
  await auth.close();
});
