/**
 * Real Anki and a server that is ended in the middle of its work: at file operations spread over a sync with media, a one-way upload and a
 * download. Every operation in turn is tried with raw clients, in test/crash.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ankiSync } from '../cli/command.ts';
import { builtServer } from '../crash/built-server.ts';
import { Control, whyNotHere } from '../crash/operations.ts';
import { watchedServer, type WatchedServer } from '../crash/watched-process.ts';
import { AnkiDevices, ClientError, type Device } from './devices.ts';

const SYNC_POINTS = 14;
const UPLOAD_POINTS = 8;
const DOWNLOAD_POINTS = 4;

const skip = (await whyNotHere()) ?? false;
let folder: string;
let base: string;
let built: { root: string; remove(): void };
let control: Control;
let all: AnkiDevices;
let server: WatchedServer;
let a: Device;
let b: Device;
let made = 0;

describe('a server that is ended while real Anki syncs', { skip, concurrency: false }, () => {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'anki-sync-killed-'));
    base = join(folder, 'data');
    mkdirSync(base);
    built = builtServer();
    control = new Control(join(folder, 'control'));
    all = await AnkiDevices.start();
    [a, b] = [await all.device('a', join(folder, 'a')), await all.device('b', join(folder, 'b'))];
    await start();
    for (const device of [a, b]) await device.login('ada', 'secret', server.url);
    await a.do('add_notes', { count: 20, prefix: 'first' });
    await a.sync();
    await a.upload(0);
    await b.sync();
    await b.download(0);
  });
  after(async () => {
    await all?.end();
    await server?.kill();
    control?.close();
    built?.remove();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  test('loses nothing of a normal sync and its media, and asks for no one-way sync', async (t) => {
    const change = async (): Promise<void> => {
      const prefix = `note ${++made}`;
      await a.do('add_notes', { count: 3, prefix });
      await a.do('answer', { count: 2 });
      await a.do('media_write', { files: [{ name: `file ${made}.txt`, text: prefix }] });
    };
    await change();
    const operations = await counted(() => a.sync({ media: true }));
    for (const point of spread(SYNC_POINTS, operations)) {
      await change();
      await endedAt(point, () => a.sync({ media: true }));
      for (const device of [a, b]) assert.equal((await device.sync({ media: true })).required, 'NO_CHANGES', `${point} of ${operations}`);
      await expectEqual(`${point} of ${operations}`);
    }
    t.diagnostic(`${SYNC_POINTS} of ${operations} operations`);
  });

  test('has either collection, whole, after a one-way upload', async (t) => {
    const change = async (): Promise<void> => {
      await a.do('add_notes', { count: 1, prefix: `before upload ${++made}` });
      const { Basic } = await a.do<Record<string, number>>('notetype_names');
      await a.do('add_field', { id: Basic, name: `Field ${made}` });
      assert.equal((await a.sync()).required, 'FULL_SYNC');
    };
    await change();
    const operations = await counted(() => a.upload());
    await follow(b);
    for (const point of spread(UPLOAD_POINTS, operations)) {
      await change();
      await endedAt(point, () => a.upload());
      // the answer may have been lost: then Anki takes the collections for different once more
      if ((await a.sync()).required !== 'NO_CHANGES') await a.upload();
      await follow(b);
      await expectEqual(`${point} of ${operations}`);
    }
    t.diagnostic(`${UPLOAD_POINTS} of ${operations} operations`);
  });

  test('is asked once more for a download that broke', async (t) => {
    const operations = await counted(() => b.download());
    for (const point of spread(DOWNLOAD_POINTS, operations)) {
      await endedAt(point, () => b.download());
      await b.download();
      assert.equal((await b.sync()).required, 'NO_CHANGES');
      assert.equal((await a.sync()).required, 'NO_CHANGES');
      await expectEqual(`${point} of ${operations}`);
    }
    t.diagnostic(`${DOWNLOAD_POINTS} of ${operations} operations`);
  });

  test('leaves a folder in which check finds nothing', async () => {
    await server.stop();
    const { code, stdout, stderr } = await ankiSync(['check', '--deep', '--base', base]);
    assert.equal(code, 0, stdout + stderr);
  });
});

async function start(): Promise<void> {
  control.off();
  const started = await watchedServer(base, { control, root: built.root, env: { SYNC_USER1: 'ada:secret' } });
  assert.ok(started, 'the server did not start');
  server = started;
  for (const device of [a, b]) if (device.key !== '') await device.do('set_key', { key: device.key, endpoint: server.url });
}

/** How many operations on files an act takes. */
async function counted(act: () => Promise<unknown>): Promise<number> {
  control.count();
  await act();
  const operations = control.counted();
  control.off();
  return operations;
}

/** The server ends just before the operation; what Anki says to that is its own. Then it is started again. */
async function endedAt(operation: number, act: () => Promise<unknown>): Promise<void> {
  control.kill(operation);
  await act().catch((error: unknown) => assert.ok(error instanceof ClientError, String(error)));
  // an act may take an operation less than the one that was counted
  await server.kill();
  await start();
}

function spread(points: number, operations: number): number[] {
  assert.ok(operations >= points, `${operations} operations`);
  return Array.from({ length: points }, (_, i) => 1 + Math.floor((i * (operations - 1)) / (points - 1)));
}

async function follow(device: Device): Promise<void> {
  assert.equal((await device.sync()).required, 'FULL_SYNC');
  await device.download();
}

async function expectEqual(at: string): Promise<void> {
  const rows = async (device: Device): Promise<unknown> => [
    await device.do('sql', { query: 'select id, flds, tags from notes order by id' }),
    await device.do('sql', { query: 'select id, nid, did, queue, due, reps from cards order by id' }),
    await device.do('sql', { query: 'select id, cid, ease from revlog order by id' }),
    await device.mediaFiles(),
  ];
  assert.deepEqual(await rows(b), await rows(a), at);
}
