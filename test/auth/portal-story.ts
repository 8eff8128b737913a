/** What has to hold in a portal with passport-ldapauth: told as steps, for the suite and for `npm run try:passport`. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { Browser } from './oidc/browser.ts';
import { AnkiDevices, ClientError } from '../client/devices.ts';
import { RawClient } from '../client/raw.ts';
import type { Slapd } from './ldap/slapd.ts';
import type { Portal } from './portal-app.ts';

export interface Story {
  slapd: Slapd;
  portal: Portal;
  devices: AnkiDevices;
  /** For the devices' collections. */
  folder: string;
}

export const ADA = { user: 'Ada', password: 'canary-ada-4411' };
export const BOB = { user: 'bob', password: 'canary-bob-5522' };

async function failureOf(story: Story, user: string, password: string): Promise<ClientError> {
  const device = await story.devices.device(`stranger-${performance.now()}`, mkdtempSync(join(story.folder, 'stranger-')));
  const error: unknown = await device.login(user, password, story.portal.ankiUrl).then(() => assert.fail('was let in'), (each: unknown) => each);
  await device.close();
  assert.ok(error instanceof ClientError);
  return error;
}

const login = (story: Story, u: string, p: string): Promise<{ status: number }> => new RawClient(story.portal.ankiUrl).post('hostKey', { u, p });

export const STEPS: readonly (readonly [sentence: string, run: (story: Story) => Promise<void>])[] = [
  ['the portal\'s own pages sign people in with the strategy', async ({ portal }) => {
    const post = (password: string): Promise<Response> => fetch(`${portal.url}login`, { method: 'POST', body: new URLSearchParams({ username: 'ada', password }) });
    assert.equal(await (await post(ADA.password)).text(), 'signed in as Ada');
    assert.equal((await post('wrong')).status, 401);
  }],
  ['a real Anki signs in below /portal/anki with the directory\'s password, uploads, and another device downloads', async (story) => {
    const { portal, devices, folder } = story;
    const [a, b] = [await devices.device('a', join(folder, 'a')), await devices.device('b', join(folder, 'b'))];
    await a.login(ADA.user, ADA.password, portal.ankiUrl);
    await a.do('add_notes', { count: 3, prefix: 'from the portal' });
    assert.equal((await a.sync()).required, 'FULL_UPLOAD');
    await a.upload();
    // typed in another way, it is the same person
    await b.login(' aDA', ADA.password, portal.ankiUrl);
    assert.equal((await b.sync()).required, 'FULL_DOWNLOAD');
    await b.download();
    assert.equal((await a.sync()).required, 'NO_CHANGES');
    const names = new Set(portal.log.filter(({ event }) => event === 'login.ok').map(({ user }) => user));
    assert.deepEqual([...names], ['Ada']);
  }],
  ['whoever is signed in at the portal is so on the account page, and a real Anki signs in with an app password of there', async (story) => {
    const { portal, devices, folder } = story;
    const browser = new Browser();
    const account = `${portal.ankiUrl}account`;
    await browser.fetch(`${portal.url}login`, { form: { username: 'ada', password: ADA.password } });
    const page = await (await browser.fetch(`${account}/app-passwords`)).text();
    assert.match(page, /<bdi>Ada<\/bdi>/);
    const [, csrf = ''] = /name="csrf" value="(.*?)"/.exec(page) ?? [];
    const made = await browser.follow(`${account}/app-passwords`, 'nowhere', { form: { csrf, name: 'phone', expires: '' } });
    assert.ok(typeof made !== 'string');
    const [, password = ''] = /<code class="secret"[^>]*>(.*?)<\/code>/.exec(await made.response.text()) ?? [];
    const phone = await devices.device('phone', join(folder, 'phone'));
    await phone.login('ada', password, portal.ankiUrl);
    assert.equal((await phone.sync()).required, 'FULL_DOWNLOAD');
    // another browser, which is signed in nowhere
    assert.equal((await new Browser().fetch(`${account}/app-passwords`)).status, 303);
  }],
  ['a wrong password, an unknown name and an empty password are refused, and Anki says so', async (story) => {
    assert.equal((await failureOf(story, 'bob', 'wrong')).kind, 'AUTH');
    assert.equal((await failureOf(story, 'nobody', 'wrong')).kind, 'AUTH');
    assert.equal((await login(story, 'bob', '')).status, 403);
  }],
  ['names that would be a search filter find nobody', async (story) => {
    for (const name of ['*', 'bo*', 'bob)(uid=*', '*)(objectClass=*', 'bob\0', '\\2a']) {
      assert.equal((await login(story, name, BOB.password)).status, 403, JSON.stringify(name));
    }
  }],
  ['while the directory is away, sign-in says try again, and whoever has a key goes on syncing', async (story) => {
    const { slapd, portal, devices, folder } = story;
    const device = await devices.device('c', join(folder, 'c'));
    await device.login(BOB.user, BOB.password, portal.ankiUrl);
    await slapd.stop();
    try {
      const refused = await failureOf(story, 'Ada', ADA.password);
      assert.notEqual(refused.kind, 'AUTH');
      assert.equal((await login(story, 'bob', BOB.password)).status, 503);
      assert.match((await device.sync()).required, /FULL|NO_CHANGES/);
    } finally {
      await slapd.restart();
    }
    assert.equal((await login(story, 'bob', BOB.password)).status, 200);
  }],
  ['guesses end after ten', async (story) => {
    const statuses = [];
    for (let i = 0; i < 12; i++) statuses.push((await login(story, 'eve', `guess ${i}`)).status);
    assert.deepEqual(statuses, [...Array<number>(10).fill(403), 429, 429]);
  }],
  ['the log has all of it, and no password', async ({ portal }) => {
    const events = new Set(portal.log.map(({ event }) => event));
    for (const event of ['login.ok', 'login.refused', 'login.limited', 'login.unavailable', 'upload.replaced'] as const) assert.ok(events.has(event), event);
    assert.doesNotMatch(JSON.stringify(portal.log), /canary|guess \d/);
  }],
];
