/**
 * `npm run try:oidc [-- --keep]`: a real provider of OpenID Connect, the standalone server, a real browser (chromium), and real Anki clients. Installs
 * what is missing (chromium as root on Debian, Anki into the project's cache), plays the story, and prints `N passed, N failed`. With --keep, all
 * of it stays up to be tried by hand, until Ctrl+C.
 */
import { join } from 'node:path';
import { chromiumMissing, startChromium } from '../test/account/chromium.ts';
import { PEOPLE, RealProvider } from '../test/auth/oidc/provider.ts';
import { startServer } from '../test/cli/command.ts';
import { AnkiDevices } from '../test/client/devices.ts';
import { oidcVariables, STEPS, type OidcStory } from '../test/client/oidc-story.ts';
import { keepUp, playSteps, tryOut } from './story.ts';

await tryOut('oidc', chromiumMissing, async ({ folder, port, keep, tally, ending }) => {
  const provider = await RealProvider.start(['http://127.0.0.1:9/']);
  ending.after(() => provider.close());
  await provider.down();
  const env = oidcVariables(provider);
  const server = await startServer(ending, ['--port', port, '--base', join(folder, 'data')], { env });
  // playwright would end this process by itself
  const browser = await startChromium({ handleSIGINT: false, handleSIGTERM: false });
  ending.after(() => browser.close());
  const devices = await AnkiDevices.start();
  ending.after(() => devices.end());
  console.log(`provider at ${provider.issuer}; account page at ${server.url}account; Anki syncs with ${server.url}`);
  const story: OidcStory = { provider, server, browser, devices, folder, known: { passwords: new Map(), devices: new Map() } };
  await playSteps(STEPS, story, tally);
  if (keep) {
    const people = Object.entries(PEOPLE).map(([name, { password, claims }]) => `  ${name} with ${password}: ${JSON.stringify(claims)}`).join('\n');
    const variables = Object.entries(env).map(([name, value]) => `  ${name}='${value}'`).join('\n');
    console.log(`
Try it: open ${server.url}account in a browser, and sign in at the provider as one of
${people}
Make an app password there, and enter ${server.url} in Anki (Tools, Preferences, Syncing, Self-hosted sync server) with it.
The server has been started with
${variables}
Ctrl+C ends it all.`);
    await keepUp(server);
  }
});
