/** Backups of a server that runs, and what real devices meet after a restore. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AnkiDevices, type Device } from '../client/devices.ts';
import { ankiSync, startServer } from '../cli/command.ts';

let all: AnkiDevices;
let folder: string;
before(async () => {
  all = await AnkiDevices.start();
  folder = await mkdtemp(join(tmpdir(), 'anki-sync-online-'));
});
after(async () => {
  await all.end();
  await rm(folder, { recursive: true, force: true });
});

const notes = (device: Device): Promise<[string][]> => device.do('sql', { query: 'select flds from notes order by id' });

test('a backup while a device syncs, and the way back: a one-way sync brings the old cards, and media come by themselves', async (t) => {
  const base = join(folder, 'data');
  await ankiSync(['user', 'add', 'ada', '--base', base], { input: 'secret' });
  let server = await startServer(t, ['--base', base, '--port', '0']);
  const a = await all.device('a', join(folder, 'a'));
  await a.login('ada', 'secret', server.url);
  await a.do('add_notes', { count: 3, prefix: 'kept' });
  await a.do('media_write', { files: [{ name: 'kept.png', text: 'kept' }] });
  await a.sync();
  await a.upload();
  await a.syncMedia();
  const kept = await notes(a);

  // backups one after the other, while the device adds and syncs without a pause
  let syncing = true;
  const syncs = (async () => {
    for (let round = 0; syncing; round++) {
      await a.do('add_notes', { count: 1, prefix: `busy ${round}` });
      await a.do('media_write', { files: [{ name: `busy-${round}.png`, bytes: 2000 }] });
      assert.equal((await a.sync({ media: true })).required, 'NO_CHANGES');
    }
  })();
  const backups = [];
  for (const name of ['1', '2.zip', '3']) backups.push(await ankiSync(['backup', '--base', base, '--to', join(folder, 'backups', name)]));
  syncing = false;
  await syncs;
  for (const { code, stdout, stderr } of backups) {
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /^backed up 1 user to .*: \d+ files, .*, verified\n$/);
  }
  const sound = await ankiSync(['check', '--deep', '--base', join(folder, 'backups', '3')]);
  assert.equal(sound.code, 0, sound.stdout);

  assert.equal((await ankiSync(['restore', '--all', '--from', join(folder, 'backups', '1'), '--base', base])).code, 1, 'the server runs');
  assert.equal(await server.stop(), 0);
  assert.equal(existsSync(join(base, '.anki-sync', 'control.json')), false);
  await a.do('add_notes', { count: 2, prefix: 'too late' });
  await a.do('media_trash', { names: ['kept.png'] });

  // with a path that is too long for a socket's name
  const restored = join(folder, 'restored'.padEnd(110, '-'));
  const outcome = await ankiSync(['restore', '--all', '--from', join(folder, 'backups', '1'), '--base', restored]);
  assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
  assert.match(outcome.stdout, /choose "Download from server"/);
  server = await startServer(t, ['--base', restored, '--port', '0']);
  await a.do('set_key', { key: a.key, endpoint: server.url });
  // the key is part of the backup
  assert.equal((await a.sync()).required, 'FULL_SYNC');
  await a.download();
  assert.deepEqual((await notes(a)).slice(0, 3), kept);
  assert.ok((await notes(a)).every(([fields]) => !fields.startsWith('too late')));
  // the device has files that came after the backup: its count differs once, and it then compares all of them
  await assert.rejects(a.syncMedia(), /Please sync again/);
  await a.syncMedia();
  assert.ok(Object.keys(await a.mediaFiles()).length > 2);
  const b = await all.device('b', join(folder, 'b'));
  await b.login('ada', 'secret', server.url);
  assert.equal((await b.sync()).required, 'FULL_DOWNLOAD');
  await b.download();
  await b.syncMedia();
  assert.deepEqual(await notes(b), await notes(a));
  assert.deepEqual(await b.mediaFiles(), await a.mediaFiles());
  const again = await ankiSync(['backup', 'ada', '--base', restored, '--to', join(folder, 'backups', '4')]);
  assert.equal(again.code, 0, again.stdout + again.stderr);
  assert.equal(await server.stop(), 0);
});

test('what a full upload replaced is listed, and comes back', async (t) => {
  const base = join(folder, 'snapshots');
  await ankiSync(['user', 'add', 'ada', '--base', base], { input: 'secret' });
  let server = await startServer(t, ['--base', base, '--port', '0']);
  const c = await all.device('c', join(folder, 'c'));
  await c.login('ada', 'secret', server.url);
  await c.do('add_notes', { count: 4, prefix: 'before' });
  await c.sync();
  await c.upload();
  const good = await notes(c);
  const empty = await all.device('d', join(folder, 'd'));
  await empty.login('ada', 'secret', server.url);
  await empty.do('add_notes', { count: 1, prefix: 'by mistake' });
  await empty.upload();
  const listed = await ankiSync(['snapshots', 'Ada', '--base', base]);
  const stamps = listed.stdout.trim().split('\n').map((line) => line.split('\t')[0]!);
  // the fresh account, and what the first device had uploaded
  assert.equal(stamps.length, 2, listed.stdout);
  assert.match(listed.stdout, /^\d{8}T\d{9}Z\t\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\t[\d.]+ KiB\n/);
  assert.equal(await server.stop(), 0);
  const outcome = await ankiSync(['restore', 'ada', '--snapshot', stamps[0]!, '--base', base]);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match(outcome.stdout, /^restored the cards of "ada" as of \d{8}T\d{9}Z; what was there before is a snapshot now$/m);
  server = await startServer(t, ['--base', base, '--port', '0']);
  for (const device of [c, empty]) {
    await device.do('set_key', { key: device.key, endpoint: server.url });
    assert.equal((await device.sync()).required, 'FULL_SYNC');
    await device.download();
    assert.deepEqual(await notes(device), good);
  }
  assert.equal((await ankiSync(['snapshots', 'ada', '--base', base])).stdout.trim().split('\n').length, 3);
  assert.equal(await server.stop(), 0);
});
