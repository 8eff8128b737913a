/**
 * `npm run try:oidc [-- --keep]`: a real provider of OpenID Connect, the standalone server, a real browser (chromium), and real Anki clients. Installs
 * what is missing (chromium as root on Debian, Anki into the project's cache), plays the story, and prints `N passed, N failed`. With --keep, all
 * of it stays up to be tried by hand, until Ctrl+C.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseArgs } from 'node:util';
import { chromiumMissing, startChromium } from '../test/account/chromium.ts';
import { PEOPLE, RealProvider } from '../test/auth/oidc/provider.ts';
import { startServer } from '../test/cli/command.ts';
import { AnkiDevices } from '../test/client/devices.ts';
import { oidcVariables, STEPS, type OidcStory } from '../test/client/oidc-story.ts';
import { playSteps, untilStopped } from './story.ts';

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false }, port: { type: 'string', default: '0' } } });

const missing = await chromiumMissing();
if (missing !== false) {
  console.error(missing);
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'anki-sync-try-oidc-'));
const endings: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
const ending = { after: (end: () => unknown) => void endings.push(end) };
const tally = { passed: 0, failed: 0 };
try {
  const provider = await RealProvider.start(['http://127.0.0.1:9/']);
  ending.after(() => provider.close());
  await provider.down();
  const env = oidcVariables(provider);
  const server = await startServer(ending as TestContext, ['--port', values.port, '--base', join(folder, 'data')], { env });
  // playwright would end this process by itself
  const browser = await startChromium({ handleSIGINT: false, handleSIGTERM: false });
  ending.after(() => browser.close());
  const devices = await AnkiDevices.start();
  ending.after(() => devices.end());
  console.log(`provider at ${provider.issuer}; account page at ${server.url}account; Anki syncs with ${server.url}`);
  const story: OidcStory = { provider, server, browser, devices, folder, known: { passwords: new Map(), devices: new Map() } };
  await playSteps(STEPS, story, tally);
  if (values.keep) {
    const people = Object.entries(PEOPLE).map(([name, { password, claims }]) => `  ${name} with ${password}: ${JSON.stringify(claims)}`).join('\n');
    const variables = Object.entries(env).map(([name, value]) => `  ${name}='${value}'`).join('\n');
    console.log(`
Try it: open ${server.url}account in a browser, and sign in at the provider as one of
${people}
Make an app password there, and enter ${server.url} in Anki (Tools, Preferences, Syncing, Self-hosted sync server) with it.
The server has been started with
${variables}
Ctrl+C ends it all.`);
    server.child.stdout?.on('data', (text: Buffer) => process.stdout.write(String(text).replaceAll(/^(?=.)/gm, 'server: ')));
    await untilStopped();
  }
} catch (error) {
  tally.failed++;
  console.log(`${error instanceof Error ? error.stack : String(error)}\n${tally.passed} passed, ${tally.failed} failed`);
} finally {
  for (const end of endings.reverse()) await end();
}
process.exit(tally.failed > 0 ? 1 : 0);
