/** One's own collection on the page: numbers, a backup that real Anki opens, and its end. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { AnkiDevices, ClientError, type Device } from '../client/devices.ts';
import { RawClient } from '../client/raw.ts';
import { until } from '../engine/until.ts';
import { ankiEnvironment, ankiPython, run } from '../oracle/anki-python.ts';
import { accountServer, dataFolder, notice, words, type Visitor } from './visitor.ts';

const ADA = { Ada: 'canary-ada-1' };
const IMPORT = fileURLToPath(new URL('import_colpkg.py', import.meta.url));
const ROWS = ['SELECT id, nid, ord, type, queue, due, ivl, factor, reps, lapses FROM cards ORDER BY id', 'SELECT id, guid, mid, tags, flds FROM notes ORDER BY id',
  'SELECT id, cid, ease, ivl, time FROM revlog ORDER BY id'];

let devices: AnkiDevices;
before(async () => {
  devices = await AnkiDevices.start();
});
after(() => devices.end());

async function rowsOf(device: Device): Promise<unknown[]> {
  return Promise.all(ROWS.map((query) => device.do('sql', { query })));
}

let opened = 0;

/** A server with Ada's collection, as her desktop uploaded it. */
async function setUp(t: TestContext) {
  const server = await accountServer(t, { users: ADA });
  const folder = await dataFolder(t);
  const device = await devices.device(`desktop-${(opened += 1)}`, join(folder, 'desktop'));
  t.after(() => device.close());
  await device.login('ada', ADA.Ada, server.url);
  await device.do('add_notes', { count: 12, prefix: 'page' });
  await device.do('answer', { count: 9 });
  await device.do('media_write', { files: [{ name: 'ä sound.mp3', bytes: 70_000 }, { name: 'picture.png', text: 'a picture' }] });
  const { mediaUsn } = await device.sync();
  await device.upload(mediaUsn);
  const ada = server.visitor();
  await ada.signIn('ada', ADA.Ada);
  return { server, folder, device, ada };
}

async function download(ada: Visitor, fields: Record<string, string>): ReturnType<Visitor['post']> {
  await ada.get('/collection');
  return ada.post('/collection/download', fields);
}

test('the page shows what was synced: cards, notes, media, reviews of today, and the device', async (t) => {
  const { ada, device } = await setUp(t);
  const cards = (await device.do<unknown[]>('sql', { query: 'SELECT id FROM cards' })).length;
  const reviews = (await device.do<unknown[]>('sql', { query: 'SELECT id FROM revlog' })).length;
  assert.ok(cards === 12 && reviews === 9);
  const page = await ada.get('/collection');
  assert.match(words(page), /Cards 12 Notes 12 Size of the cards [\d.]+ KiB Media 2 files, 68\.4 KiB Last change \d+ \w+ \d{4}/);
  assert.match(words(page), /9 reviews in the last 6 weeks/);
  assert.match(words(page), /Last syncs \d+ \w+ \d{4}, \d\d:\d\d UTC : Anki 2/);
  assert.equal(page.text.match(/<rect /g)?.length, 1);
});

test('the backup is what File › Import of a real Anki takes: all cards, schedules, reviews and media, or all but media', async (t) => {
  const { ada, device, folder, server } = await setUp(t);
  const before = await device.sync();
  for (const withMedia of [true, false]) {
    const answer = await download(ada, withMedia ? { media: 'yes' } : {});
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-disposition')!, /^attachment; filename="collection-\d{4}-\d\d-\d\d\.colpkg"$/);
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
    const [file, home] = [join(folder, `${withMedia}.colpkg`), join(folder, `imported-${withMedia}`)];
    writeFileSync(file, answer.bytes);
    await run(await ankiPython(), [IMPORT, file, home], { env: ankiEnvironment() });
    const imported = await devices.device(`imported-${(opened += 1)}`, home);
    assert.deepEqual(await rowsOf(imported), await rowsOf(device));
    assert.deepEqual(await imported.mediaFiles(), withMedia ? await device.mediaFiles() : {});
    assert.deepEqual(await imported.do('integrity').then((each) => (each as { ok: boolean }).ok), true);
    await imported.close();
  }
  // it changes nothing for devices, and leaves nothing behind
  assert.equal((await device.sync()).required, before.required);
  await until(() => readdirSync(join(server.base, '.anki-sync', 'staging')).length === 0);
  assert.equal(server.log.filter(({ event, user }) => event === 'data.downloaded' && user === 'Ada').length, 2);
});

test('while a sync runs, the page says so, and neither waits for it nor disturbs it', async (t) => {
  const { ada, device, server } = await setUp(t);
  const raw = new RawClient(server.url, { key: device.key, sessionKey: 'a-long-sync' });
  const { usn } = await device.stamps();
  assert.equal((await raw.post('start', { minUsn: usn, lnewer: false })).status, 200);
  assert.match(words(await ada.get('/collection')), /Your collection is syncing now/);
  const refused = await download(ada, {});
  assert.deepEqual([refused.status, notice(refused)], [503, 'Your collection is syncing now. Please try again in a moment.']);
  assert.equal((await raw.post('applyGraves', { chunk: { cards: [], notes: [], decks: [] } })).status, 200);
  assert.equal((await raw.post('abort')).status, 200);
  assert.match(words(await ada.get('/collection')), /Cards 12/);
});

