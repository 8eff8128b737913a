/** The way of docs/moving.md from AnkiWeb, whose place the official server takes: by the devices alone, and a trial beside it. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AnkiDevices, type Device } from '../client/devices.ts';
import { startOfficialServer } from '../oracle/official-server.ts';
import { PASSWORD, runningServer } from '../server/running-server.ts';

test('the first device that comes from another server uploads, the others are asked and download, and a trial beside it changes nothing there', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-ankiweb-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const all = await AnkiDevices.start();
  t.after(() => all.end());
  const old = await startOfficialServer({ users: { 'ada@example.org': 'of AnkiWeb' } });
  t.after(() => old.stop());
  await using ours = await runningServer();
  const settle = async (...devices: Device[]): Promise<void> => {
    for (const device of [...devices, ...devices]) {
      assert.equal((await device.sync({ media: true })).required, 'NO_CHANGES', device.name);
      await device.syncMedia();
    }
  };
  const equal = async (one: Device, other: Device): Promise<void> => {
    assert.deepEqual(await all.do('', 'compare', { left: other.name, right: one.name, kind: 'devices' }), []);
    assert.deepEqual(await other.mediaFiles(), await one.mediaFiles());
  };

  const [desktop, phone] = [await all.device('desktop', join(folder, 'desktop')), await all.device('phone', join(folder, 'phone'))];
  for (const device of [desktop, phone]) await device.login('ada@example.org', 'of AnkiWeb', old.url);
  await desktop.do('add_notes', { count: 20, prefix: 'long ago' });
  await desktop.do('media_write', { files: [{ name: 'picture.png', text: 'a picture' }] });
  await desktop.sync();
  await desktop.upload();
  await phone.sync();
  await phone.download();
  await settle(desktop, phone);
  await phone.do('add_notes', { count: 2, prefix: 'on the way' });
  await settle(phone, desktop);

  // a second profile, into which the exported file was imported
  await desktop.close();
  const trial = await all.copyOf(join(folder, 'desktop', 'collection.anki2'), 'trial', join(folder, 'trial'));
  await trial.do('log_out');
  await trial.login('trial', PASSWORD, ours.url);
  assert.equal((await trial.sync()).required, 'FULL_UPLOAD');
  await trial.upload();
  await trial.do('add_notes', { count: 1, prefix: 'a trial' });
  await settle(trial);

  // the real move
  const moved = await all.device('moved', join(folder, 'desktop'));
  await moved.do('log_out');
  await moved.login('ada', PASSWORD, ours.url);
  assert.equal((await moved.sync()).required, 'FULL_UPLOAD');
  await moved.upload();
  await settle(moved);
  await phone.do('log_out');
  await phone.login('ada', PASSWORD, ours.url);
  assert.equal((await phone.sync()).required, 'FULL_SYNC');
  await phone.download();
  await settle(phone, moved);
  await equal(phone, moved);
  assert.deepEqual(Object.keys(await phone.mediaFiles()), ['picture.png']);

  // what a device learns afterwards arrives at the other, and the old server has what it had
  await phone.do('add_notes', { count: 4, prefix: 'at home' });
  await settle(phone, moved);
  await equal(phone, moved);
  const stranger = await all.device('stranger', join(folder, 'stranger'));
  await stranger.login('ada@example.org', 'of AnkiWeb', old.url);
  await stranger.sync();
  await stranger.download();
  assert.equal(((await stranger.do('counts')) as { notes: number }).notes, 22);
});
