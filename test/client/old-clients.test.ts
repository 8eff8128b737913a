/** Releases of Anki since 2020, each beside the newest on one account of the standalone server. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ankiPython, PythonMissing } from '../oracle/anki-python.ts';
import { AnkiDevices } from './devices.ts';
import { standalone, type MountedServer } from './mounts.ts';
import { RELEASES, startDevices } from './old/releases.ts';
import { OLD_SCENARIOS, Pair } from './old/scenarios.ts';
import { keepResults, tableOf, tableOfPage, type Results } from './old/table.ts';

const users = Object.fromEntries(
  RELEASES.flatMap((_release, row) => OLD_SCENARIOS.map((_scenario, column) => [`u${row}x${column}`, `secret ${row} ${column}`])),
);

const results: Results = {};
let server: MountedServer;
let newDevices: AnkiDevices;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'old-clients-'));
  server = await standalone.start({ users });
  newDevices = await AnkiDevices.start();
});

after(async () => {
  await newDevices?.end();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

for (const [row, release] of RELEASES.entries()) {
  describe(`Anki ${release.version}`, { concurrency: false }, () => {
    let oldDevices: AnkiDevices | undefined;
    let missing: string | undefined;

    before(async () => {
      try {
        await ankiPython(release.version);
      } catch (error) {
        if (!(error instanceof PythonMissing)) throw error;
        missing = `Anki ${release.version} is skipped: ${error.message}`;
        console.log(missing);
        return;
      }
      oldDevices = await startDevices(release, server.endpoint);
    });

    after(() => oldDevices?.end());

    for (const [column, scenario] of OLD_SCENARIOS.entries()) {
      it(scenario.name, { timeout: 120_000 }, async (context) => {
        if (oldDevices === undefined) return context.skip(missing);
        const user = `u${row}x${column}`;
        const pair = new Pair({ release, server, user, password: users[user]!, folder, oldDevices, newDevices });
        const found = (results[release.version] ??= {});
        found[scenario.column] = false;
        try {
          await scenario.run(pair);
          found[scenario.column] = true;
        } catch (error) {
          context.diagnostic(`the server said: ${server.output().slice(-3000)}`);
          throw error;
        } finally {
          await pair.close();
        }
      });
    }
  });
}

it('docs/compatibility.md tells what was found', async () => {
  await keepResults(results);
  const page = await tableOfPage();
  for (const line of tableOf(results)) assert.ok(page.includes(line), `${line} is not on the page: npm run compatibility`);
});
