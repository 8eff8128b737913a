/** What real Anki says and does when the server's files are damaged, and how it goes on once they are brought back. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ankiSync, startServer, type RunningServer } from '../cli/command.ts';
import { AnkiDevices, type Device } from './devices.ts';

let all: AnkiDevices;
let folder: string;
before(async () => {
  all = await AnkiDevices.start();
  folder = await mkdtemp(join(tmpdir(), 'anki-sync-damaged-'));
});
after(async () => {
  await all.end();
  await rm(folder, { recursive: true, force: true });
});

let places = 0;

/** One user with two devices that agree, a snapshot, and media; and a second user. */
class Place {
  readonly base = join(folder, `data-${++places}`);
  readonly home = join(this.base, 'ada');
  readonly #t: TestContext;
  readonly #devices: Device[] = [];
  server!: RunningServer;
  a!: Device;
  b!: Device;
  bob!: Device;

  constructor(t: TestContext) {
    this.#t = t;
  }

  static async of(t: TestContext, notes = 5): Promise<Place> {
    const place = new Place(t);
    for (const name of ['ada', 'bob']) await ankiSync(['user', 'add', name, '--base', place.base], { input: 'secret' });
    await place.start();
    [place.a, place.b, place.bob] = [await place.device('ada'), await place.device('ada'), await place.device('bob')];
    await place.a.do('add_notes', { count: notes, prefix: 'first' });
    await place.a.do('media_write', { files: ['one', 'two', 'three'].map((name) => ({ name: `${name}.txt`, text: name })) });
    await place.a.sync();
    await place.a.upload();
    await place.a.syncMedia();
    await place.b.sync();
    await place.b.download();
    await place.b.syncMedia();
    await place.bob.do('add_notes', { count: 1, prefix: 'bob' });
    await place.bob.sync();
    await place.bob.upload();
    return place;
  }

