/** `npm run screenshots`: the pictures of docs/account.md, of a server with made-up people and cards, in a real browser. Needs chromium. */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import type { Page } from 'playwright-core';
import { expressSync } from '../adapters/express/index.ts';
import { createSyncServer, openBuiltInAuth } from '../lib/index.ts';
import { createCollectionFile } from '../lib/storage/sqlite/collection-file.ts';
import { chromiumMissing, startChromium } from '../test/account/chromium.ts';
import { RawClient } from '../test/client/raw.ts';

const FOLDER = fileURLToPath(new URL('../docs/screenshots', import.meta.url));
/** All pictures together: they are a part of the package. */
const MAX_BYTES = 300_000;
const WIDTH = 860;
const DAY = 86_400_000;
const PASSWORD = 'shown in no picture';

const missing = await chromiumMissing();
if (missing !== false) throw new Error(missing);

const base = mkdtempSync(join(tmpdir(), 'anki-sync-screenshots-'));
try {
  await fill(base);
  await take(base);
} finally {
  rmSync(base, { recursive: true, force: true });
}

/** People, and a collection with six weeks of reviews. The same each time, but for the clock. */
async function fill(folder: string): Promise<void> {
  const auth = await openBuiltInAuth(folder);
  try {
    for (const name of ['ada@example.org', 'bob@example.org', 'carol@example.org']) await auth.users.add(name, PASSWORD);
    await auth.users.setAdmin('ada@example.org', true);
    await auth.users.disable('carol@example.org');
    const { id } = await auth.directory.userFor('ada@example.org');
    await auth.appPasswords.create(id, { name: 'tablet', expiresSecs: Math.floor(Date.now() / 1000) + 90 * 86_400 });
  } finally {
    await auth.close();
  }
  for (const [name, notes] of [['ada@example.org', 1840], ['bob@example.org', 320]] as const) {
    mkdirSync(join(folder, name));
    const path = join(folder, name, 'collection.anki2');
    createCollectionFile(path);
    const db = new Database(path);
    const note = db.prepare("INSERT INTO notes VALUES (?, ?, 1, 1, 0, '', ?, ?, 0, 0, '')");
    const card = db.prepare("INSERT INTO cards VALUES (?, ?, 1, ?, 1, 0, 2, 2, 1, 10, 2500, 3, 0, 0, 0, 0, 0, '')");
    const review = db.prepare('INSERT INTO revlog VALUES (?, ?, 0, 3, 10, 5, 2500, 6400, 1)');
    db.transaction(() => {
      for (let id = 1; id <= notes; id += 1) {
        note.run(id, `n${id}`, `front ${id}\u001fback`, `front ${id}`);
        for (const ord of [0, 1]) card.run(2 * id + ord, id, ord);
      }
      for (let day = 0; day < 42; day += 1) {
        const reviews = day % 11 === 4 ? 0 : 40 + ((day * 37) % 50) + ((day * day * 7) % 31);
        for (let number = 0; number < reviews; number += 1) review.run(Date.now() - day * DAY - 600_000 - number * 9_000, 2 * (number + 1));
      }
      db.prepare('UPDATE col SET mod = ?, ls = ?, usn = 4').run(Date.now() - 700_000, Date.now() - 700_000);
    })();
    db.close();
  }
}

async function take(folder: string): Promise<void> {
  const sync = createSyncServer({ base: folder, account: true, publicUrl: 'https://anki.example.org/' });
  await sync.ready;
  const server = createServer(expressSync(sync, { trustedProxies: ['loopback'] })).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const browser = await startChromium();
  try {
    const clients = [['192.0.2.14', 'anki,26.9.3 (dev),lin:ubuntu:24.04'], ['198.51.100.7', 'anki,26.9.3 (dev),android:2.23.3:14:Pixel 7'], ['192.0.2.14', 'anki,26.9.3 (dev),mac:15.1']];
    for (const [address, cv] of clients) {
      const client = new RawClient(url);
      const headers = { 'x-forwarded-for': address! };
      const { key } = (await client.post('hostKey', { u: 'ada@example.org', p: PASSWORD }, { headers })).json() as { key: string };
      await client.post('meta', { v: 11, cv }, { key, headers });
    }
    mkdirSync(FOLDER, { recursive: true });
    let total = 0;
    for (const colorScheme of ['light', 'dark'] as const) {
      const context = await browser.newContext({ viewport: { width: WIDTH, height: 400 }, colorScheme, locale: 'en-GB', timezoneId: 'UTC', extraHTTPHeaders: { 'x-forwarded-proto': 'https' } });
      const page = await context.newPage();
      /** The upper part says it all. */
      const shoot = async (name: string, height: number): Promise<void> => {
        const path = join(FOLDER, `${name}.png`);
        await page.setViewportSize({ width: WIDTH, height });
        await page.screenshot({ path });
        total += statSync(path).size;
        console.log(`${name}.png: ${Math.round(statSync(path).size / 1000)} kB`);
      };
      await page.goto(`${url}account`);
      if (colorScheme === 'light') await shoot('sign-in', 320);
      await signIn(page);
      const at = (path: string): Promise<unknown> => page.goto(`${url}account/${path}`);
      if (colorScheme === 'light') {
        await at('app-passwords');
        await page.getByLabel('Name').fill('my phone');
        await page.getByRole('button', { name: 'Create app password' }).click();
        await page.getByRole('heading', { name: 'Your new app password' }).waitFor();
        await shoot('app-passwords', 780);
        await at('collection');
        await shoot('collection', 680);
      } else {
        await at('devices');
        await shoot('devices-dark', 600);
        await at('users');
        await shoot('users-dark', 620);
      }
      await context.close();
    }
    if (total > MAX_BYTES) throw new Error(`${total} bytes of pictures are more than ${MAX_BYTES}`);
  } finally {
    await browser.close();
    server.close();
    server.closeAllConnections();
    await sync.close();
  }
}

async function signIn(page: Page): Promise<void> {
  await page.getByLabel('User name').fill('ada@example.org');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Set up Anki' }).waitFor();
}
