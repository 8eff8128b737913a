/** What `try:express`, `try:fastify`, `try:koa` and `try:hono` have in common: the application, real Anki clients, the story. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AnkiDevices } from '../test/client/devices.ts';
import { STEPS, USERS } from '../test/client/framework-story.ts';
import type { Mount, MountedServer } from '../test/client/mounts.ts';
import { playSteps, untilStopped } from './story.ts';

/** Ends the process: with 1 if a step failed. */
export async function tryFramework(mount: Mount): Promise<never> {
  const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-try-'));
  const tally = { passed: 0, failed: 0 };
  let server: MountedServer | undefined;
  let devices: AnkiDevices | undefined;
  try {
    devices = await AnkiDevices.start();
    server = await mount.start({ users: USERS });
    console.log(`the sync server ${mount.name}: Anki syncs with ${server.endpoint}`);
    await playSteps(STEPS, { server, devices, folder }, tally);
    if (values.keep) {
      console.log(`Try it: open ${server.endpoint}, or enter it in Anki, as kim with "${USERS['kim']}". Ctrl+C ends it.`);
      await untilStopped();
    }
  } finally {
    await devices?.end();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  process.exit(tally.failed > 0 ? 1 : 0);
}