  async start(): Promise<void> {
    this.server = await startServer(this.#t, ['--base', this.base, '--port', '0']);
    for (const device of this.#devices) await device.do('set_key', { key: device.key, endpoint: this.server.url });
  }

  async stop(): Promise<void> {
    assert.equal(await this.server.stop(), 0);
  }

  /** What happens to files while no server runs. */
  async whileStopped(change: () => unknown): Promise<void> {
    await this.stop();
    await change();
    await this.start();
  }

  async device(user: string): Promise<Device> {
    const name = `${user}-${++places}`;
    const device = await all.device(name, join(folder, name));
    await device.login(user, 'secret', this.server.url);
    this.#devices.push(device);
    return device;
  }

  /** A line may come behind the answer. */
  async logged(pattern: RegExp): Promise<void> {
    for (let look = 0; look < 200 && !pattern.test(this.server.lines.join('\n')); look++) await sleep(25);
    assert.match(this.server.lines.join('\n'), pattern);
  }
}

function overwrite(path: string, from: number, bytes: number): void {
  const content = readFileSync(path);
  content.fill(0xa5, from, from + bytes);
  writeFileSync(path, content);
}

const notes = (device: Device): Promise<unknown> => device.do('sql', { query: 'select flds from notes order by id' });
const synced = async (device: Device): Promise<void> => void assert.equal((await device.sync({ media: true })).required, 'NO_CHANGES');

describe('real Anki', () => {
  test('reads that the collection on the server is damaged; after a restore of the snapshot it goes on', async (t) => {
    const place = await Place.of(t);
    const { a, b, bob } = place;
    await place.whileStopped(() => overwrite(join(place.home, 'collection.anki2'), 0, 100));
    await a.do('add_notes', { count: 1, prefix: 'made meanwhile' });
    for (const device of [a, b]) await assert.rejects(device.sync(), /^ClientError.*: Your collection on the sync server is damaged\. Your cards on this device are fine\. Please tell whoever runs the server/);
    // media and other users are not concerned
    await a.do('media_write', { files: [{ name: 'four.txt', text: 'four' }] });
    await a.syncMedia();
    await bob.do('add_notes', { count: 1, prefix: 'more' });
    await synced(bob);
    // the command of the log, word by word
    const command = /anki-sync (restore ada --snapshot \d{8}T\d{9}Z --base [^\s"]+)/.exec(place.server.lines.join('\n'))![1]!.split(' ');
    await place.whileStopped(async () => {
      const { code, stderr } = await ankiSync(command);
      assert.equal(code, 0, stderr);
    });
    assert.equal((await a.sync()).required, 'FULL_UPLOAD', 'what the first upload replaced was empty');
    await a.upload();
    assert.equal((await b.sync()).required, 'FULL_SYNC');
    await b.download();
    assert.deepEqual(await notes(b), await notes(a));
    for (const device of [a, b]) {
      await device.do('add_notes', { count: 1, prefix: device.name });
      await synced(device);
    }
    await synced(a);
    assert.deepEqual(await notes(a), await notes(b));
    await place.stop();
  });

  test('takes no download of a collection with damaged pages; moved away, the file is replaced by that of a device', async (t) => {
    const place = await Place.of(t, 400);
    const { a, b } = place;
    const path = join(place.home, 'collection.anki2');
    await place.whileStopped(() => overwrite(path, statSync(path).size >> 1, 30_000));
    const fresh = await place.device('ada');
    assert.equal((await fresh.sync()).required, 'FULL_DOWNLOAD');
    await assert.rejects(fresh.download());
    assert.equal(((await notes(fresh)) as unknown[]).length, 0);
    await place.whileStopped(() => renameSync(path, join(folder, `damaged-${places}`)));
    assert.equal((await a.sync()).required, 'FULL_UPLOAD');
    await a.upload();
    assert.equal((await fresh.sync()).required, 'FULL_DOWNLOAD');
    await fresh.download();
    assert.equal((await b.sync()).required, 'FULL_SYNC');
    await b.download();
    for (const device of [fresh, b]) assert.deepEqual(await notes(device), await notes(a));
    await synced(b);
    await place.stop();
  });

  test('reads that the index of its media is damaged, while cards sync; moved away, devices send all files again and nobody deletes one', async (t) => {
    const place = await Place.of(t);
    const { a, b } = place;
    await place.whileStopped(() => overwrite(join(place.home, 'media.db'), 0, 100));
    await a.do('add_notes', { count: 1, prefix: 'all the same' });
    await a.do('media_write', { files: [{ name: 'four.txt', text: 'four' }] });
    await assert.rejects(a.sync({ media: true }), /The index of your media on the sync server is damaged\. Your files on this device are fine/);
    await b.sync();
    assert.deepEqual(await notes(b), await notes(a));
    await place.whileStopped(() => rmSync(join(place.home, 'media.db')));
    for (const device of [a, b]) {
      await device.syncMedia().catch((error: Error) => assert.match(error.message, /Please sync again/));
      await device.syncMedia();
    }
    await a.do('media_replace', { name: 'one.txt', text: 'replaced afterwards' });
    await a.syncMedia();
    await b.syncMedia();
    const files = await a.mediaFiles();
    assert.deepEqual(Object.keys(files).sort(), ['four.txt', 'one.txt', 'three.txt', 'two.txt']);
    const fresh = await place.device('ada');
    await fresh.syncMedia();
    for (const device of [b, fresh]) assert.deepEqual(await device.mediaFiles(), files);
    await place.stop();
  });

  test('reads that the media folder is missing, keeps its files, and goes on when it is back', async (t) => {
    const place = await Place.of(t);
    const { a, b } = place;
    const [media, away] = [join(place.home, 'media'), join(place.home, 'unmounted')];
    await place.whileStopped(() => renameSync(media, away));
    await a.do('media_write', { files: [{ name: 'four.txt', text: 'four' }] });
    const fresh = await place.device('ada');
    for (const device of [a, fresh]) await assert.rejects(device.syncMedia(), /Your media folder on the sync server is missing or empty\. Your files on this device are fine/);
    await place.whileStopped(() => {
      rmSync(media, { recursive: true, force: true });
      renameSync(away, media);
    });
    for (const device of [a, fresh, b]) await device.syncMedia();
    const files = await a.mediaFiles();
    assert.equal(Object.keys(files).length, 4);
    for (const device of [fresh, b]) assert.deepEqual(await device.mediaFiles(), files);
    await place.stop();
  });

  test('gets a media file back that was deleted, and one that was changed, on the disk of the server', async (t) => {
    const place = await Place.of(t);
    const { a, b } = place;
    await place.whileStopped(() => {
      rmSync(join(place.home, 'media', 'one.txt'));
      writeFileSync(join(place.home, 'media', 'two.txt'), 'owt');
    });
    const fresh = await place.device('ada');
    await assert.rejects(fresh.syncMedia());
    await place.logged(/MEDIA_FILE_MISSING.*missing on the disk, and forgotten.*one\.txt/);
    // of the same length: seen when it is read
    await assert.rejects(fresh.syncMedia());
    await place.logged(/MEDIA_FILE_MISSING.*changed on the disk, and forgotten.*two\.txt/);
    // a device compares its files when something changed, and finds that the server has fewer
    await a.do('media_write', { files: [{ name: 'four.txt', text: 'four' }] });
    await assert.rejects(a.syncMedia(), /Please sync again/);
    await a.syncMedia();
    for (const device of [fresh, b]) {
      await device.syncMedia().catch((error: Error) => assert.match(error.message, /Please sync again/));
      await device.syncMedia();
      assert.deepEqual(await device.mediaFiles(), await a.mediaFiles());
    }
    assert.equal(Object.keys(await a.mediaFiles()).length, 4);
    await place.stop();
  });
});
