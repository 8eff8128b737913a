/** passport-ldapauth against a real directory, in a portal, with real Anki clients. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AnkiDevices } from '../client/devices.ts';
import { Slapd, slapdMissing } from './ldap/slapd.ts';
import { startPortal } from './portal-app.ts';
import { STEPS, type Story } from './portal-story.ts';

const skip = await slapdMissing();

describe('a portal with passport-ldapauth, mounted below /portal/anki', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-portal-'));
  let story: Story;
  before(async () => {
    const slapd = await Slapd.start();
    story = { slapd, portal: await startPortal(slapd, join(folder, 'data')), devices: await AnkiDevices.start(), folder };
  });
  after(async () => {
    await story?.devices.end();
    await story?.portal.close();
    await story?.slapd.close();
    rmSync(folder, { recursive: true, force: true });
  });
  for (const [sentence, run] of STEPS) test(sentence, () => run(story));
});
