import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Slapd, slapdMissing } from '../auth/ldap/slapd.ts';
import { startServer } from '../cli/command.ts';
import { AnkiDevices } from '../client/devices.ts';
import { ldapVariables } from '../client/ldap-story.ts';
import { gatewayArguments, officialServer, STEPS, type GatewayStory } from './story.ts';

const skip = await slapdMissing();

test('a directory in front of an official server, with real clients', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-gateway-story-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const slapd = await Slapd.start();
  t.after(() => slapd.close());
  const devices = await AnkiDevices.start();
  t.after(() => devices.end());
  const official = await officialServer(folder);
  t.after(() => story.official.stop());
  const gateway = await startServer(t, ['--port', '0', ...gatewayArguments(folder, official)], { env: ldapVariables(slapd, join(folder, 'secrets')), command: 'gateway' });
  const story: GatewayStory = { slapd, official, gateway, devices, folder, signedIn: new Map() };
  for (const [sentence, run] of STEPS) await t.test(sentence, () => run(story));
  assert.equal(await gateway.stop(), 0);
});
