/** App passwords of people in a real directory: they never come to it, and end with the account there. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { openBuiltInAuth } from '../../../lib/auth/built-in.ts';
import { RawClient } from '../../client/raw.ts';
import { runningServer, type RunningServer } from '../../server/running-server.ts';
import { until } from '../../server/until.ts';
import { directory } from './directory.ts';
import { PEOPLE, person } from './slapd.ts';

const { slapd, skip, authenticator } = await directory({ entries: [person('carl', 'canary-carl'), person('dora', 'canary-dora')].join('\n') });

async function place(t: TestContext): Promise<RunningServer> {
  // users are looked up at each request, nearly
  const server = await runningServer({ authenticator: ['local', authenticator(t, { recheckMinutes: 0.0001 })], loginLimits: false });
  t.after(() => server.stop());
  return server;
}

async function appPassword({ base }: RunningServer, name: string, provider?: string): Promise<{ id: string; password: string; revoke(): Promise<boolean> }> {
  const auth = await openBuiltInAuth(base);
  const { id: userId } = await auth.directory.userFor(name, { provider });
  const made = await auth.appPasswords.create(userId, { name: 'phone' });
  await auth.close();
  const revoke = async (): Promise<boolean> => {
    const again = await openBuiltInAuth(base);
    return again.appPasswords.revoke(userId, made.id).finally(() => again.close());
  };
  return { ...made, revoke };
}

const login = async (server: RunningServer, u: string, p: string): Promise<number> => (await new RawClient(server.url).post('hostKey', { u, p })).status;
const meta = async (device: RawClient): Promise<number> => (await device.post('meta', { v: 11, cv: 'test' })).status;

async function until403(device: RawClient): Promise<void> {
  const begun = performance.now();
  while (await meta(device) !== 403) assert.ok(performance.now() - begun < 30_000, 'the key did not end');
}

test('neither right nor revoked ones come to the directory, which only says whether the person is there', { skip }, async (t) => {
  const server = await place(t);
  const { password, revoke } = await appPassword(server, 'carl');
  await slapd.operations();
  assert.equal(await login(server, 'carl', password), 200);
  const binds = async (): Promise<string[]> => (await slapd.operations()).filter(({ kind, what }) => kind === 'BIND' && what.includes(PEOPLE)).map(({ what }) => what);
  assert.deepEqual(await binds(), []);
  await revoke();
  for (let i = 0; i < 10; i++) assert.equal(await login(server, 'carl', password), 403);
  assert.deepEqual(await binds(), []);
  // mistyped, it is a wrong password like any other
  assert.equal(await login(server, 'carl', `${password}b`), 403);
  assert.equal((await binds()).length, 1);
});

test('while the directory is down, app passwords sign in and go on; once it says that the person is gone, they do not', { skip }, async (t) => {
  const server = await place(t);
  const [dora, lisa] = [await appPassword(server, 'dora'), await appPassword(server, 'lisa', 'oidc:keycloak')];
  await slapd.stop();
  t.after(() => slapd.restart());
  const device = new RawClient(server.url);
  await device.hostKey('dora', dora.password);
  assert.equal(await login(server, 'dora', 'canary-dora'), 503);
  for (let i = 0; i < 3; i++) assert.equal(await meta(device), 200);

  await slapd.restart();
  await slapd.modify(`dn: uid=dora,${PEOPLE}\nchangetype: delete\n`);
  await until403(device);
  assert.equal(await login(server, 'dora', dora.password), 403);
  await until(() => server.log.some(({ event, user }) => event === 'keys.revoked' && user === 'dora'));

  // from single sign-on, and never in this directory
  const other = new RawClient(server.url);
  await other.hostKey('lisa', lisa.password);
  for (let i = 0; i < 5; i++) assert.equal(await meta(other), 200);
});
