/** The server's clock is wrong, or is set while it runs: usns keep their order, nobody is asked for a one-way sync, and no running sync is dropped. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { ankiSync, startServer, type RunningServer } from '../cli/command.ts';
import { Clock } from '../crash/clock.ts';
import { whyNotHere } from '../crash/operations.ts';
import { until } from '../server/until.ts';
import { AnkiDevices, type Device } from './devices.ts';
import { RawClient } from './raw.ts';

const skip = (await whyNotHere()) ?? false;
const [HOUR, YEAR] = [3600, 365 * 86_400];

let all: AnkiDevices;
let folder: string;
before(async () => {
  all = await AnkiDevices.start();
  folder = await mkdtemp(join(tmpdir(), 'anki-sync-clock-'));
});
after(async () => {
  await all.end();
  await rm(folder, { recursive: true, force: true });
});

let places = 0;

interface Stage {
  clock: Clock;
  server: RunningServer;
  base: string;
  a: Device;
  b: Device;
  raw: RawClient;
}

async function stage(t: TestContext): Promise<Stage> {
  const base = join(folder, `data-${++places}`);
  const clockFolder = mkdtempSync(join(tmpdir(), 'clock-'));
  const clock = new Clock(join(clockFolder, 'offset'));
  t.after(() => {
    clock.close();
    rmSync(clockFolder, { recursive: true });
  });
  await ankiSync(['user', 'add', 'ada', '--base', base], { input: 'secret' });
  const server = await startServer(t, ['--base', base, '--port', '0'], { env: await clock.environment() });
  const [a, b] = [await all.device(`a${places}`, join(folder, `a${places}`)), await all.device(`b${places}`, join(folder, `b${places}`))];
  for (const device of [a, b]) await device.login('ada', 'secret', server.url);
  await a.do('add_notes', { count: 3, prefix: 'first' });
  await a.sync();
  await a.upload();
  await b.sync();
  await b.download();
  return { clock, server, base, a, b, raw: new RawClient(server.url, { key: a.key, sessionKey: 'raw' }) };
}

const notes = (device: Device): Promise<unknown> => device.do('sql', { query: 'select flds from notes order by id' });

async function syncs(...devices: Device[]): Promise<void> {
  for (const device of devices) assert.equal((await device.sync()).required, 'NO_CHANGES', `${device.name} was asked for a one-way sync`);
}

/** Both add, both sync, and both have all of it. */
async function goesOn({ a, b }: Stage): Promise<void> {
  for (const device of [a, b]) await device.do('add_notes', { count: 1, prefix: `goes on ${device.name}` });
  await syncs(a, b, a);
  assert.deepEqual(await notes(a), await notes(b));
}

async function usnOf(raw: RawClient): Promise<number> {
  return ((await raw.post('meta', { v: 11, cv: 'x' })).json() as { usn: number }).usn;
}

/** A sync without changes of its own, with something to happen in its middle. */
async function wholeSync(raw: RawClient, midway: () => void): Promise<number> {
  assert.equal((await raw.post('start', { minUsn: 0, lnewer: false })).status, 200);
  midway();
  assert.equal((await raw.post('applyChunk', { chunk: { done: true } })).status, 200);
  const finish = await raw.post('finish');
  assert.equal(finish.status, 200, finish.text());
  return finish.json() as number;
}

describe("the server's clock", { skip }, () => {
  for (const [what, offset] of [['a year ahead', YEAR], ['two hours behind', -2 * HOUR]] as const) {
    test(`${what}: devices tell that a clock is wrong and change nothing; set right, they go on`, async (t) => {
      const place = await stage(t);
      place.clock.set(offset);
      const before = await usnOf(place.raw);
      await place.a.do('add_notes', { count: 1, prefix: 'meanwhile' });
      for (const device of [place.a, place.b]) await assert.rejects(device.sync(), /your clock is not set to the correct time/);
      assert.equal(await usnOf(place.raw), before);
      place.clock.set(0);
      await goesOn(place);
      assert.equal(await place.server.stop(), 0);
    });
  }

  for (const [what, first, then] of [['a year ahead', 0, YEAR], ['an hour back', 0, -HOUR], ['a year back', YEAR, 0]] as const) {
    test(`jumps ${what} in the middle of a sync, which ends; usns rise, and devices go on`, async (t) => {
      const place = await stage(t);
      place.clock.set(first);
      const before = await usnOf(place.raw);
      await wholeSync(place.raw, () => place.clock.set(then));
      assert.equal(await usnOf(place.raw), before + 1);
      place.clock.set(0);
      await wholeSync(place.raw, () => {});
      assert.equal(await usnOf(place.raw), before + 2);
      await goesOn(place);
      assert.equal(await place.server.stop(), 0);
    });
  }

  test('was a year ahead when a sync ended: from the second sync on, what a device changes in its options counts again', async (t) => {
    const place = await stage(t);
    const { a, b, raw } = place;
    await wholeSync(raw, () => place.clock.set(YEAR));
    place.clock.set(0);
    await syncs(a, b, a);
    await a.do('set_config', { key: 'newSpread', value_json: '2' });
    await syncs(a, b);
    assert.equal(await b.do('config_json', { key: 'newSpread' }), '2');
  });

  test('jumps a year ahead while a backup waits for a sync: the sync is not taken for abandoned', async (t) => {
    const place = await stage(t);
    assert.equal((await place.raw.post('start', { minUsn: 0, lnewer: false })).status, 200);
    place.clock.set(YEAR);
    const backup = ankiSync(['backup', '--base', place.base, '--to', join(folder, `backup-${places}`)]);
    // it asks for the copy once it has made the folder for it
    await until(() => readdirSync(folder, { recursive: true }).some((path) => /backup-\d+\.partial-\w+.ada$/.test(String(path))));
    for (let step = 0; step < 20; step++) {
      assert.equal((await place.raw.post('applyChunk', { chunk: { done: false } })).status, 200);
    }
    assert.equal((await place.raw.post('finish')).status, 200);
    assert.equal((await backup).code, 0);
  });
});
