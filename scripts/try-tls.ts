/**
 * `npm run try:tls [-- --keep]`: an authority of one's own, the standalone server with it, and real Anki clients at a subpath, while the certificate is
 * renewed. Installs Anki into the project's cache, plays the story, and prints `N passed, N failed`. With --keep, the server stays up to be tried by
 * hand, until Ctrl+C.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseArgs } from 'node:util';
import { ankiSync, startServer } from '../test/cli/command.ts';
import { AnkiDevices } from '../test/client/devices.ts';
import { KIM, STEPS, subpathOf } from '../test/client/tls-story.ts';
import { playSteps, untilStopped } from './story.ts';

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false }, port: { type: 'string', default: '0' } } });

const folder = mkdtempSync(join(tmpdir(), 'anki-sync-try-tls-'));
const endings: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
const ending = { after: (end: () => unknown) => void endings.push(end) };
const tally = { passed: 0, failed: 0 };
try {
  const [tlsFolder, base] = [join(folder, 'tls'), join(folder, 'data')];
  await ankiSync(['tls', 'self-signed', '--host', 'localhost,127.0.0.1', '--to', tlsFolder]);
  await ankiSync(['user', 'add', KIM.user, '--base', base], { input: KIM.password });
  const files = ['--tls-cert', join(tlsFolder, 'cert.pem'), '--tls-key', join(tlsFolder, 'key.pem'), '--tls-plain-port', '0'];
  const server = await startServer(ending as TestContext, ['--port', values.port, '--base', base, ...files]);
  const devices = await AnkiDevices.start({ env: { SSL_CERT_FILE: join(tlsFolder, 'ca.pem') } });
  ending.after(() => devices.end());
  const strangers = await AnkiDevices.start();
  ending.after(() => strangers.end());
  console.log(`Anki syncs with ${subpathOf({ server })}, trusting ${join(tlsFolder, 'ca.pem')}`);
  await playSteps(STEPS, { server, devices, strangers, folder, tlsFolder, open: new Map() }, tally);
  if (values.keep) {
    console.log(`
Try it: start Anki with SSL_CERT_FILE=${join(tlsFolder, 'ca.pem')} in its environment, enter ${server.url} (Tools, Preferences, Syncing,
Self-hosted sync server), and sign in as ${KIM.user} with the password: ${KIM.password}
Renew the certificate: npm run -s anki-sync -- tls self-signed --to ${tlsFolder}
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
