import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chromiumMissing, startChromium } from '../account/chromium.ts';
import { RealProvider } from '../auth/oidc/provider.ts';
import { startServer } from '../cli/command.ts';
import { AnkiDevices } from './devices.ts';
import { oidcVariables, STEPS } from './oidc-story.ts';

const skip = await chromiumMissing();

test('single sign-on in chromium, app passwords, and real Anki clients', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-oidc-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const provider = await RealProvider.start(['http://127.0.0.1:9/']);
  t.after(() => provider.close());
  await provider.down();
  const server = await startServer(t, ['--port', '0', '--base', join(folder, 'data')], { env: oidcVariables(provider) });
  const browser = await startChromium();
  t.after(() => browser.close());
  const devices = await AnkiDevices.start();
  t.after(() => devices.end());
  const story = { provider, server, browser, devices, folder, known: { passwords: new Map(), devices: new Map() } };
  let failed = false;
  for (const [sentence, run] of STEPS) {
    await t.test(sentence, { skip: failed && 'it stands on a step that failed' }, async () => {
      failed = true;
      await run(story);
      failed = false;
    });
  }
});
