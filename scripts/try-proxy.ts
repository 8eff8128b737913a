/** What `try:nginx` and `try:caddy` have in common: the real proxy in each of our configurations, a server behind it, real Anki clients. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AnkiDevices } from '../test/client/devices.ts';
import type { MountedServer } from '../test/client/mounts.ts';
import { essentials } from '../test/client/scenarios/essentials.ts';
import { Stage } from '../test/client/stage.ts';
import { accountPage, clientAddress, mountBehind, oldForms } from '../test/proxies/behind-proxy.ts';
import { testCertificates, trustTestCertificates } from '../test/proxies/certificates.ts';
import type { Proxy } from '../test/proxies/proxy.ts';
import { playSteps, untilStopped } from './story.ts';

const KIM = 'a good password';

interface Story {
  server: MountedServer;
  devices: AnkiDevices;
  folder: string;
}

const scenarios = [...essentials, oldForms, accountPage, clientAddress];
const users = { ...Object.fromEntries(scenarios.map((_scenario, i) => [`u${i + 1}`, `secret ${i + 1}`])), kim: KIM };

const steps = scenarios.map(({ name, run }, i) => [name, async ({ server, devices, folder }: Story) => {
  const user = `u${i + 1}`;
  const stage = new Stage(server, user, `secret ${i + 1}`, devices, join(folder, user));
  try {
    await run(stage);
  } finally {
    await stage.close();
  }
}] as const);

/** Ends the process: with 1 if a step failed. */
export async function tryProxies(proxies: readonly Proxy[]): Promise<never> {
  const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
  await trustTestCertificates();
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-try-proxy-'));
  const tally = { passed: 0, failed: 0 };
  const servers: MountedServer[] = [];
  let devices: AnkiDevices | undefined;
  try {
    devices = await AnkiDevices.start();
    for (const [i, proxy] of proxies.entries()) {
      const server = await mountBehind(proxy).start({ users });
      servers.push(server);
      console.log(`${i === 0 ? '' : '\n'}${proxy.name}: Anki syncs with ${server.endpoint}`);
      await playSteps(steps, { server, devices, folder: join(folder, String(i)) }, tally);
    }
    if (values.keep) {
      const { ca } = await testCertificates();
      console.log(`
Try it: open one of these, or enter it in Anki, as kim with "${KIM}":
${proxies.map(({ name }, i) => `  ${servers[i]!.endpoint}  ${name}`).join('\n')}
Where it is https, Anki has to be started with SSL_CERT_FILE=${ca}. Ctrl+C ends it all.`);
      await untilStopped();
    }
  } catch (error) {
    tally.failed++;
    console.log(`${error instanceof Error ? error.stack : String(error)}\n${tally.passed} passed, ${tally.failed} failed`);
  } finally {
    await devices?.end();
    for (const server of servers) await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  process.exit(tally.failed > 0 ? 1 : 0);
}
