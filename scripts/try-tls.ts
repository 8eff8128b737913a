/**
 * `npm run try:tls [-- --keep]`: an authority of one's own, the standalone server with it, and real Anki clients at a subpath, while the certificate is
 * renewed. Installs Anki into the project's cache, plays the story, and prints `N passed, N failed`. With --keep, the server stays up to be tried by
 * hand, until Ctrl+C.
 */
import { join } from 'node:path';
import { ankiSync, startServer } from '../test/cli/command.ts';
import { AnkiDevices } from '../test/client/devices.ts';
import { KIM, STEPS, subpathOf } from '../test/client/tls-story.ts';
import { keepUp, playSteps, tryOut } from './story.ts';

await tryOut('tls', async () => false, async ({ folder, port, keep, tally, ending }) => {
  const [tlsFolder, base] = [join(folder, 'tls'), join(folder, 'data')];
  await ankiSync(['tls', 'self-signed', '--host', 'localhost,127.0.0.1', '--to', tlsFolder]);
  await ankiSync(['user', 'add', KIM.user, '--base', base], { input: KIM.password });
  const files = ['--tls-cert', join(tlsFolder, 'cert.pem'), '--tls-key', join(tlsFolder, 'key.pem'), '--tls-plain-port', '0'];
  const server = await startServer(ending, ['--port', port, '--base', base, ...files]);
  const devices = await AnkiDevices.start({ env: { SSL_CERT_FILE: join(tlsFolder, 'ca.pem') } });
  ending.after(() => devices.end());
  const strangers = await AnkiDevices.start();
  ending.after(() => strangers.end());
  console.log(`Anki syncs with ${subpathOf({ server })}, trusting ${join(tlsFolder, 'ca.pem')}`);
  await playSteps(STEPS, { server, devices, strangers, folder, tlsFolder, open: new Map() }, tally);
  if (keep) {
    console.log(`
Try it: start Anki with SSL_CERT_FILE=${join(tlsFolder, 'ca.pem')} in its environment, enter ${server.url} (Tools, Preferences, Syncing,
Self-hosted sync server), and sign in as ${KIM.user} with the password: ${KIM.password}
Renew the certificate: npm run -s anki-sync -- tls self-signed --to ${tlsFolder}
Ctrl+C ends it all.`);
    await keepUp(server);
  }
});
