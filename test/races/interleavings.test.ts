/** Random schedules of two or three devices, step by step and at once: each answer must be one that some order of them explains. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { tmpdir } from 'node:os';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { createCollectionFile } from '../../lib/storage/sqlite/collection-file.ts';
import { RawClient } from '../client/raw.ts';
import { runningServer, type RunningServer } from '../server/running-server.ts';
import { until } from '../server/until.ts';
import { Device, keyOf, read, sameNotes, type Counts, type World } from './card-devices.ts';
import { keyOf as mediaKeyOf, MediaDevice, passersBy, type MediaWorld } from './media-devices.ts';
import { diceOf, Play } from './worlds.ts';

const SCHEDULES = Number(process.env['SCHEDULES'] ?? 300);
const FIRST_SEED = Number(process.env['SEED'] ?? 1);

const agent = new Agent({ keepAlive: true });
let server: RunningServer;
let base: string;
let template: Buffer;
let counts: Counts;
let others: RawClient[];

before(async () => {
  // few collections may be open, so that users are closed and opened again in the middle of it
  base = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'anki-sync-races-'));
  server = await runningServer({ base, threads: 2, maxOpenCollections: 2 });
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-races-'));
  const path = join(folder, 'collection.anki2');
  createCollectionFile(path);
  const db = new Database(path);
  const [models, decks, presets] = db.prepare('SELECT models, decks, dconf FROM col').raw().get() as [string, string, string];
  db.close();
  template = readFileSync(path);
  rmSync(folder, { recursive: true });
  const size = (text: string): number => Object.keys(JSON.parse(text) as object).length;
  others = await Promise.all(['x', 'y', 'z'].map(clientOf));
  counts = { notetype: Number(/"id":(\d+)/.exec(models)![1]), rest: [size(models), size(decks), size(presets)] };
});

async function clientOf(name: string): Promise<RawClient> {
  const { key, sessionKey } = await server.user(name);
  return new RawClient(server.url, { key, sessionKey, agent });
}

after(async () => {
  agent.destroy();
  await server.stop();
  rmSync(base, { recursive: true });
});

test(`${SCHEDULES} random schedules of two or three devices of a user`, async (t) => {
  let [moves, together] = [0, 0];
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SCHEDULES; seed += 1) {
    const play = await schedule(seed).catch((error: Error) => {
      throw new Error(`SEED=${seed} SCHEDULES=1: ${error.message}`, { cause: error });
    });
    moves += play.trace.length;
    together += play.together;
  }
  t.diagnostic(`${SCHEDULES} schedules, ${moves} moves, ${together} of them at once with others`);
  // a download that its device left is removed once its connection is seen to be gone
  await until(() => server.stagedFiles().length === 0);
});

const MEDIA_SCHEDULES = Math.ceil(SCHEDULES / 2);

test(`${MEDIA_SCHEDULES} random schedules of media`, async (t) => {
  let moves = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + MEDIA_SCHEDULES; seed += 1) {
    const dice = diceOf(seed);
    const client = await clientOf(`media${seed}`);
    const devices = ['a', 'b'].map((name) => new MediaDevice(name, client, dice));
    const play = new Play<MediaWorld>({ usn: 0, files: new Map() }, mediaKeyOf);
    try {
      await play.play([...devices.map((device) => device.life(2 + dice(8))), passersBy(others, dice, dice(4))], dice);
      await play.play([devices[0]!.lookAround()], () => 0);
    } catch (error) {
      throw new Error(`SEED=${seed} SCHEDULES=1: ${(error as Error).message}`, { cause: error });
    }
    moves += play.trace.length;
  }
  t.diagnostic(`${MEDIA_SCHEDULES} schedules, ${moves} moves`);
  await until(() => server.stagedFiles().length === 0);
});

async function schedule(seed: number): Promise<Play<World>> {
  const dice = diceOf(seed);
  const client = await clientOf(`seed${seed}`);
  // the same notetype for everybody
  assert.equal((await client.post('upload', template)).text(), 'OK');
  const shared = { stamps: { last: 1_000 }, dice, template, counts };
  const devices = ['a', 'b', 'c'].slice(0, 2 + dice(2)).map((name) => new Device(name, client, shared));
  const world: World = { scm: 0, usn: 0, notes: new Map(), usns: new Map(), running: null, sent: new Map() };
  const play = new Play(world, keyOf);
  await play.play([...devices.map((device) => device.life(1 + dice(3))), passersBy<World>(others, dice, dice(12))], dice);
  // in the end each can sync: the first round brings everything to the server, the second one to everybody
  for (let round = 0; round < 2; round += 1) for (const device of devices) await play.play([device.sync({ plainly: true })], () => 0);
  for (const device of devices) {
    assert.ok(play.worlds.some(({ notes }) => sameNotes(notes, device.notes)), `${device.name} is not equal:\n${play.trace.join('\n')}`);
  }
  const held = read((await client.post('download', {}, { version: 10 })).body);
  assert.ok(play.worlds.some(({ notes, usn }) => sameNotes(notes, held.notes) && usn + 1 === held.usn), play.trace.join('\n'));
  return play;
}
