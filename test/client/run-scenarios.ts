/** Runs a list of scenarios against one mount: one server, one process of Anki devices, a new user for each scenario. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AnkiDevices } from './devices.ts';
import type { Mount, MountedServer } from './mounts.ts';
import { Stage } from './stage.ts';
import type { Scenario } from './stage.ts';

export function runScenarios(mount: Mount, title: string, scenarios: Scenario[]): void {
  describe(`${title}, ${mount.name}`, () => {
    let startedAt = 0;
    let server: MountedServer;
    let devices: AnkiDevices;
    let folder: string;
    const users = Object.fromEntries(scenarios.map((_scenario, i) => [`u${i + 1}`, `secret ${i + 1}`]));

    before(async () => {
      startedAt = performance.now();
      folder = await mkdtemp(join(tmpdir(), 'anki-devices-'));
      devices = await AnkiDevices.start();
      server = await mount.start({ users });
    });

    after(async () => {
      await devices?.end();
      await server?.stop();
      await rm(folder, { recursive: true, force: true });
      console.log(`${title}, ${mount.name}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    });

    for (const [i, scenario] of scenarios.entries()) {
      const skip = mount.official === true && scenario.notOfficial !== undefined ? scenario.notOfficial : false;
      const todo = mount.official === true ? undefined : scenario.todo;
      it(scenario.name, { timeout: 120_000, skip, ...(todo === undefined ? {} : { todo }) }, async (context) => {
        const user = `u${i + 1}`;
        const stage = new Stage(server, user, users[user]!, devices, folder);
        try {
          await scenario.run(stage);
        } catch (error) {
          context.diagnostic(`the server said: ${server.output().slice(-3000)}`);
          throw error;
        } finally {
          await stage.close();
        }
      });
    }
  });
}
