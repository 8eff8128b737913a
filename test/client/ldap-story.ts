/** The users of a directory (slapd) on the standalone command, with real Anki clients: told as steps, for the suite and for `npm run try:ldap`. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BASE, GROUPS, PEOPLE, SERVICE, type Slapd } from '../auth/ldap/slapd.ts';
import type { RunningServer } from '../cli/command.ts';
import { ClientError, type AnkiDevices, type Device } from './devices.ts';
import { RawClient } from './raw.ts';

export interface LdapStory {
  slapd: Slapd;
  server: RunningServer;
  devices: AnkiDevices;
  /** For the devices' collections and the server's data. */
  folder: string;
  /** Signed in by earlier steps. */
  signedIn: Map<string, Device>;
}

export const ADA = { user: 'Ada', password: 'canary-ada-4411' };
export const BOB = { user: 'bob', password: 'canary-bob-5522' };
export const EVE = { user: 'eve', password: 'canary-eve-6633' };

/** Of the server: StartTLS with the directory's own authority, a group, and looking up again more often than anybody would want. */
export function ldapVariables(slapd: Slapd, folder: string): Record<string, string> {
  const [ca, password] = [join(folder, 'ca.pem'), join(folder, 'password')];
  mkdirSync(folder, { recursive: true });
  writeFileSync(ca, slapd.ca);
  writeFileSync(password, `${SERVICE.password}\n`);
  return {
    LDAP_URL: slapd.ldap,
    LDAP_START_TLS: 'true',
    LDAP_CA_FILE: ca,
    LDAP_BIND_DN: SERVICE.dn,
    LDAP_BIND_PASSWORD_FILE: password,
    LDAP_SEARCH_BASE: PEOPLE,
    LDAP_GROUP_BASE: GROUPS,
    LDAP_GROUP_FILTER: '(&(cn=learners)(member={dn}))',
    LDAP_RECHECK_MINUTES: '0.01',
  };
}

export async function failureOf({ devices, folder, server }: LdapStory, user: string, password: string): Promise<ClientError> {
  const device = await devices.device(`stranger-${performance.now()}`, mkdtempSync(join(folder, 'stranger-')));
  const error: unknown = await device.login(user, password, server.url).then(() => assert.fail('was let in'), (each: unknown) => each);
  await device.close();
  assert.ok(error instanceof ClientError);
  return error;
}

/** Syncs, as people do, until it is so. */
async function syncUntil(device: Device, isSo: () => boolean): Promise<void> {
  const begun = performance.now();
  while (!isSo()) {
    assert.ok(performance.now() - begun < 60_000, 'it did not come to that');
    await device.sync();
  }
}

