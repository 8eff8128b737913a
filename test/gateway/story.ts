/** An official server that has been there for years, a directory in front of it, and real clients: told as steps, for the suite and for `npm run try:gateway`. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Visitor } from '../account/visitor.ts';
import { GROUPS, PEOPLE, type Slapd } from '../auth/ldap/slapd.ts';
import { ankiSync, type RunningServer } from '../cli/command.ts';
import { ClientError, type AnkiDevices, type Device } from '../client/devices.ts';
import { ADA, BOB } from '../client/ldap-story.ts';
import { RawClient } from '../client/raw.ts';
import { startOfficialServer, type OfficialServer } from '../oracle/official-server.ts';

export interface GatewayStory {
  slapd: Slapd;
  /** Replaced by steps that restart it. */
  official: OfficialServer;
  gateway: RunningServer;
  devices: AnkiDevices;
  folder: string;
  signedIn: Map<string, Device>;
}

/** At the official server. Bob of the directory has nobody there. */
export const THERE = { user: 'ada-since-2023', password: 'canary-there-5309' };

/** On the port of one that was stopped, to restart it. */
export function officialServer(folder: string, { port, password = THERE.password }: { port?: number; password?: string } = {}): Promise<OfficialServer> {
  const base = join(folder, 'official');
  mkdirSync(base, { recursive: true });
  return startOfficialServer({ users: { [THERE.user]: password }, base, ...(port === undefined ? {} : { port }) });
}

export function gatewayArguments(folder: string, official: OfficialServer): string[] {
  const users = join(folder, 'upstream-users.json');
  writeFileSync(users, JSON.stringify({ [ADA.user]: THERE }), { mode: 0o600 });
  return ['--base', join(folder, 'data'), '--upstream', official.url, '--upstream-users-file', users];
}

