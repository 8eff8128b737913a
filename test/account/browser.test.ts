/** The account page in a real browser, below an Express application, and with a real Anki beside it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { AnkiDevices, ClientError } from '../client/devices.ts';
import { RawClient } from '../client/raw.ts';
import { faultsOf, focusIsSeen } from './accessibility.ts';
import { chromiumMissing, startChromium } from './chromium.ts';
import { accountServer, dataFolder, type AccountServer } from './visitor.ts';

const USERS = { Ada: 'canary-ada-1', bob: 'canary-bob-1' };
/** A loaded machine takes its time. */
const PATIENCE_MILLIS = 60_000;

const missing = await chromiumMissing();
if (missing !== false) console.log(`the account page is not seen in a browser: ${missing}`);

describe('the account page in chromium', { skip: missing }, () => {
  let browser: Browser;
  before(async () => {
    browser = await startChromium();
  });
  after(() => browser.close());

  async function open(t: TestContext, context: BrowserContextOptions = {}): Promise<{ page: Page; said: string[] }> {
    const own = await browser.newContext({ locale: 'en-GB', ...context });
    t.after(() => own.close());
    own.setDefaultTimeout(PATIENCE_MILLIS);
    const page = await own.newPage();
    // what the browser complains of, such as a script or a style that the policy forbids
    const said: string[] = [];
    page.on('console', (message) => (message.type() === 'error' ? said.push(message.text()) : 0));
    page.on('pageerror', (error) => said.push(String(error)));
    return { page, said };
  }

  async function signIn(page: Page, { url }: AccountServer, user: keyof typeof USERS = 'Ada'): Promise<void> {
    await page.goto(`${url}account`);
    await page.getByLabel('User name').fill(user);
    await page.getByLabel('Password').fill(USERS[user]);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Set up Anki' }).waitFor();
  }

  /** All pages of somebody who has a device, an app password, cards and users to look after. */
  async function fullServer(t: TestContext): Promise<AccountServer> {
    const server = await accountServer(t, { users: USERS, admins: ['ada'] });
    const client = new RawClient(server.url, { client: '26.09.3,raw,lin' });
    await client.hostKey('ada', USERS.Ada);
    assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 200);
    return server;
  }

  const PLACES = ['', '/app-passwords', '/devices', '/collection', '/delete', '/users', '/users?name=nobody'];

  test('what is measured of each page finds faults where there are some', async (t) => {
    const { page } = await open(t, { viewport: { width: 360, height: 740 } });
    await page.setContent(`<!DOCTYPE html><title></title><h1>a</h1><h1 id="twice">b</h1><h3 id="twice">c</h3><input><input type="password" aria-labelledby="nowhere">
      <button></button><a href="x" aria-label="other words">seen words</a><svg></svg><table><tr><td>x</td></tr></table>
      <p style="color: #999; background: #fff">pale</p><p style="color: #777">hardly pale enough</p><p style="width: 900px">wide</p>`);
    const faults = (await faultsOf(page)).join('\n');
    for (const words of ['no language', 'no title', '2 first headings', 'no main part', 'a heading of level 3 after 1', 'the id twice twice', 'aria-labelledby leads nowhere',
      'a field without a label: <input>', 'a password without autocomplete', 'a control without a name: <button>', 'a name without the words that are seen', 'a picture without words',
      'a table without headings', 'contrast 2.85', 'contrast 4.48', 'a target of', 'wider than the window']) assert.ok(faults.includes(words), `${words}\n${faults}`);
    assert.equal(await focusIsSeen(page), false);
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`every page has labels, headings, words for pictures, and enough contrast, with ${colorScheme} colours and on a phone`, async (t) => {
      const server = await fullServer(t);
      const { page, said } = await open(t, { colorScheme, viewport: { width: 360, height: 740 } });
      await page.goto(`${server.url}account/sign-in`);
      assert.deepEqual(await faultsOf(page), []);
      const isDark = await page.evaluate<boolean>('Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]) < 128');
      assert.equal(isDark, colorScheme === 'dark');
      await page.getByLabel('User name').fill('ada');
      await page.getByLabel('Password').fill('wrong');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('alert').waitFor();
      assert.deepEqual(await faultsOf(page), []);
      // a wrong password is a 403, which chromium writes into its console
      assert.ok(said.splice(0).every((line) => /status of 403/.test(line)));
      await signIn(page, server);
      await page.goto(`${server.url}account/app-passwords`);
      await page.getByLabel('Name').fill('a phone with a long name of several words');
      await page.getByRole('button', { name: 'Create app password' }).click();
      await page.getByRole('heading', { name: 'Your new app password' }).waitFor();
      assert.deepEqual(await faultsOf(page), []);
      for (const place of PLACES) {
        await page.goto(`${server.url}account${place}`);
        assert.deepEqual(await faultsOf(page), [], place);
      }
      await page.goto(`${server.url}account/users`);
      await page.getByRole('link', { name: 'bob' }).click();
      await page.getByRole('heading', { name: 'User bob' }).waitFor();
      assert.deepEqual(await faultsOf(page), []);
      assert.deepEqual(said, []);
    });
  }

  test('without a mouse: signing in, making an app password and signing out, and one always sees where one is', async (t) => {
    const server = await accountServer(t, { users: USERS });
    const { page } = await open(t);
    await page.goto(`${server.url}account`);
    const tabTo = async (selector: string): Promise<void> => {
      for (let presses = 0; presses < 40; presses += 1) {
        await page.keyboard.press('Tab');
        assert.ok(await focusIsSeen(page), `the focus on the way to ${selector} is not seen`);
        if (await page.evaluate<boolean>(`document.activeElement.matches(${JSON.stringify(selector)})`)) return;
      }
      assert.fail(`${selector} was never reached`);
    };
    await tabTo('a.skip');
    await tabTo('#user');
    await page.keyboard.type('ada');
    await tabTo('#password');
    await page.keyboard.type(USERS.Ada);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Set up Anki' }).waitFor();
    await tabTo('nav a[href$="/app-passwords"]');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'App passwords', exact: true }).waitFor();
    await tabTo('#name');
    await page.keyboard.type('keyboard');
    await tabTo('#expires');
    await page.keyboard.press('ArrowDown');
    await tabTo('form[action$="/app-passwords"] button');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Your new app password' }).waitFor();
    // it is the first thing that is read out
    assert.equal(await page.evaluate('document.activeElement.className'), 'notice');
    assert.match(await page.getByRole('row', { name: /keyboard/ }).innerText(), /never/);
    await page.goto(`${server.url}account`);
    await tabTo('form[action$="/sign-out"] button');
    await page.keyboard.press('Enter');
    await page.getByText('You are signed out.').waitFor();
  });

  test('without scripts everything works, and nothing offers what needs one', async (t) => {
    const server = await accountServer(t, { users: USERS });
    const { page } = await open(t, { javaScriptEnabled: false });
    await signIn(page, server);
    assert.equal(await page.getByRole('button', { name: /Copy/ }).count(), 0);
    assert.equal(await page.locator('code.url').innerText(), server.url);
    await page.getByRole('link', { name: 'App passwords' }).first().click();
    await page.getByLabel('Name').fill('no script');
    await page.getByLabel('It ends').selectOption('after 30 days');
    await page.getByRole('button', { name: 'Create app password' }).click();
    assert.match(await page.locator('code.secret').innerText(), /^([a-z]{5}-){6}[a-z]{5}$/);
    await page.getByRole('button', { name: 'Revoke no script' }).click();
    await page.getByText('The app password is revoked').waitFor();
    await page.getByRole('link', { name: 'Collection' }).click();
    await page.getByText('There are no cards here yet').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You are signed out.').waitFor();
  });

  test('with a script there is a button that copies the address, and times are those of the reader', async (t) => {
    const server = await fullServer(t);
    const { page, said } = await open(t, { timezoneId: 'Pacific/Auckland', permissions: ['clipboard-read', 'clipboard-write'] });
    await signIn(page, server);
    await page.getByRole('button', { name: 'Copy the address' }).click();
    await page.getByText('Copied.').waitFor();
    assert.equal(await page.evaluate('navigator.clipboard.readText()'), server.url);
    await page.goto(`${server.url}account/devices`);
    const time = page.locator('td time').first();
    const [shown, written] = [await time.innerText(), await time.getAttribute('datetime')];
    const there = new Date(written!).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: 'Pacific/Auckland' });
    assert.equal(/\d\d:\d\d/.exec(shown!)?.[0], there);
    assert.deepEqual(said, []);
  });

  test('a page of another site can neither send our forms, nor show our pages in a frame', async (t) => {
    const server = await accountServer(t, { users: USERS });
    const { page } = await open(t);
    await signIn(page, server);
    // the same machine by another name is another site
    const home = `${server.url}account`;
    const evil = `<form method="post" action="${home}/app-passwords"><input name="name" value="planted"><button>Win a prize</button></form><iframe src="${home}"></iframe>`;
    await page.route('http://evil.example/', (route) => route.fulfill({ contentType: 'text/html', body: evil }));
    await page.goto('http://evil.example/');
    assert.doesNotMatch(await page.frames()[1]!.content(), /Anki sync server/);
    await page.getByRole('button', { name: 'Win a prize' }).click();
    await page.getByText('This form was sent by another page, so nothing was done.').waitFor();
    await page.goto(`${home}/app-passwords`);
    await page.getByText('There are none yet.').waitFor();
  });

  test('an app password made here signs a real Anki in; once that device is signed out here, it alone has to sign in again', async (t) => {
    const server = await accountServer(t, { users: USERS });
    const folder = await dataFolder(t);
    const devices = await AnkiDevices.start();
    t.after(() => devices.end());
    const [phone, desktop] = [await devices.device('phone', join(folder, 'phone')), await devices.device('desktop', join(folder, 'desktop'))];
    const { page, said } = await open(t);
    await signIn(page, server);

    await page.getByRole('link', { name: 'App passwords' }).first().click();
    await page.getByLabel('Name').fill('my phone');
    await page.getByRole('button', { name: 'Create app password' }).click();
    const password = await page.locator('code.secret').innerText();
    const address = server.url;
    await phone.login('ada', password, address);
    await phone.do('add_notes', { count: 3, prefix: 'from the phone' });
    assert.equal((await phone.sync()).required, 'FULL_UPLOAD');
    await phone.upload();
    await desktop.login('ada', USERS.Ada, address);
    assert.equal((await desktop.sync()).required, 'FULL_DOWNLOAD');
    await desktop.download();

    await page.getByRole('link', { name: 'Devices' }).click();
    const rows = page.getByRole('row').filter({ hasText: 'Linux' });
    assert.equal(await rows.count(), 2);
    await rows.filter({ hasText: 'my phone' }).getByRole('button', { name: /^Sign out/ }).click();
    await page.getByText('The device is signed out.').waitFor();
    assert.equal(await rows.count(), 1);
    await assert.rejects(phone.sync(), (error) => error instanceof ClientError && error.kind === 'AUTH');
    assert.ok(server.log.some(({ status, code }) => status === 403 && code === 'HOST_KEY_UNKNOWN'));
    assert.equal((await desktop.sync()).required, 'NO_CHANGES');

    // revoking its app password keeps it out for good
    await phone.login('ada', password, address);
    assert.equal((await phone.sync()).required, 'NO_CHANGES');
    await page.getByRole('link', { name: 'App passwords' }).first().click();
    await page.getByRole('button', { name: 'Revoke my phone' }).click();
    await page.getByText('The app password is revoked').waitFor();
    await assert.rejects(phone.sync(), (error) => error instanceof ClientError && error.kind === 'AUTH');
    await assert.rejects(phone.login('ada', password, address), (error) => error instanceof ClientError && error.kind === 'AUTH');
    assert.equal((await desktop.sync()).required, 'NO_CHANGES');
    assert.deepEqual(said, []);
    for (const device of [phone, desktop]) await device.close();
  });

  test('a backup is saved as a file that is called so', async (t) => {
    const server = await fullServer(t);
    const { page } = await open(t, { acceptDownloads: true });
    await signIn(page, server);
    await page.getByRole('link', { name: 'Collection' }).click();
    const downloading = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download' }).click();
    const download = await downloading;
    assert.match(download.suggestedFilename(), /^collection-\d{4}-\d\d-\d\d\.colpkg$/);
    assert.equal(await download.failure(), null);
  });
});
