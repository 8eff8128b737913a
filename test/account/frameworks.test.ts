/** The account page in every framework: cookies, forms, and a download that is a stream. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { createSyncServer } from '../../lib/index.ts';
import { asFetchHandler, inFastify, inHono, inKoa } from '../adapters/applications.ts';
import { RawClient } from '../client/raw.ts';
import { dataFolder, notice, shownSecret, Visitor, words } from './visitor.ts';

for (const application of [inFastify, inKoa, inHono, asFetchHandler]) {
  test(`${application.name}: signing in, an app password, and a backup`, async (t) => {
    const sync = createSyncServer({ base: await dataFolder(t), account: true, threads: 1, authenticator: ({ password }) => password === 'right' });
    t.after(() => sync.close());
    const port = await application.start(t, sync);
    const url = `http://127.0.0.1:${port}/anki/`;
    const ada = new Visitor(url);
    assert.equal((await ada.get('')).to, '/sign-in');
    assert.match(notice(await ada.signIn('ada', 'wrong')), /do not belong together/);
    assert.equal((await ada.signIn('ada', 'right')).to, '');
    assert.ok(words(await ada.get('')).includes(url));
    await ada.get('/app-passwords');
    const password = shownSecret(await ada.change('/app-passwords', { name: application.name, expires: '' }));
    const client = new RawClient(url);
    await client.hostKey('ada', password);
    assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 200);
    await ada.get('/collection');
    const { status, bytes } = await ada.post('/collection/download', { media: 'yes' });
    assert.deepEqual([status, bytes.subarray(0, 4).toString('latin1'), bytes.includes('collection.anki21')], [200, 'PK\u0003\u0004', true]);
    const refused = await ada.send('POST', '/sign-out', 'x'.repeat(100_000), { 'content-type': 'application/x-www-form-urlencoded' });
    assert.equal(refused.status, 413);
  });

  test(`${application.name}: who is signed in to the application is signed in there`, async (t) => {
    const sync = createSyncServer({ base: await dataFolder(t), account: true, threads: 1 });
    t.after(() => sync.close());
    const url = `http://127.0.0.1:${await application.start(t, sync, { signedInUser: async () => 'Kim@Example.org' })}/anki/`;
    assert.match(words(await new Visitor(url).get('')), /Kim@Example\.org/);
  });
}
