/**
 * `npm run try:gateway [-- --keep]`: the official server with cards of years, a real directory (slapd) and a gateway in front of it, and real Anki
 * clients. Installs what is missing (slapd as root on Debian, Anki into the project's cache), plays the story, and prints `N passed, N failed`.
 * With --keep, all of it stays up to be tried by hand, until Ctrl+C.
 */
import { join } from 'node:path';
import { Slapd, slapdMissing } from '../test/auth/ldap/slapd.ts';
import { startServer } from '../test/cli/command.ts';
import { AnkiDevices } from '../test/client/devices.ts';
import { ADA, ldapVariables } from '../test/client/ldap-story.ts';
import { gatewayArguments, officialServer, STEPS, THERE, type GatewayStory } from '../test/gateway/story.ts';
import { keepUp, playSteps, tryOut } from './story.ts';

await tryOut('gateway', slapdMissing, async ({ folder, port, keep, tally, ending }) => {
  const slapd = await Slapd.start();
  ending.after(() => slapd.close());
  const official = await officialServer(folder);
  ending.after(() => story.official.stop());
  const env = ldapVariables(slapd, join(folder, 'secrets'));
  const gateway = await startServer(ending, ['--port', port, ...gatewayArguments(folder, official)], { env, command: 'gateway' });
  const devices = await AnkiDevices.start();
  ending.after(() => devices.end());
  console.log(`official server at ${official.url}; directory at ${slapd.ldap}; Anki syncs with the gateway at ${gateway.url}`);
  const story: GatewayStory = { slapd, official, gateway, devices, folder, signedIn: new Map() };
  await playSteps(STEPS, story, tally);
  if (keep) {
    console.log(`
Try it: enter ${gateway.url} in Anki (Tools, Preferences, Syncing, Self-hosted sync server), and sign in as
  ${ADA.user} with the password ${ADA.password}, once she is in the group again:
  printf 'dn: cn=learners,ou=groups,dc=example,dc=org\\nchangetype: modify\\nadd: member\\nmember: uid=Ada,ou=people,dc=example,dc=org\\n' \\
    | ldapmodify -x -H ${slapd.ldap} -D '${slapd.admin.dn}' -w ${slapd.admin.password}
Her page is ${gateway.url}account. Her cards are at ${official.url}, where she is ${THERE.user} with the password ${THERE.password}.
Ctrl+C ends it all.`);
    await keepUp(gateway, 'gateway');
  }
});
