/**
 * `npm run soak [-- --minutes 60] [--people 4] [--seed N]`: mixed load for a while. Real devices edit and sync, users with an ordinary day sync in a
 * closed loop, clients vanish half-way; in the first half the server is ended and started again, by SIGTERM and SIGKILL in turn; in the
 * second half its memory and open files are watched. In the end all devices of a person must hold the same, and `anki-sync check` must find
 * nothing. Exit code 1 on any failure.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { keptCollection } from '../bench/collections.ts';
import { median } from '../bench/figures.ts';
import { assertMeasurable, ServerProcess } from '../bench/server-process.ts';
import { newPerson, type Person, type Tally } from '../bench/soak/people.ts';
import { vanishingClients } from '../bench/soak/strangers.ts';
import { User } from '../bench/user.ts';
import { AnkiDevices } from '../test/client/devices.ts';
import { run } from '../test/oracle/anki-python.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PORT = 27_730;
const BUSY_USERS = 10;
const SAMPLE_MILLIS = 2_000;
const RESTART_EVERY_MILLIS = 45_000;
/** What the last fifth of the samples may have on top of the second. */
const GROWTH_MIB = 24;
const GROWTH_FILES = 12;

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '60' }, people: { type: 'string', default: '4' }, seed: { type: 'string', default: '1' } },
});
assertMeasurable();
const seed = Number(values.seed);
const millis = Number(values.minutes) * 60_000;
const begun = performance.now();
const say = (text: string): void => console.log(`${new Date().toTimeString().slice(0, 8)} ${text}`);

const scratch = mkdtempSync(join(tmpdir(), 'anki-sync-soak-'));
const server = new ServerProcess('soak', [process.execPath, join(ROOT, 'dist/lib/bin.js'), 'serve'], PORT, scratch);
const endpoint = `http://127.0.0.1:${PORT}/`;
const over = new AbortController();
let failure: unknown;
/** Nobody starts anything while the server is away on purpose. */
let away = Promise.resolve();

const people: Person[] = [];
const tally: Tally = { acts: 0, syncs: 0, interrupted: 0 };
const busy = Array.from({ length: BUSY_USERS }, (_, i) => new User(`busy${i}`, PORT));
const vanishing = new User('vanishing', PORT);
const personsNames = Array.from({ length: Number(values.people) }, (_, i) => `person${i}`);
const accounts = [...busy, vanishing, ...personsNames.map((name) => new User(name, PORT))];

try {
  const { packed, facts } = await keptCollection('T', { notes: 2_000 }, say);
  await server.start('data', accounts);
  const devices = await AnkiDevices.start();
  for (const user of [...busy, vanishing]) {
    await user.signIn();
    await user.upload(packed, facts);
  }
  for (const [i, name] of personsNames.entries()) {
    people.push(await newPerson(devices, name, `password of ${name}`, endpoint, scratch, seed + i, tally));
  }
  say(`${people.length} people with two devices each, ${BUSY_USERS} busy users; seed ${seed}`);

  const fails = (error: unknown): void => {
    failure ??= error;
    over.abort();
  };
  let days = 0;
  const going = [
    ...people.map(async (person) => {
      while (!over.signal.aborted) {
        await person.act();
        await sleep(20);
      }
    }),
    (async () => {
      while (!over.signal.aborted) {
        for (const user of busy) {
          await away;
          // a day that a restart cuts in two is not repeated: its user begins again with a full upload
          await user.daily()().then(() => days++, async () => {
            await away;
            await user.upload(packed, facts).catch(() => {});
          });
          await sleep(20);
          if (over.signal.aborted) break;
        }
      }
    })(),
  ].map((work) => work.catch(fails));
  const vanished = vanishingClients(endpoint, vanishing.key, seed, over.signal);

  let restarts = 0;
  while (!over.signal.aborted && performance.now() - begun < millis / 2) {
    await sleep(Math.min(RESTART_EVERY_MILLIS, millis / 6), undefined, { signal: over.signal }).catch(() => {});
    away = server.stop(restarts++ % 2 === 0 ? 'SIGTERM' : 'SIGKILL').then(async () => void (await server.start('data', accounts)));
    await away;
  }
  say(`${restarts} restarts; ${tally.acts} acts, ${tally.syncs} syncs, ${tally.interrupted} met no server, ${days} days`);

  const samples: { memory: number; files: number }[] = [];
  while (!over.signal.aborted && performance.now() - begun < millis) {
    await sleep(SAMPLE_MILLIS, undefined, { signal: over.signal }).catch(() => {});
    samples.push({ memory: server.residentMiB(), files: server.openFiles() });
  }
  over.abort();
  await Promise.all(going);
  if (failure !== undefined) throw failure;
  const fifth = (n: number): typeof samples => samples.slice((samples.length * n) / 5, (samples.length * (n + 1)) / 5);
  const growth = (of: 'memory' | 'files'): number => median(fifth(4).map((sample) => sample[of])) - median(fifth(1).map((sample) => sample[of]));
  say(`${tally.acts} acts, ${tally.syncs} syncs, ${tally.interrupted} met no server, ${days} days, ${await vanished} clients vanished`);
  say(`memory ${median(samples.map(({ memory }) => memory)).toFixed(0)} MiB, growth ${growth('memory').toFixed(1)}; `
    + `${median(samples.map(({ files }) => files))} open files, growth ${growth('files')}`);
  for (const person of people) await person.settle();
  await devices.end();
  await server.stop();
  await run(process.execPath, [join(ROOT, 'dist/lib/bin.js'), 'check', '--base', join(server.scratch, 'data')]);
  if (growth('memory') > GROWTH_MIB) throw new Error(`memory grew by ${growth('memory')} MiB`);
  if (growth('files') > GROWTH_FILES) throw new Error(`open files grew by ${growth('files')}`);
  say('all devices hold the same, and the data folder is sound');
} finally {
  over.abort();
  await server.stop();
  rmSync(scratch, { recursive: true, force: true });
}