export const STEPS: readonly (readonly [sentence: string, run: (story: LdapStory) => Promise<void>])[] = [
  ['the server tells at its start that the directory answers', async ({ server }) => {
    await server.line(/^users sign in through LDAP.*the directory answers/);
  }],
  ['a real Anki signs in with the password of the directory, and uploads', async ({ devices, folder, server, signedIn }) => {
    const device = await devices.device('a', join(folder, 'a'));
    await device.login('ADA', ADA.password, server.url);
    await device.do('add_notes', { count: 3, prefix: 'directory' });
    assert.equal((await device.sync()).required, 'FULL_UPLOAD');
    await device.upload();
    signedIn.set('a', device);
  }],
  ['a second device whose user types the name in another way gets the same cards', async ({ devices, folder, server, signedIn }) => {
    const device = await devices.device('b', join(folder, 'b'));
    await device.login(' ada', ADA.password, server.url);
    assert.equal((await device.sync()).required, 'FULL_DOWNLOAD');
    await device.download();
    signedIn.set('b', device);
    assert.equal(readdirSync(join(folder, 'data')).filter((name) => /^ada$/i.test(name)).length, 1);
  }],
  ['another person has other cards', async ({ devices, folder, server, signedIn }) => {
    const device = await devices.device('c', join(folder, 'c'));
    await device.login(BOB.user, BOB.password, server.url);
    await device.do('add_notes', { count: 1, prefix: 'bob' });
    assert.equal((await device.sync()).required, 'FULL_UPLOAD');
    await device.upload();
    signedIn.set('c', device);
  }],
  ['a wrong password, an unknown name, a filter as a name, and somebody of no group are refused, and Anki asks for the password', async (story) => {
    const refused = [['Ada', 'canary-wrong-8842'], ['nobody', 'canary-wrong-8842'], ['*', ADA.password], ['ada)(uid=*', ADA.password], [EVE.user, EVE.password]] as const;
    for (const [user, password] of refused) assert.equal((await failureOf(story, user, password)).kind, 'AUTH', user);
    const { status } = await new RawClient(story.server.url).post('hostKey', { u: 'ada', p: '' });
    assert.equal(status, 403);
  }],
  ['while the directory is down, nobody can sign in, and no client is told that its password is wrong', async (story) => {
    await story.slapd.stop();
    assert.equal((await failureOf(story, ADA.user, ADA.password)).kind, 'OTHER');
    const { status, headers } = await new RawClient(story.server.url).post('hostKey', { u: 'ada', p: ADA.password });
    assert.equal(status, 503);
    assert.ok(headers['retry-after'] !== undefined);
  }],
  ['and whoever is signed in goes on syncing, also after the server looked in vain', async ({ devices, server, signedIn }) => {
    const [a, b] = [signedIn.get('a')!, signedIn.get('b')!];
    await a.do('add_notes', { count: 2, prefix: 'while it is down' });
    await syncUntil(a, () => server.lines.some((line) => /users cannot be looked up, and keep their keys/.test(line)));
    await a.sync();
    await b.sync();
    assert.deepEqual(await devices.do('', 'compare', { left: a.name, right: b.name, kind: 'devices', also: [] }), []);
  }],
  ['the directory comes back, and people sign in again without a restart of the server', async ({ devices, folder, server, slapd, signedIn }) => {
    await slapd.restart();
    const device = await devices.device('d', join(folder, 'd'));
    await device.login(ADA.user, ADA.password, server.url);
    assert.equal((await device.sync()).required, 'FULL_DOWNLOAD');
    await device.download();
    await syncUntil(signedIn.get('a')!, () => server.lines.some((line) => /users can be looked up again/.test(line)));
  }],
  ['somebody who leaves the group loses the keys of all devices, and somebody who stays does not', async ({ server, slapd, signedIn }) => {
    await slapd.modify(`dn: cn=learners,${GROUPS}\nchangetype: modify\ndelete: member\nmember: uid=Ada,${PEOPLE}\n`);
    const [a, b, c] = [signedIn.get('a')!, signedIn.get('b')!, signedIn.get('c')!];
    const ended = (): boolean => server.lines.some((line) => /event=keys\.revoked user=Ada/.test(line));
    await assert.rejects(syncUntil(a, ended).then(() => a.sync()), { kind: 'AUTH' });
    await assert.rejects(b.sync(), { kind: 'AUTH' });
    assert.equal((await c.sync()).required, 'NO_CHANGES');
  }],
  ['so does somebody whose account is removed', async ({ slapd, server, signedIn }) => {
    await slapd.modify(`dn: uid=bob,${PEOPLE}\nchangetype: delete\n`);
    const c = signedIn.get('c')!;
    const ended = (): boolean => server.lines.some((line) => /event=keys\.revoked user=bob/.test(line));
    await assert.rejects(syncUntil(c, ended).then(() => c.sync()), { kind: 'AUTH' });
  }],
  ['and somebody who comes back to the group finds everything as it was', async ({ slapd, server, signedIn }) => {
    await slapd.modify(`dn: cn=learners,${GROUPS}\nchangetype: modify\nadd: member\nmember: uid=Ada,${PEOPLE}\n`);
    const a = signedIn.get('a')!;
    await a.login(ADA.user, ADA.password, server.url);
    assert.equal((await a.sync()).required, 'NO_CHANGES');
  }],
  ['no password is in the log or in the data folder', async ({ server, folder }) => {
    assert.ok(server.lines.some((line) => /login\.ok/.test(line)) && server.lines.some((line) => /login\.refused/.test(line)), 'there is a log');
    assert.doesNotMatch(server.lines.join('\n'), /canary/);
    for (const name of readdirSync(join(folder, 'data/.anki-sync'), { recursive: true, withFileTypes: true })) {
      if (name.isFile()) assert.ok(!readFileSync(join(name.parentPath, name.name)).includes('canary'), name.name);
    }
  }],
];

export const WHERE = `${PEOPLE}, ${GROUPS} and ou=services,${BASE}`;
