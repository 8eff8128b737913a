/**
 * `npm run try:ldap [-- --keep]`: a real directory (slapd), the standalone server on it, and real Anki clients. Installs what is missing (slapd as
 * root on Debian, Anki into the project's cache), plays the story, and prints `N passed, N failed`. With --keep, all of it stays up to be
 * tried by hand, until Ctrl+C.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseArgs } from 'node:util';
import { Slapd, slapdMissing } from '../test/auth/ldap/slapd.ts';
import { startServer } from '../test/cli/command.ts';
import { AnkiDevices } from '../test/client/devices.ts';
import { ADA, BOB, EVE, ldapVariables, STEPS, WHERE } from '../test/client/ldap-story.ts';
import { playSteps, untilStopped } from './story.ts';

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false }, port: { type: 'string', default: '0' } } });

const missing = await slapdMissing();
if (missing !== false) {
  console.error(missing);
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'anki-sync-try-ldap-'));
const endings: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
const ending = { after: (end: () => unknown) => void endings.push(end) };
const tally = { passed: 0, failed: 0 };
try {
  const slapd = await Slapd.start();
  ending.after(() => slapd.close());
  const env = ldapVariables(slapd, join(folder, 'secrets'));
  const server = await startServer(ending as TestContext, ['--port', values.port, '--base', join(folder, 'data')], { env });
  const devices = await AnkiDevices.start();
  ending.after(() => devices.end());
  console.log(`directory at ${slapd.ldap} and ${slapd.ldaps}; Anki syncs with ${server.url}`);
  const story = { slapd, server, devices, folder, signedIn: new Map() };
  await playSteps(STEPS, story, tally);
  if (values.keep) {
    const variables = Object.entries(env).map(([name, value]) => `  ${name}='${value}'`).join('\n');
    console.log(`
Try it: enter ${server.url} in Anki (Tools, Preferences, Syncing, Self-hosted sync server), and sign in as
  ${ADA.user} with the password ${ADA.password}
  ${EVE.user} with ${EVE.password}, who is in no group, and refused (${BOB.user} was removed by the story)
The directory: people and groups are in ${WHERE}. Look at it with
  ldapsearch -x -H ${slapd.ldap} -D '${slapd.admin.dn}' -w ${slapd.admin.password} -b dc=example,dc=org
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