test('a download that nobody reads to its end leaves nothing behind, and another one can be made', async (t) => {
  const { ada, server } = await setUp(t);
  await ada.get('/collection');
  const gone = new AbortController();
  const response = await fetch(`${ada.home}/collection/download`, {
    method: 'POST', signal: gone.signal, body: new URLSearchParams({ csrf: ada.csrf, media: 'yes' }), headers: { cookie: ada.cookie },
  });
  assert.equal(response.status, 200);
  gone.abort();
  await until(() => readdirSync(join(server.base, '.anki-sync', 'staging')).length === 0);
  let again = await download(ada, {});
  // the server hears of the end of the first one by its connection
  for (let attempt = 0; again.status === 409 && attempt < 1000; attempt += 1) again = await download(ada, {});
  assert.equal(again.status, 200);
});

test('who has no collection yet reads that, and has nothing to download', async (t) => {
  const { visitor, base } = await accountServer(t, { users: ADA });
  const ada = visitor();
  await ada.signIn('ada', ADA.Ada);
  const page = await ada.get('/collection');
  assert.match(words(page), /There are no cards here yet: sync an Anki first/);
  assert.doesNotMatch(page.text, /collection\/download/);
  assert.ok(!existsSync(join(base, 'Ada')));
});

test('a deletion that the server is too busy for changes nothing: devices stay signed in, and app passwords hold', async (t) => {
  const server = await accountServer(t, { users: { ...ADA, bob: 'canary-bob-1' }, options: { maxOpenCollections: 1 } });
  const ada = server.visitor();
  await ada.signIn('ada', ADA.Ada);
  await ada.get('/app-passwords');
  await ada.post('/app-passwords', { name: 'phone', expires: '' });
  const [hers, his] = [new RawClient(server.url), new RawClient(server.url, { sessionKey: 'a-long-sync' })];
  await hers.hostKey('ada', ADA.Ada);
  await his.hostKey('bob', 'canary-bob-1');
  // the one place there is, for as long as his sync goes on
  assert.equal((await his.post('meta', { v: 11, cv: 'test' })).status, 200);
  assert.equal((await his.post('start', { minUsn: 0, lnewer: false })).status, 200);
  const page = await ada.get('/delete');
  assert.match(page.text, /name="confirm"/);
  const refused = await ada.post('/delete', { confirm: 'Ada', password: ADA.Ada });
  assert.deepEqual([refused.status, notice(refused)], [503, 'The server is busy. Please try again in a moment.']);
  assert.match(words(await ada.get('/app-passwords')), /phone/);
  assert.equal((await his.post('abort')).status, 200);
  assert.equal((await hers.post('meta', { v: 11, cv: 'test' })).status, 200);
  await ada.get('/delete');
  assert.match(notice(await ada.change('/delete', { confirm: 'Ada', password: ADA.Ada })), /Your data are deleted/);
  assert.equal((await hers.post('meta', { v: 11, cv: 'test' })).status, 403);
});

test('deleting takes cards and media away, signs all devices out, and keeps a snapshot, as the page says', async (t) => {
  const { ada, device, server } = await setUp(t);
  await ada.get('/app-passwords');
  await ada.post('/app-passwords', { name: 'phone', expires: '' });
  const page = await ada.get('/delete');
  assert.match(words(page), /kept once more as a snapshot , beside those of earlier uploads: cards without media.*At most 5 snapshots and 2 GiB/);
  for (const [fields, status, told] of [
    [{ confirm: 'ada', password: ADA.Ada }, 400, /type your user name exactly as it is shown/],
    [{ confirm: 'Ada', password: 'wrong' }, 403, /This is not your password/],
    [{ confirm: 'Ada', password: '' }, 403, /This is not your password/],
  ] as const) {
    const answer = await ada.post('/delete', fields);
    assert.deepEqual([answer.status, told.test(notice(answer))], [status, true]);
  }
  assert.equal((await device.sync()).required, 'NO_CHANGES');
  const collection = join(server.base, 'Ada', 'collection.anki2');
  const bytes = statSync(collection).size;

  assert.match(notice(await ada.change('/delete', { confirm: 'Ada', password: ADA.Ada })), /Your data are deleted, and your devices are signed out/);
  assert.match(words(await ada.get('/collection')), /Cards 0 Notes 0 Size of the cards [\d.]+ KiB Media 0 files, 0 bytes/);
  assert.match(words(await ada.get('/devices')), /No device is signed in/);
  assert.match(words(await ada.get('/app-passwords')), /There are none yet/);
  assert.deepEqual(readdirSync(join(server.base, 'Ada', 'media')), []);
  // the first upload replaced an empty one
  const newest = readdirSync(join(server.base, 'Ada', '.snapshots')).sort().at(-1);
  assert.equal(statSync(join(server.base, 'Ada', '.snapshots', newest!)).size, bytes);
  assert.ok(server.log.some(({ event, user }) => event === 'data.deleted' && user === 'Ada'));

  // the device keeps all it has, and brings it back if its owner wants that
  await assert.rejects(device.sync(), (error) => error instanceof ClientError && error.kind === 'AUTH');
  assert.equal(Object.keys(await device.mediaFiles()).length, 2);
  await device.login('ada', ADA.Ada, server.url);
  const { required, mediaUsn } = await device.sync();
  assert.ok(required === 'FULL_SYNC' || required === 'FULL_UPLOAD', required);
  // it finds out by itself that the server lacks its media, says so once, then compares all of them, and sends them
  await assert.rejects(device.upload(mediaUsn), /Please sync again/);
  await device.syncMedia();
  assert.match(words(await ada.get('/collection')), /Cards 12 Notes 12 .* Media 2 files/);
  assert.equal(Object.keys(await device.mediaFiles()).length, 2);
});
