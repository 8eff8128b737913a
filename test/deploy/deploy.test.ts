/** The unit and the image: what can be looked at and run without systemd as process 1 and without containers. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { settingOf } from '../../lib/cli/settings-table.ts';
import { startServer, temporaryFolder } from '../cli/command.ts';
import { run } from '../oracle/anki-python.ts';
import { ROOT } from '../package/project-copy.ts';

const deploy = (path: string): Promise<string> => readFile(join(ROOT, 'deploy', path), 'utf8');
const noSystemd = existsSync('/usr/bin/systemd-analyze') ? false : 'there is no systemd-analyze';
const noCaddy = existsSync('/usr/bin/caddy') ? false : 'there is no Caddy';

test('systemd takes the unit, and finds it well closed', { skip: noSystemd }, async (t) => {
  const folder = await temporaryFolder(t);
  const unit = join(folder, 'anki-sync.service');
  const text = await deploy('systemd/anki-sync.service');
  // the program and its account are not installed here
  await writeFile(unit, text.replace('/usr/local/bin/anki-sync', process.execPath).replaceAll(/^(User|Group)=.*$/gm, ''));
  assert.equal((await run('systemd-analyze', ['verify', '--man=no', unit], {})).trim(), '');
  await run('systemd-analyze', ['security', '--offline=true', '--threshold=25', unit], {});
});

test('the unit starts the server with flags that exist', async () => {
  const command = /^ExecStart=\S+ (.*)$/m.exec(await deploy('systemd/anki-sync.service'))![1]!;
  assert.match(command, /^serve /);
  for (const [, flag = ''] of command.matchAll(/--([a-z-]+)/g)) assert.ok(['base', 'config'].includes(flag), flag);
});

test('the image sets variables that exist, and copies what is there', async () => {
  const text = await deploy('docker/Dockerfile');
  for (const [, name = ''] of text.matchAll(/^ {4}(SYNC_\w+)=|^ENV (?!NODE_ENV)(\w+)=/gm)) assert.ok(settingOf(name), name);
  for (const name of ['package.json', 'package-lock.json']) assert.ok(existsSync(join(ROOT, name)));
  const { dependencies, devDependencies, peerDependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Record<string, Record<string, string>>;
  for (const wanted of /^ARG OPTIONAL="(.*)"$/m.exec(text)![1]!.split(' ')) {
    const [, name = '', major = ''] = /^(.*)@(\d+)$/.exec(wanted)!;
    assert.ok(({ ...devDependencies, ...peerDependencies, ...dependencies }[name] ?? '').startsWith(`^${major}.`), wanted);
  }
  assert.match(text, /^USER node$/m);
  assert.match(text, /^STOPSIGNAL SIGTERM$/m);
});

test('the health check of the image says yes while the server is ready, and no when it is gone', async (t) => {
  const text = await deploy('docker/Dockerfile');
  const [, ...args] = JSON.parse(/HEALTHCHECK[^[]*(\[.*\])/.exec(text)![1]!) as string[];
  const server = await startServer(t, ['--port', '0', '--base', await temporaryFolder(t)]);
  const env = { ...process.env, SYNC_PORT: new URL(server.url).port };
  await run(process.execPath, args, { env });
  assert.equal(await server.stop(), 0);
  await assert.rejects(run(process.execPath, args, { env }));
});

test('Caddy takes the file of the compose file', { skip: noCaddy }, async () => {
  const env = { ...process.env, DOMAIN: 'anki.example.org', EMAIL: 'you@example.org' };
  const adapted = await run('caddy', ['adapt', '--config', join(ROOT, 'deploy/docker/Caddyfile'), '--adapter', 'caddyfile'], { env });
  assert.match(adapted, /"anki\.example\.org"/);
  assert.match(adapted, /"dial":"anki:8080"/);
});

test('the compose file sets variables that exist', async () => {
  const text = await deploy('docker/compose.yml');
  const names = [...(text.split('caddy:')[0] ?? '').matchAll(/^ {6}([A-Z][A-Z_]+):/gm)].map(([, name]) => name!);
  assert.ok(names.length >= 2);
  for (const name of names) assert.ok(settingOf(name), name);
});

test('the container itself', { skip: 'containers do not run in the tests: its commands do, outside of one' }, () => {});
