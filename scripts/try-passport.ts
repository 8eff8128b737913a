/**
 * `npm run try:passport [-- --keep]`: a portal in Express that signs people in through passport-ldapauth, with a real directory (slapd) behind it,
 * the sync server mounted below /portal/anki, and real Anki clients. Installs what is missing (slapd as root on Debian, Anki into the project's
 * cache), plays the story, and prints `N passed, N failed`. With --keep, all of it stays up to be tried by hand, until Ctrl+C.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Slapd, slapdMissing } from '../test/auth/ldap/slapd.ts';
import { startPortal, type Portal } from '../test/auth/portal-app.ts';
import { ADA, BOB, STEPS } from '../test/auth/portal-story.ts';
import { AnkiDevices } from '../test/client/devices.ts';
import { playSteps, untilStopped } from './story.ts';

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false }, port: { type: 'string', default: '0' } } });

const missing = await slapdMissing();
if (missing !== false) {
  console.error(missing);
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'anki-sync-try-passport-'));
let slapd: Slapd | undefined;
let portal: Portal | undefined;
let devices: AnkiDevices | undefined;
const tally = { passed: 0, failed: 0 };
try {
  slapd = await Slapd.start();
  portal = await startPortal(slapd, join(folder, 'data'), Number(values.port));
  devices = await AnkiDevices.start();
  console.log(`directory at ${slapd.ldap} and ${slapd.ldaps}; portal at ${portal.url}; Anki syncs with ${portal.ankiUrl}`);
  await playSteps(STEPS, { slapd, portal, devices, folder }, tally);
  if (values.keep) {
    console.log(`Try it: open ${portal.url}, or enter ${portal.ankiUrl} in Anki, as ${ADA.user} with ${ADA.password}, or as ${BOB.user} with ${BOB.password}. Ctrl+C ends it.`);
    await untilStopped();
  }
} finally {
  await devices?.end();
  await portal?.close();
  await slapd?.close();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(tally.failed > 0 ? 1 : 0);
