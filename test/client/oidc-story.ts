/** Single sign-on in a real browser, app passwords, and real Anki clients on the standalone command: told as steps, for the suite and for `npm run try:oidc`. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { CLIENT, PEOPLE, type RealProvider } from '../auth/oidc/provider.ts';
import type { RunningServer } from '../cli/command.ts';
import { ClientError, type AnkiDevices, type Device } from './devices.ts';
import { RawClient } from './raw.ts';

export interface OidcStory {
  provider: RealProvider;
  server: RunningServer;
  browser: Browser;
  devices: AnkiDevices;
  /** For the devices' collections and the server's data. */
  folder: string;
  /** Of earlier steps. */
  known: { page?: Page; passwords: Map<string, string>; devices: Map<string, Device> };
}

/** Of a busy machine. */
const PATIENCE_MILLIS = 60_000;

export function oidcVariables(provider: RealProvider): Record<string, string> {
  return {
    OIDC_ID: 'example',
    OIDC_NAME: 'Example Ltd',
    OIDC_ISSUER: provider.issuer,
    OIDC_CLIENT_ID: CLIENT.id,
    OIDC_CLIENT_SECRET: CLIENT.secret,
    OIDC_SCOPES: 'openid profile email groups',
    OIDC_ALLOWED_GROUPS: 'learners',
  };
}

/** Tells the provider where this server is. */
export function introduce(provider: RealProvider, { url }: RunningServer): void {
  provider.register([`${url}account/oidc/example/callback`]);
}

/** Another browser: no cookies of the others. */
async function openPage({ browser, server }: OidcStory): Promise<Page> {
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE_MILLIS);
  const page = await context.newPage();
  await page.goto(`${server.url}account`);
  return page;
}

