/**
 * `npm run try:ldap [-- --keep]`: a real directory (slapd), the standalone server on it, and real Anki clients. Installs what is missing (slapd as
 * root on Debian, Anki into the project's cache), plays the story, and prints `N passed, N failed`. With --keep, all of it stays up to be
 * tried by hand, until Ctrl+C.
 */
import { join } from 'node:path';
import { Slapd, slapdMissing } from '../test/auth/ldap/slapd.ts';
import { startServer } from '../test/cli/command.ts';
import { AnkiDevices } from '../test/client/devices.ts';
import { ADA, BOB, EVE, ldapVariables, STEPS, WHERE } from '../test/client/ldap-story.ts';
import { keepUp, playSteps, tryOut } from './story.ts';

await tryOut('ldap', slapdMissing, async ({ folder, port, keep, tally, ending }) => {
  const slapd = await Slapd.start();
  ending.after(() => slapd.close());
  const env = ldapVariables(slapd, join(folder, 'secrets'));
  const server = await startServer(ending, ['--port', port, '--base', join(folder, 'data')], { env });
  const devices = await AnkiDevices.start();
  ending.after(() => devices.end());
  console.log(`directory at ${slapd.ldap} and ${slapd.ldaps}; Anki syncs with ${server.url}`);
  const story = { slapd, server, devices, folder, signedIn: new Map() };
  await playSteps(STEPS, story, tally);
  if (keep) {
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
    await keepUp(server);
  }
});
