/** Every bridge with the real core behind it: the protocol, the pages, what is refused, and what the log says. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { createSyncServer, type LogEntry } from '../../lib/index.ts';
import { Visitor, words } from '../account/visitor.ts';
import { RawClient } from '../client/raw.ts';
import { asFetchHandler, inExpress, inFastify, inHono, inKoa, type Application, type ApplicationOptions } from './applications.ts';

interface Mounted {
  url: string;
  client: RawClient;
  log: LogEntry[];
}

async function mounted(t: TestContext, application: Application, options: ApplicationOptions = {}): Promise<Mounted> {
  const base = await mkdtemp(join(tmpdir(), 'anki-sync-mounted-'));
  const log: LogEntry[] = [];
  const sync = createSyncServer({
    base, account: true, threads: 1, authenticator: async ({ password }) => password === 'right', maxPackedBytes: 1024 ** 2, log: (entry) => log.push(entry),
  });
  await sync.ready;
  const url = `http://127.0.0.1:${await application.start(t, sync, options)}/anki/`;
  t.after(async () => {
    await sync.close();
    await rm(base, { recursive: true, force: true });
  });
  return { url, client: new RawClient(url), log };
}

for (const application of [inExpress, inFastify, inKoa, inHono, asFetchHandler]) {
  const { name } = application;

  test(`${name}: login and meta work, mistyped slashes too, and the page shows the address to enter`, async (t) => {
    const { url, client, log } = await mounted(t, application);
    await client.hostKey('kim', 'right');
    for (const path of ['sync/meta', '/anki//sync/meta', 'sync/meta/']) assert.equal((await client.send('POST', path, { v: 11, cv: 'test' })).status, 200, path);
    assert.equal((await client.get('health')).status, 200);
    for (const typed of [url, url.slice(0, -1)]) assert.ok((await (await fetch(typed)).text()).includes(`<code class="url">${url}</code>`));
    assert.deepEqual([(await client.get('sync/meta')).status, (await client.post('noSuchMethod')).status], [405, 400]);
    assert.match(log.find(({ event }) => event === 'login.ok')?.address ?? '', /127\.0\.0\.1$/);
  });

  test(`${name}: an upload past the limit is told so in words, with and without its length, and an unknown key is refused`, async (t) => {
    const { client } = await mounted(t, application);
    const body = randomBytes(3 * 1024 ** 2);
    assert.equal((await client.post('upload', body, { key: 'nobody' })).status, 403);
    await client.hostKey('kim', 'right');
    for (const chunked of [true, false]) {
      const response = await client.post('upload', body, { chunked });
      assert.deepEqual([response.status, response.text()], [200, 'collection exceeds size limit']);
    }
  });

  test(`${name}: a body that was read before fails at once, and the log says what to do`, async (t) => {
    const { client, log } = await mounted(t, application, { readsBodies: true });
    const response = await client.post('hostKey', { u: 'kim', p: 'right' });
    assert.deepEqual([response.status, response.text()], [500, 'BODY_ALREADY_READ']);
    assert.equal(log.at(-1)?.code, 'BODY_ALREADY_READ');
    assert.match(log.at(-1)?.detail ?? '', /mount the sync server first/);
  });

  test(`${name}: people sign in on the account page, or are who the application says`, async (t) => {
    const { url } = await mounted(t, application);
    const visitor = new Visitor(url);
    assert.equal((await visitor.get('')).to, '/sign-in');
    const signedIn = await visitor.signIn('kim', 'right');
    assert.deepEqual([signedIn.status, signedIn.headers.get('location')], [303, '/anki/account']);
    assert.equal((await visitor.get('/devices')).status, 200);

    const portal = await mounted(t, application, { signedInUser: () => 'kim' });
    const page = await new Visitor(portal.url).get('');
    assert.equal(page.status, 200);
    assert.match(words(page), /kim/);
  });
}