async function signInAtProvider(page: Page, who: string): Promise<void> {
  await page.getByRole('link', { name: 'Sign in with Example Ltd' }).click();
  await page.getByLabel('User').fill(who);
  await page.getByLabel('Password').fill(PEOPLE[who]!.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** What the page says after whatever was done. */
async function notice(page: Page): Promise<string> {
  return page.locator('.notice').innerText();
}

async function place(page: Page, name: string): Promise<void> {
  await page.getByRole('navigation').getByRole('link', { name }).click();
  await page.getByRole('heading', { level: 1, name }).waitFor();
}

/** Answers the app password, as a person reads it on the page. */
async function createAppPassword(page: Page, name: string): Promise<string> {
  await place(page, 'App passwords');
  await page.getByLabel('Name').fill(name);
  await page.getByRole('button', { name: 'Create app password' }).click();
  const password = await page.locator('code.secret').innerText();
  assert.match(password, /^([a-z]{5}-){6}[a-z]{5}$/);
  return password;
}

async function refused({ devices, folder, server }: OidcStory, user: string, password: string): Promise<ClientError> {
  const device = await devices.device(`stranger-${performance.now()}`, mkdtempSync(join(folder, 'stranger-')));
  const error: unknown = await device.login(user, password, server.url).then(() => assert.fail('was let in'), (each: unknown) => each);
  await device.close();
  assert.ok(error instanceof ClientError);
  return error;
}

export const STEPS: readonly (readonly [sentence: string, run: (story: OidcStory) => Promise<void>])[] = [
  ['the server started while the provider was down; whoever presses the button is told that it is not possible now', async (story) => {
    await story.server.line(/^users sign in through Example Ltd on the page http:\S+\/account$/);
    const page = await openPage(story);
    await page.getByRole('link', { name: 'Sign in with Example Ltd' }).click();
    assert.match(await notice(page), /Signing in through Example Ltd is not possible now/);
    await page.context().close();
  }],
  ['the provider comes up, and a person signs in there, in a real browser, and is on the account page', async (story) => {
    await story.provider.up();
    introduce(story.provider, story.server);
    const page = await openPage(story);
    // for seconds after a failure, the provider is left alone
    for (;;) {
      await page.getByRole('link', { name: 'Sign in with Example Ltd' }).click();
      await page.locator('.notice, input[name=password]').first().waitFor();
      if (page.url().startsWith(story.provider.issuer)) break;
      await page.goto(`${story.server.url}account/sign-in`);
    }
    await page.goto(`${story.server.url}account/sign-in`);
    await signInAtProvider(page, 'ada');
    await page.getByRole('heading', { level: 1, name: 'Set up Anki' }).waitFor();
    assert.equal(page.url(), `${story.server.url}account`);
    assert.match(await page.locator('header').innerText(), /\bada\b/);
    story.known.page = page;
  }],
  ['the password of the provider is none for Anki, and nor is none', async (story) => {
    assert.equal((await refused(story, 'ada', PEOPLE.ada!.password)).kind, 'AUTH');
    assert.equal((await new RawClient(story.server.url).post('hostKey', { u: 'ada', p: '' })).status, 403);
  }],
  ['she makes an app password for each of two devices', async ({ known }) => {
    for (const name of ['laptop', 'tablet']) known.passwords.set(name, await createAppPassword(known.page!, name));
    await place(known.page!, 'App passwords');
    assert.deepEqual(await known.page!.locator('tbody th').allInnerTexts(), ['laptop', 'tablet']);
  }],
  ['a real Anki signs in with the first one, and uploads', async ({ devices, folder, server, known }) => {
    const device = await devices.device('laptop', join(folder, 'laptop'));
    await device.login('ada', known.passwords.get('laptop')!, server.url);
    await device.do('add_notes', { count: 3, prefix: 'laptop' });
    assert.equal((await device.sync()).required, 'FULL_UPLOAD');
    await device.upload();
    known.devices.set('laptop', device);
  }],
  ['another one with the second, typed without hyphens and in capitals, and gets the same cards', async ({ devices, folder, server, known }) => {
    const device = await devices.device('tablet', join(folder, 'tablet'));
    await device.login('Ada', known.passwords.get('tablet')!.replaceAll('-', '').toUpperCase(), server.url);
    assert.equal((await device.sync()).required, 'FULL_DOWNLOAD');
    await device.download();
    known.devices.set('tablet', device);
  }],
  ['somebody of no group is refused in words, and so is another person who takes the name', async (story) => {
    for (const [who, words] of [['bob', /in none of the groups that may sign in here/], ['eve', /The user name "ada" belongs to another account here/]] as const) {
      const page = await openPage(story);
      await signInAtProvider(page, who);
      assert.match(await notice(page), words);
      await page.goto(`${story.server.url}account/devices`);
      await page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
      await page.context().close();
    }
    assert.equal((await refused(story, 'bob', story.known.passwords.get('laptop')!)).kind, 'AUTH');
  }],
  ['whoever cancels at the provider is told so', async (story) => {
    const page = await openPage(story);
    await page.getByRole('link', { name: 'Sign in with Example Ltd' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    assert.match(await notice(page), /Example Ltd did not sign you in/);
    // the old address once more, as after a reload
    await page.reload();
    assert.match(await notice(page), /sign in again/);
    await page.context().close();
  }],
  ['while the provider is down, both devices go on syncing, and app passwords go on signing in', async ({ provider, devices, folder, server, known }) => {
    await provider.down();
    const [laptop, tablet] = [known.devices.get('laptop')!, known.devices.get('tablet')!];
    await laptop.do('add_notes', { count: 2, prefix: 'while it is down' });
    await laptop.sync();
    await tablet.sync();
    assert.deepEqual(await devices.do('', 'compare', { left: laptop.name, right: tablet.name, kind: 'devices', also: [] }), []);
    const device = await devices.device('desk', join(folder, 'desk'));
    await device.login('ada', known.passwords.get('tablet')!, server.url);
    assert.equal((await device.sync()).required, 'FULL_DOWNLOAD');
    await device.close();
    await provider.up();
  }],
  ['she signs one device out on the page: its next sync asks for the password, and the other goes on', async ({ known }) => {
    const page = known.page!;
    await place(page, 'Devices');
    const row = page.locator('tbody tr').filter({ hasText: 'laptop' });
    assert.equal(await row.count(), 1);
    await row.getByRole('button', { name: /^Sign out/ }).click();
    assert.match(await notice(page), /The device is signed out/);
    await assert.rejects(known.devices.get('laptop')!.sync(), { kind: 'AUTH' });
    assert.equal((await known.devices.get('tablet')!.sync()).required, 'NO_CHANGES');
  }],
  ['that device signs in again with its app password, until the app password is revoked', async ({ server, known }) => {
    const laptop = known.devices.get('laptop')!;
    await laptop.login('ada', known.passwords.get('laptop')!, server.url);
    assert.equal((await laptop.sync()).required, 'NO_CHANGES');
    const page = known.page!;
    await place(page, 'App passwords');
    await page.getByRole('button', { name: 'Revoke laptop' }).click();
    assert.match(await notice(page), /is revoked/);
    await assert.rejects(laptop.sync(), { kind: 'AUTH' });
    await assert.rejects(laptop.login('ada', known.passwords.get('laptop')!, server.url), { kind: 'AUTH' });
    assert.equal((await known.devices.get('tablet')!.sync()).required, 'NO_CHANGES');
  }],
  ['she signs out, here and then there: the next sign-in asks for the password', async (story) => {
    const page = story.known.page!;
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    assert.match(await notice(page), /You are signed out here/);
    await page.getByRole('link', { name: 'sign out there too' }).click();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.waitForLoadState();
    await page.goto(`${story.server.url}account/devices`);
    await page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
    await signInAtProvider(page, 'ada');
    await page.getByRole('heading', { level: 1, name: 'Set up Anki' }).waitFor();
  }],
  ['no code, token, secret or password is in the log or in the data folder', async ({ provider, server, folder, known }) => {
    for (const words of ['event=login.ok user=ada', 'event=login.refused', 'code=OIDC_UNAVAILABLE']) assert.ok(server.lines.some((line) => line.includes(words)), words);
    const secrets = [...provider.secrets, ...known.passwords.values(), ...[...known.passwords.values()].map((each) => each.replaceAll('-', ''))];
    assert.ok(secrets.length > 15);
    const log = server.lines.join('\n');
    for (const secret of secrets) assert.ok(!log.includes(secret), `in the log: ${secret}`);
    for (const entry of readdirSync(join(folder, 'data/.anki-sync'), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const bytes = readFileSync(join(entry.parentPath, entry.name));
      for (const secret of secrets) assert.ok(!bytes.includes(secret), `in ${entry.name}: ${secret}`);
    }
  }],
];
