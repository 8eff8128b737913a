import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ankiSync, startServer } from '../cli/command.ts';
import { AnkiDevices } from './devices.ts';
import { KIM, STEPS } from './tls-story.ts';

test('https with an authority of one\'s own, with real clients', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-tls-client-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [tlsFolder, base] = [join(folder, 'tls'), join(folder, 'data')];
  await ankiSync(['tls', 'self-signed', '--host', 'localhost,127.0.0.1', '--to', tlsFolder]);
  await ankiSync(['user', 'add', KIM.user, '--base', base], { input: KIM.password });
  const files = ['--tls-cert', join(tlsFolder, 'cert.pem'), '--tls-key', join(tlsFolder, 'key.pem'), '--tls-plain-port', '0'];
  const server = await startServer(t, ['--port', '0', '--base', base, ...files]);
  const devices = await AnkiDevices.start({ env: { SSL_CERT_FILE: join(tlsFolder, 'ca.pem') } });
  t.after(() => devices.end());
  const strangers = await AnkiDevices.start();
  t.after(() => strangers.end());
  const story = { server, devices, strangers, folder, tlsFolder, open: new Map() };
  for (const [sentence, run] of STEPS) await t.test(sentence, () => run(story));
  assert.equal(await server.stop(), 0);
  assert.doesNotMatch(server.lines.join('\n'), new RegExp(KIM.password));
});
