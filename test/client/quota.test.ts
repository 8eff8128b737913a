/** Quotas with a real Anki client: the words that a person reads, that nothing is lost meanwhile, and that more is to be had without a restart. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ankiSync, startServer, temporaryFolder, type RunningServer } from '../cli/command.ts';
import { AnkiDevices, ClientError, type Device } from './devices.ts';

const MIB = 1024 ** 2;

interface Stage {
  server: RunningServer;
  /** `anki-sync user …`, while the server runs. */
  user(...args: string[]): Promise<string>;
  /** Signed in as kim. */
  device(name: string): Promise<Device>;
}

async function stage(t: TestContext): Promise<Stage> {
  const folder = await temporaryFolder(t);
  const base = join(folder, 'data');
  const user = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await ankiSync(['user', ...args, '--base', base], { input: 'secret' });
    assert.equal(code, 0, stderr);
    return stdout;
  };
  await user('add', 'kim');
  const server = await startServer(t, ['--base', base, '--port', '0']);
  const devices = await AnkiDevices.start();
  t.after(() => devices.end());
  const device = async (name: string): Promise<Device> => {
    const made = await devices.device(name, join(folder, name));
    await made.login('kim', 'secret', server.url);
    return made;
  };
  return { server, user, device };
}

async function refusal(asking: Promise<unknown>): Promise<string> {
  const error: unknown = await asking.then(() => undefined, (each: unknown) => each);
  assert.ok(error instanceof ClientError, 'the client was not refused');
  return error.message;
}

async function addLargeNote(device: Device, name: string): Promise<void> {
  await device.do('add_notes', { fields: [name, '0123456789abcdef'.repeat(MIB / 16)] });
}

async function notes(device: Device): Promise<number> {
  return (await device.do<{ notes: number }>('counts')).notes;
}

test('a client reads why its one-way sync is refused, keeps its cards, and syncs once it may have more', async (t) => {
  const { user, server, device } = await stage(t);
  await user('quota', 'kim', '--collection', '1M');
  const laptop = await device('laptop');
  await addLargeNote(laptop, 'one');
  assert.equal((await laptop.sync()).required, 'FULL_UPLOAD');
  assert.match(await refusal(laptop.upload()),
    /^Your collection would have 1\.\d MiB, and the sync server allows 1\.0 MiB\. Your cards on this device are fine\. Nothing was sent\.$/);
  assert.match(await server.line(/event=upload\.refused/), /upload 200 .* user=kim/);
  assert.equal(await notes(laptop), 1);

  // asked again, it is the same
  assert.equal((await laptop.sync()).required, 'FULL_UPLOAD');
  assert.match(await refusal(laptop.upload()), /Nothing was sent/);

  await user('quota', 'kim', '--collection', '100M');
  assert.deepEqual(await laptop.sync().then(({ required, message }) => [required, message]), ['FULL_UPLOAD', '']);
  await laptop.upload();
  assert.equal((await laptop.sync()).required, 'NO_CHANGES');
  const phone = await device('phone');
  assert.equal((await phone.sync()).required, 'FULL_DOWNLOAD');
  await phone.download();
  assert.equal(await notes(phone), 1);
});

test('normal syncs over the quota go through with a word, once a day; what makes the collection less may even be uploaded', async (t) => {
  const { user, server, device } = await stage(t);
  const laptop = await device('laptop');
  await addLargeNote(laptop, 'one');
  await laptop.sync();
  await laptop.upload();
  await user('quota', 'kim', '--collection', '2M');
  await addLargeNote(laptop, 'two');
  assert.equal((await laptop.sync()).message, '');

  const OVER = /^Your collection has 2\.\d MiB, and the sync server allows 2\.0 MiB\. Your cards are synced all the same, and nothing is lost\. But a one-way sync that makes it larger is refused\. Please delete /;
  // of a client that finds nothing to sync it cannot be known whether it shows anything: it is told again
  for (let round = 0; round < 2; round++) {
    const { required, message } = await laptop.sync();
    assert.equal(required, 'NO_CHANGES');
    assert.match(message, OVER);
  }
  assert.match(await server.line(/ meta 200 .*are allowed/), /warn.* user=kim .*detail="a collection of 2\d{6} bytes; 2097152 are allowed"/i);
  await addLargeNote(laptop, 'three');
  assert.match((await laptop.sync()).message, OVER);
  await addLargeNote(laptop, 'four');
  assert.deepEqual(await laptop.sync().then(({ required, message }) => [required, message]), ['NO_CHANGES', '']);

  // nobody else's word is spent with that, and all is there
  const phone = await device('phone');
  const first = await phone.sync();
  assert.equal(first.required, 'FULL_DOWNLOAD');
  assert.match(first.message, /^Your collection has 4\.\d MiB, and the sync server allows 2\.0 MiB\./);
  await phone.download();
  assert.equal(await notes(phone), 4);

  // one-way: refused where it makes it more, and not where it makes it less
  const [id] = (await phone.do<number[]>('find_notes', { query: 'front:four' }));
  await addLargeNote(phone, 'five');
  await phone.do('add_field', { id: (await phone.do<Record<string, number>>('notetype_names')).Basic, name: 'more' });
  assert.equal((await phone.sync()).required, 'FULL_SYNC');
  assert.match(await refusal(phone.upload()), /^Your collection would have 5\.\d MiB, and the sync server allows 2\.0 MiB\./);
  await phone.do('remove_notes', { ids: [id, ...(await phone.do<number[]>('find_notes', { query: 'front:five' }))] });
  assert.equal((await phone.sync()).required, 'FULL_SYNC');
  await phone.upload();
  assert.equal((await laptop.sync()).required, 'FULL_SYNC');
  await laptop.download();
  assert.equal(await notes(laptop), 3);

  // deletions count at once, though the file keeps their room
  await laptop.do('remove_notes', { ids: await laptop.do('find_notes', { query: 'front:two or front:three' }) });
  assert.equal((await laptop.sync()).required, 'NO_CHANGES');
  const { message } = await (await device('tablet')).sync();
  assert.equal(message, '');
});

