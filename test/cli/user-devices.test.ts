/** App passwords and devices from the command line, while a server runs on the same folder. */
import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { main } from '../../lib/cli.ts';
import type { Surroundings } from '../../lib/cli/surroundings.ts';
import { RawClient } from '../client/raw.ts';
import { ankiSync, startServer, temporaryFolder, type Outcome } from './command.ts';

interface Place {
  user(...args: string[]): Promise<Outcome>;
  base: string;
}

/** A data folder with the user kim, and `anki-sync user` on it. */
async function place(t: TestContext, command: typeof ankiSync = inThisProcess): Promise<Place> {
  const base = await temporaryFolder(t);
  await inThisProcess(['user', 'add', 'kim', '--base', base], { input: 'one' });
  return { base, user: (...args) => command(['user', ...args, '--base', base], { input: 'two' }) };
}

/** As `ankiSync`, without a process for each of many commands. */
async function inThisProcess(args: string[], { input = '', env = {} }: { input?: string; env?: Record<string, string> } = {}): Promise<Outcome> {
  const outcome: Outcome = { code: null, stdout: '', stderr: '' };
  const into = (name: 'stdout' | 'stderr'): Writable => new Writable({
    write(text, _encoding, done) {
      outcome[name] += String(text);
      done();
    },
  });
  const streams = { input: Readable.from([input]), output: into('stdout'), errors: into('stderr') };
  outcome.code = await main(args, { env, homeFolder: '/nowhere', ...streams } as unknown as Surroundings);
  return outcome;
}

const FORM = /^([bcdfghjkmnpqrstvwxyz]{5}-){6}[bcdfghjkmnpqrstvwxyz]{5}$/;

async function appPassword({ user }: Place, ...flags: string[]): Promise<string> {
  const { stdout, code } = await user('app-password', 'kim', '--name', 'phone', ...flags);
  assert.equal(code, 0);
  return stdout.split('\n')[0]!;
}

test('an app password is shown once, listed without it, and revoked', async (t) => {
  const at = await place(t);
  const password = await appPassword(at, '--expires', '90d');
  assert.match(password, FORM);
  const listed = (await at.user('app-passwords', 'kim')).stdout;
  assert.match(listed, /^[a-z2-7]{12}\t"phone"\tnever used\tmade \d{4}-\d\d-\d\d \d\d:\d\dZ\tuntil \d{4}-\d\d-\d\d \d\d:\d\dZ\n$/);
  assert.ok(!listed.includes(password));
  const id = listed.split('\t')[0]!;
  assert.deepEqual(await at.user('revoke', 'kim', id), { code: 0, stdout: `revoked the app password ${id} of "kim", and signed out its devices\n`, stderr: '' });
  assert.equal((await at.user('app-passwords', 'kim')).stdout, '');
  assert.deepEqual([(await at.user('revoke', 'kim', id)).code, (await at.user('revoke', 'kim', id)).stdout.includes('has no device or app password')], [1, true]);
});

test('what a running server knows of devices is listed, and a revoked one gets 403 at its next request, with a line in the log, and no other', async (t) => {
  const at = await place(t, ankiSync);
  const server = await startServer(t, ['--base', at.base, '--port', '0']);
  const [phone, laptop] = [new RawClient(server.url, { sessionKey: 'a' }), new RawClient(server.url, { sessionKey: 'b' })];
  await phone.hostKey('kim', await appPassword(at));
  await laptop.hostKey('kim', 'one');
  const meta = (device: RawClient): Promise<number> =>
    device.post('meta', { v: 11, cv: 'anki,25.09.2 (3890e12c),android:2.23.3:14:Pixel 7' }).then(({ status }) => status);
  assert.deepEqual([await meta(phone), await meta(laptop)], [200, 200]);

  const lines = (await at.user('devices', 'kim')).stdout.trim().split('\n');
  assert.equal(lines.length, 2);
  const phoneLine = lines.find((line) => line.includes('app password "phone"'))!;
  const [id, name, , signedIn, address] = phoneLine.split('\t');
  assert.ok(name !== undefined && signedIn?.startsWith('signed in ') === true && /127\.0\.0\.1/.test(address ?? ''), phoneLine);

  assert.equal((await at.user('revoke', 'kim', id!)).stdout, `signed out the device ${id} of "kim"\n`);
  assert.deepEqual([await meta(phone), await meta(laptop)], [403, 200]);
  assert.match(await server.line(/event=keys\.revoked/), /user=kim .*detail="1 host key ended, by the command line"/);

  // stopped, it has written down the rest
  await server.stop();
  assert.match((await at.user('devices', 'kim')).stdout, /\tAnkiDroid 2\.23\.3, Pixel 7, Android 14\tlast sync \d{4}-/);
});

