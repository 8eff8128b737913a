/** A data folder goes from the official server to ours and back, with real clients that notice nothing. */
import assert from 'node:assert/strict';
import { cpSync, existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AnkiDevices, type Device } from '../client/devices.ts';
import { ankiSync, startServer } from '../cli/command.ts';
import { startOfficialServer } from '../oracle/official-server.ts';
import { oldHash, writeAuthDb, writeOldUser } from './old-data.ts';

let all: AnkiDevices;
let folder: string;
before(async () => {
  all = await AnkiDevices.start();
  folder = await mkdtemp(join(tmpdir(), 'anki-sync-move-'));
});
after(async () => {
  await all.end();
  await rm(folder, { recursive: true, force: true });
});

const USERS = { ada: 'secret' };

/** Which server a device talks to; the key stays. */
async function pointTo(url: string, ...devices: Device[]): Promise<void> {
  for (const device of devices) await device.do('set_key', { key: device.key, endpoint: url });
}

/** A normal sync with media; a device that is asked for a one-way sync has lost something. */
async function settle(...devices: Device[]): Promise<void> {
  for (const device of [...devices, ...devices]) {
    assert.equal((await device.sync({ media: true })).required, 'NO_CHANGES', device.name);
    await device.syncMedia();
  }
}

async function sameEverywhere(one: Device, ...others: Device[]): Promise<void> {
  const media = await one.mediaFiles();
  for (const other of others) {
    const lines = await all.do('', 'compare', { left: other.name, right: one.name, kind: 'devices' });
    assert.deepEqual(lines, [], `${other.name} differs from ${one.name}`);
    assert.deepEqual(await other.mediaFiles(), media);
  }
}

async function edit(device: Device, word: string): Promise<void> {
  await device.do('add_notes', { count: 3, prefix: word, tags: [word] });
  await device.do('media_write', { files: [{ name: `${word}.png`, text: word }, { name: `${word}-2.png`, bytes: 5000 }] });
}

test('a folder of the official server is served as it is, and taken back, with nothing lost and no one-way sync', async (t) => {
  const base = join(folder, 'official');
  const [a, b] = [await all.device('a', join(folder, 'a')), await all.device('b', join(folder, 'b'))];

  let official = await startOfficialServer({ users: USERS, base });
  t.after(() => official.stop());
  await a.login('ada', 'secret', official.url);
  await b.login('ada', 'secret', official.url);
  await edit(a, 'first');
  await a.sync();
  await a.upload();
  await a.syncMedia();
  assert.equal((await b.sync()).required, 'FULL_DOWNLOAD');
  await b.download();
  await settle(a, b);
  await edit(b, 'second');
  await b.do('media_trash', { names: ['first-2.png'] });
  await settle(b, a);
  const scm = (await a.stamps()).scm;
  // killed, not stopped
  await official.stop();
  assert.ok(existsSync(join(base, 'ada', 'collection.anki2-wal')), 'the log is beside the collection');

  const env = { SYNC_BASE: base, SYNC_HOST: '127.0.0.1', SYNC_PORT: '0', SYNC_USER1: 'ada:secret' };
  let ours = await startServer(t, [], { env });
  await pointTo(ours.url, a, b);
  // the keys of the official server hold, and nobody has anything to send
  await settle(a, b);
  assert.deepEqual(ours.lines.filter((line) => /uploadChanges|downloadFiles| upload | download /.test(line)), []);
  await edit(a, 'third');
  await a.do('media_trash', { names: ['second-2.png'] });
  await settle(a, b);
  await sameEverywhere(a, b);
  assert.equal(await ours.stop(), 0);

  official = await startOfficialServer({ users: USERS, base });
  await pointTo(official.url, a, b);
  await settle(a, b);
  await edit(b, 'fourth');
  await settle(b, a);
  await sameEverywhere(a, b);
  const c = await all.device('c', join(folder, 'c'));
  await c.login('ada', 'secret', official.url);
  assert.equal((await c.sync()).required, 'FULL_DOWNLOAD');
  await c.download();
  await settle(c, a, b);
  await sameEverywhere(c, a, b);
  await official.stop();

  // and once more to ours, which now finds a folder that it has known
  ours = await startServer(t, [], { env });
  await pointTo(ours.url, a, b, c);
  await settle(a, b, c);
  await edit(c, 'fifth');
  await settle(c, a, b);
  await sameEverywhere(a, b, c);
  assert.equal((await a.stamps()).scm, scm, 'nobody was asked for a one-way sync');
  assert.equal(Object.keys(await a.mediaFiles()).length, 8);
  assert.equal(await ours.stop(), 0);
  assert.match((await ankiSync(['user', 'list', '--base', base])).stdout, /^ada\t/);
});

for (const form of ['schema 11, as servers before 2022 left it', 'schema 18, with its log'] as const) {
  test(`an old community server's users sync on with their passwords: ${form}`, async (t) => {
    const id = form.slice(0, 9).replace(' ', '');
    const device = await all.device(`${id}-a`, join(folder, `${id}-a`));
    // the official server stands in for the old one, which left the same collection; its media lie elsewhere
    const official = await startOfficialServer({ users: USERS, base: join(folder, `${id}-there`) });
    t.after(() => official.stop());
    await device.login('ada', 'secret', official.url);
    await edit(device, 'old');
    await device.do('add_notes', { count: 1, notetype: 'Cloze', fields: ['{{c1::漢字}}', ''], tags: ['a::b'] });
    await device.sync();
    await device.upload();
    await device.sync({ media: true });
    await device.syncMedia();
    await settle(device);
    await official.stop();
    let collection = join(folder, `${id}-there`, 'ada', 'collection.anki2');
    if (form.startsWith('schema 11')) {
      await all.copyOf(collection, `${id}-copy`, join(folder, `${id}-copy`));
      await all.do(`${id}-copy`, 'close_schema_11');
      collection = join(folder, `${id}-copy`, 'collection.anki2');
    }
    const source = join(folder, `${id}-old`);
    const user = join(source, form.startsWith('schema 11') ? 'collections' : 'users', 'ada');
    writeOldUser(user, { collection, firstUsn: null });
    cpSync(join(folder, `${id}-there`, 'ada', 'media'), join(user, 'collection.media'), { recursive: true });
    writeAuthDb(join(source, 'auth.db'), { ada: oldHash('ada', 'secret') });

    const base = join(folder, `${id}-ours`);
    const imported = await ankiSync(['import', source, '--base', base]);
    assert.equal(imported.code, 0, imported.stdout + imported.stderr);
    assert.match(imported.stdout, /^"ada": 4 notes, 4 cards, 2 media files \(4\.9 KiB\), keeps the password$/m);
    const ours = await startServer(t, ['--base', base, '--port', '0']);
    await device.login('ada', 'secret', ours.url);
    await settle(device);
    assert.deepEqual(ours.lines.filter((line) => /uploadChanges|downloadFiles| upload | download /.test(line)), [], 'nothing is sent again');
    await edit(device, 'new');
    const fresh = await all.device(`${id}-b`, join(folder, `${id}-b`));
    await fresh.login('ada', 'secret', ours.url);
    await settle(device);
    assert.equal((await fresh.sync()).required, 'FULL_DOWNLOAD');
    await fresh.download();
    await settle(fresh, device);
    await sameEverywhere(device, fresh);
    assert.equal(Object.keys(await fresh.mediaFiles()).length, 4);
    assert.equal(await ours.stop(), 0);
  });
}