test('a client reads that its media are too much, once at each sync; cards, deletions and downloads go on, and so does the rest once it may', async (t) => {
  const { user, server, device } = await stage(t);
  const laptop = await device('laptop');
  await laptop.do('add_notes', { prefix: 'one' });
  await laptop.sync();
  await laptop.upload();
  await laptop.do('media_write', { files: ['b1.png', 'b2.png'].map((name) => ({ name, bytes: 400_000 })) });
  await laptop.sync({ media: true });
  await user('quota', 'kim', '--media', '1M');

  // as many as there is room for; the next one is too much
  await laptop.do('media_write', { files: ['c1.png', 'c2.png', 'c3.png'].map((name) => ({ name, bytes: 200_000 })) });
  await laptop.do('add_notes', { prefix: 'two' });
  const WORDS = /^Your media would have 1\.\d MiB, and the sync server allows 1\.0 MiB\. Your files on this device are fine, and your cards sync as before\. Please delete some media\.$/;
  assert.match(await refusal(laptop.sync({ media: true })), WORDS);
  const phone = await device('phone');
  assert.equal((await phone.sync()).required, 'FULL_DOWNLOAD');
  const { mediaUsn } = await phone.sync();
  await phone.download(mediaUsn);
  assert.equal(await notes(phone), 2);
  assert.deepEqual(Object.keys(await phone.mediaFiles()).sort(), ['b1.png', 'b2.png', 'c1.png']);

  // it does not ask for ever: the words once, and then nothing until the next sync
  const sent = (): number => server.lines.filter((line) => / uploadChanges 200 .*QUOTA_EXCEEDED/.test(line)).length;
  const before = sent();
  assert.match(await refusal(laptop.syncMedia()), WORDS);
  await server.line(/ uploadChanges 200 .*QUOTA_EXCEEDED/);
  assert.equal(sent(), before + 1);
  assert.equal(Object.keys(await laptop.mediaFiles()).length, 5);

  // what another device has made goes on coming
  await phone.do('media_write', { files: [{ name: 'small.png', text: 'small' }] });
  await phone.sync({ media: true });
  assert.match(await refusal(laptop.sync({ media: true })), WORDS);
  assert.ok('small.png' in (await laptop.mediaFiles()));

  // a deletion makes room
  await laptop.do('media_trash', { names: ['b1.png'] });
  await laptop.sync({ media: true });
  await phone.sync({ media: true });
  assert.deepEqual(await phone.mediaFiles(), await laptop.mediaFiles());
  assert.deepEqual(Object.keys(await phone.mediaFiles()).sort(), ['b2.png', 'c1.png', 'c2.png', 'c3.png', 'small.png']);

  // one that is behind too many bytes of new files waits, until those are not sent any more
  await laptop.do('media_write', { files: [{ name: 'a.png', bytes: 3_000_000 }] });
  await laptop.do('media_trash', { names: ['c1.png'] });
  assert.match(await refusal(laptop.sync({ media: true })), /^Your media would have 3\.\d MiB/);
  await phone.sync({ media: true });
  assert.ok('c1.png' in (await phone.mediaFiles()));
  await laptop.do('media_trash', { names: ['a.png'] });
  await laptop.sync({ media: true });
  await phone.sync({ media: true });
  assert.deepEqual(Object.keys(await phone.mediaFiles()).sort(), ['b2.png', 'c2.png', 'c3.png', 'small.png']);

  // and so does whoever runs the server
  await phone.do('media_write', { files: [{ name: 'd.png', bytes: 700_000 }] });
  assert.match(await refusal(phone.sync({ media: true })), WORDS);
  await user('quota', 'kim', '--media', 'off');
  await phone.sync({ media: true });
  await laptop.sync({ media: true });
  assert.deepEqual(await laptop.mediaFiles(), await phone.mediaFiles());
  assert.equal(Object.keys(await laptop.mediaFiles()).length, 5);
  assert.match(await server.line(/event=user\.quota .*media without limit/), /user=kim .*by the command line/);
});