test('a running server tells of everything that the command line does to users, though nobody asks it anything', async (t) => {
  const at = await place(t, ankiSync);
  const server = await startServer(t, ['--base', at.base, '--port', '0']);
  // what happened before it started
  await server.line(/event=user\.added user=kim detail="by the command line"/);
  await at.user('add', 'lee');
  await server.line(/event=user\.added user=lee/);
  await appPassword(at);
  await server.line(/event=app-password\.created user=kim .*phone/);
  await at.user('passwd', 'kim');
  await server.line(/event=password\.changed user=kim/);
  await server.line(/event=app-password\.revoked user=kim .*another password/);
  await at.user('admin', 'kim');
  await server.line(/event=user\.admin user=kim detail="is an administrator, by the command line"/);
  await at.user('disable', 'lee');
  await server.line(/event=user\.disabled user=lee/);
  await at.user('enable', 'lee');
  await server.line(/event=user\.enabled user=lee/);
  await at.user('remove', 'lee');
  await server.line(/event=user\.removed user=lee/);
});

test('all devices at once are signed out, and app passwords go with them only when asked', async (t) => {
  const at = await place(t);
  const password = await appPassword(at);
  assert.equal((await at.user('revoke', 'kim')).stdout, 'signed out 0 devices of "kim"\n');
  assert.match((await at.user('app-passwords', 'kim')).stdout, /"phone"/);
  assert.equal((await at.user('revoke', 'kim', '--app-passwords')).stdout, 'signed out 0 devices of "kim", and revoked 1 app password\n');
  assert.equal((await at.user('app-passwords', 'kim')).stdout, '');
  assert.match(password, FORM);
});

test('a changed password takes the app passwords with it, unless they are kept', async (t) => {
  const at = await place(t);
  await appPassword(at);
  await at.user('passwd', 'kim', '--keep-app-passwords');
  assert.match((await at.user('app-passwords', 'kim')).stdout, /"phone"/);
  assert.equal((await inThisProcess(['user', 'passwd', 'kim', '--base', at.base], { input: 'x', env: { PASSWORD_CHANGE_ENDS: 'own' } })).code, 0);
  assert.match((await at.user('app-passwords', 'kim')).stdout, /"phone"/);
  await at.user('passwd', 'kim');
  assert.equal((await at.user('app-passwords', 'kim')).stdout, '');
});

test('administrators are marked in the list, until they are none', async (t) => {
  const at = await place(t);
  assert.equal((await at.user('admin', 'KIM')).stdout, '"kim" is an administrator of the account page\n');
  assert.match((await at.user('list')).stdout, /\tadministrator\n$/);
  assert.equal((await at.user('admin', 'kim', '--off')).stdout, '"kim" is no administrator of the account page\n');
  assert.doesNotMatch((await at.user('list')).stdout, /administrator/);
});

test('what cannot be is told, and nothing is made', async (t) => {
  const at = await place(t);
  const cases: [string[], number, RegExp][] = [
    [['app-password', 'kim'], 2, /needs --name/],
    [['app-password', 'kim', '--name', ' '], 1, /is empty/],
    [['app-password', 'kim', '--name', 'x'.repeat(101)], 1, /longer than 100/],
    [['app-password', 'kim', '--name', 'a', '--expires', '3 months'], 2, /number of days, like 90d/],
    [['app-password', 'kim', '--name', 'a', '--expires', '0d'], 2, /number of days, like 90d/],
    [['app-password', 'lee', '--name', 'a'], 1, /there is no user "lee"/],
    [['devices', 'lee'], 1, /there is no user "lee"/],
    [['devices', 'kim', 'x'], 2, /takes one name/],
    [['revoke', 'kim', 'x', 'y'], 2, /takes one name/],
    [['revoke', 'kim', 'x', '--app-passwords'], 2, /goes with all devices/],
    [['list', '--off'], 2, /--off belongs to user admin/],
  ];
  for (const [args, code, words] of cases) {
    const outcome = await at.user(...args);
    assert.deepEqual([outcome.code, outcome.stdout], [code, ''], args.join(' '));
    assert.match(outcome.stderr, words);
  }
  assert.equal((await at.user('app-passwords', 'kim')).stdout, '');
});
