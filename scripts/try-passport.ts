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
let passed = 0;
let failed = 0;
try {
  slapd = await Slapd.start();
  portal = await startPortal(slapd, join(folder, 'data'), Number(values.port));
  devices = await AnkiDevices.start();
  console.log(`directory at ${slapd.ldap} and ${slapd.ldaps}; portal at ${portal.url}; Anki syncs with ${portal.ankiUrl}`);
  for (const [sentence, run] of STEPS) {
    try {
      await run({ slapd, portal, devices, folder });
      passed++;
      console.log(`✔ ${sentence}`);
    } catch (error) {
      failed++;
      console.log(`✖ ${sentence}\n${error instanceof Error ? error.stack : String(error)}`);
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  if (values.keep) {
    console.log(`Try it: open ${portal.url}, or enter ${portal.ankiUrl} in Anki, as ${ADA.user} with ${ADA.password}, or as ${BOB.user} with ${BOB.password}. Ctrl+C ends it.`);
    await new Promise<void>((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve));
  }
} finally {
  await devices?.end();
  await portal?.close();
  await slapd?.close();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(failed > 0 ? 1 : 0);
