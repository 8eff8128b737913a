/**
 * `npm run try:gateway [-- --keep]`: the official server with cards of years, a real directory (slapd) and a gateway in front of it, and real Anki
 * clients. Installs what is missing (slapd as root on Debian, Anki into the project's cache), plays the story, and prints `N passed, N failed`.
 * With --keep, all of it stays up to be tried by hand, until Ctrl+C.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseArgs } from 'node:util';
import { Slapd, slapdMissing } from '../test/auth/ldap/slapd.ts';
import { startServer } from '../test/cli/command.ts';
import { AnkiDevices } from '../test/client/devices.ts';
import { ADA, ldapVariables } from '../test/client/ldap-story.ts';
import { gatewayArguments, officialServer, STEPS, THERE, type GatewayStory } from '../test/gateway/story.ts';
import { playSteps, untilStopped } from './story.ts';

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false }, port: { type: 'string', default: '0' } } });

const missing = await slapdMissing();
if (missing !== false) {
  console.error(missing);
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'anki-sync-try-gateway-'));
const endings: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
const ending = { after: (end: () => unknown) => void endings.push(end) };
const tally = { passed: 0, failed: 0 };
try {
  const slapd = await Slapd.start();
  ending.after(() => slapd.close());
  const official = await officialServer(folder);
  ending.after(() => story.official.stop());
  const env = ldapVariables(slapd, join(folder, 'secrets'));
  const gateway = await startServer(ending as TestContext, ['--port', values.port, ...gatewayArguments(folder, official)], { env, command: 'gateway' });
  const devices = await AnkiDevices.start();
  ending.after(() => devices.end());
  console.log(`official server at ${official.url}; directory at ${slapd.ldap}; Anki syncs with the gateway at ${gateway.url}`);
  const story: GatewayStory = { slapd, official, gateway, devices, folder, signedIn: new Map() };
  await playSteps(STEPS, story, tally);
  if (values.keep) {
    console.log(`
Try it: enter ${gateway.url} in Anki (Tools, Preferences, Syncing, Self-hosted sync server), and sign in as
  ${ADA.user} with the password ${ADA.password}, once she is in the group again:
  printf 'dn: cn=learners,ou=groups,dc=example,dc=org\\nchangetype: modify\\nadd: member\\nmember: uid=Ada,ou=people,dc=example,dc=org\\n' \\
    | ldapmodify -x -H ${slapd.ldap} -D '${slapd.admin.dn}' -w ${slapd.admin.password}
Her page is ${gateway.url}account. Her cards are at ${official.url}, where she is ${THERE.user} with the password ${THERE.password}.
Ctrl+C ends it all.`);
    gateway.child.stdout?.on('data', (text: Buffer) => process.stdout.write(String(text).replaceAll(/^(?=.)/gm, 'gateway: ')));
    await untilStopped();
  }
} catch (error) {
  tally.failed++;
  console.log(`${error instanceof Error ? error.stack : String(error)}\n${tally.passed} passed, ${tally.failed} failed`);
} finally {
  for (const end of endings.reverse()) await end();
}
process.exit(tally.failed > 0 ? 1 : 0);