async function user({ folder }: GatewayStory, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await ankiSync(['user', ...args, '--base', join(folder, 'data')]);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function deviceOf({ devices, folder, signedIn }: GatewayStory, name: string): Promise<Device> {
  const device = await devices.device(name, mkdtempSync(join(folder, `device-${name}-`)));
  signedIn.set(name, device);
  return device;
}

async function failed(asking: Promise<unknown>): Promise<ClientError> {
  const error: unknown = await asking.then(() => assert.fail('it went well'), (each: unknown) => each);
  assert.ok(error instanceof ClientError, String(error));
  return error;
}

async function same({ devices, signedIn }: GatewayStory, left: string, right: string): Promise<void> {
  await signedIn.get(left)!.sync();
  await signedIn.get(right)!.sync();
  await signedIn.get(left)!.sync();
  assert.deepEqual(await devices.do('', 'compare', { left, right, kind: 'devices', also: [] }), []);
}

export const STEPS: readonly (readonly [sentence: string, run: (story: GatewayStory) => Promise<void>])[] = [
  ['somebody has synced with the official server for years', async (story) => {
    const device = await deviceOf(story, 'before');
    await device.login(THERE.user, THERE.password, story.official.url);
    await device.do('add_notes', { count: 5, prefix: 'years' });
    await device.do('media_write', { files: [{ name: 'years.txt', text: 'years' }] });
    assert.equal((await device.sync()).required, 'FULL_UPLOAD');
    await device.upload();
    await device.sync({ media: true });
  }],
  ['the gateway in front of it tells where syncs go, and that the directory answers', async ({ gateway, official }) => {
    await gateway.line(/^users sign in through LDAP.*the directory answers/);
    assert.ok((await gateway.line(/^syncs go to /)).includes(official.url));
  }],
  ['signed in with the password of the directory, the same person finds the cards and media there', async (story) => {
    const device = await deviceOf(story, 'desktop');
    await device.login('ADA', ADA.password, story.gateway.url);
    assert.equal((await device.sync()).required, 'FULL_DOWNLOAD');
    await device.download();
    await device.sync({ media: true });
    assert.deepEqual(Object.keys(await device.mediaFiles()), ['years.txt']);
    await same(story, 'desktop', 'before');
  }],
  ['a second device signs in with an app password', async (story) => {
    const [password] = (await user(story, 'app-password', ADA.user, '--name', 'phone')).split('\n');
    const device = await deviceOf(story, 'phone');
    await device.login(ADA.user, password!, story.gateway.url);
    assert.equal((await device.sync()).required, 'FULL_DOWNLOAD');
    await device.download();
  }],
  ['what one device adds and edits reaches the other one', async (story) => {
    await story.signedIn.get('desktop')!.do('add_notes', { count: 2, prefix: 'desktop' });
    await story.signedIn.get('phone')!.do('add_notes', { count: 3, prefix: 'phone' });
    await same(story, 'desktop', 'phone');
    assert.equal((await story.signedIn.get('phone')!.do<number[]>('find_notes', { query: '' })).length, 10);
  }],
  ['a wrong password is refused, and so are the name and password of the official server', async (story) => {
    const device = await deviceOf(story, 'stranger');
    for (const [name, password] of [['Ada', 'canary-wrong-8842'], [THERE.user, THERE.password], ['Ada', THERE.password]] as const) {
      assert.equal((await failed(device.login(name, password, story.gateway.url))).kind, 'AUTH');
    }
  }],
  ['a person of the directory whom the official server does not know reads so, and stays signed in', async (story) => {
    const device = await deviceOf(story, 'bob');
    await device.login(BOB.user, BOB.password, story.gateway.url);
    for (let i = 0; i < 2; i++) {
      const error = await failed(device.sync());
      assert.notEqual(error.kind, 'AUTH');
      assert.match(error.message, /does not know you/);
    }
  }],
  ['while the official server is down, clients read so and keep their keys; once it is back, they go on', async (story) => {
    const port = Number(new URL(story.official.url).port);
    await story.official.stop();
    const desktop = story.signedIn.get('desktop')!;
    const error = await failed(desktop.sync());
    assert.notEqual(error.kind, 'AUTH');
    assert.match(error.message, /cannot be reached/);
    story.official = await officialServer(story.folder, { port });
    await desktop.do('add_notes', { count: 1, prefix: 'back' });
    await same(story, 'desktop', 'phone');
  }],
  ['while it has another password for the person, clients keep their keys too', async (story) => {
    const port = Number(new URL(story.official.url).port);
    await story.official.stop();
    story.official = await officialServer(story.folder, { port, password: 'canary-changed-7120' });
    assert.notEqual((await failed(story.signedIn.get('desktop')!.sync())).kind, 'AUTH');
    await story.gateway.line(/UPSTREAM_REFUSED.*refuses name or password of its user/);
    await story.official.stop();
    story.official = await officialServer(story.folder, { port });
    await same(story, 'desktop', 'phone');
  }],
  ['an app password that is revoked ends its device alone', async (story) => {
    const id = (await user(story, 'app-passwords', ADA.user)).split('\t')[0]!;
    await user(story, 'revoke', ADA.user, id);
    assert.equal((await failed(story.signedIn.get('phone')!.sync())).kind, 'AUTH');
    assert.equal((await story.signedIn.get('desktop')!.sync()).required, 'NO_CHANGES');
  }],
  ['on the account page, the person sees the devices, and no page about cards', async ({ gateway }) => {
    const visitor = new Visitor(gateway.url);
    await visitor.signIn('ada', ADA.password);
    const page = await visitor.get('/devices');
    assert.match(page.text, /Anki 26\.09/);
    assert.doesNotMatch(page.text, /\/account\/collection/);
  }],
  ['somebody who leaves the group loses the keys', async ({ slapd, gateway, signedIn }) => {
    await slapd.modify(`dn: cn=learners,${GROUPS}\nchangetype: modify\ndelete: member\nmember: uid=Ada,${PEOPLE}\n`);
    const desktop = signedIn.get('desktop')!;
    const begun = performance.now();
    const ended = (line: string): boolean => /event=keys\.revoked user=Ada/.test(line) && !/app password/.test(line);
    while (!gateway.lines.some(ended)) {
      assert.ok(performance.now() - begun < 60_000, 'it did not come to that');
      await desktop.sync().catch(() => {});
    }
    assert.equal((await failed(desktop.sync())).kind, 'AUTH');
  }],
  ['no password and no key of anybody is in the log, and none of the official server in the gateway\'s data', async ({ gateway, folder, official }) => {
    assert.ok(gateway.lines.some((line) => /login\.ok/.test(line)), 'there is a log');
    assert.doesNotMatch(gateway.lines.join('\n'), /canary/);
    // its keys are made of name and password: it gives the same one to everybody who has these
    const key = await new RawClient(official.url).hostKey(THERE.user, THERE.password);
    for (const file of readdirSync(join(folder, 'data'), { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      const bytes = readFileSync(join(file.parentPath, file.name));
      assert.ok(!bytes.includes('canary') && !bytes.includes(key), file.name);
    }
    assert.ok(!gateway.lines.join('\n').includes(key));
  }],
];
