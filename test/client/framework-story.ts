/** What has to hold in an application of any framework: told as steps, for the `npm run try:*` of each. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { AnkiDevices } from './devices.ts';
import type { MountedServer } from './mounts.ts';
import { essentials } from './scenarios/essentials.ts';
import { Stage } from './stage.ts';

export interface Story {
  server: MountedServer;
  devices: AnkiDevices;
  /** For the devices' collections. */
  folder: string;
}

/** One who is there for each scenario, and one for whoever wants to try by hand. */
export const USERS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(essentials.map((_scenario, i) => [`u${i + 1}`, `secret ${i + 1}`])),
  kim: 'a good password',
};

export const STEPS: readonly (readonly [sentence: string, run: (story: Story) => Promise<void>])[] = [
  ['the page at the mount shows the address to enter in Anki, and the application answers beside it', async ({ server }) => {
    for (const typed of [server.endpoint, server.endpoint.slice(0, -1)]) {
      const page = await fetch(typed);
      assert.deepEqual([page.status, (await page.text()).includes(`<code class="url">${server.endpoint}</code>`)], [200, true]);
    }
    assert.equal(await (await fetch(new URL('/health', server.endpoint))).text(), 'the application is up');
    assert.equal((await fetch(new URL('elsewhere', server.endpoint))).status, 404);
  }],
  ...essentials.map(({ name, run }, i) => [name, async ({ server, devices, folder }: Story) => {
    const user = `u${i + 1}`;
    const stage = new Stage(server, user, USERS[user]!, devices, join(folder, user));
    try {
      await run(stage);
    } finally {
      await stage.close();
    }
  }] as const),
];
