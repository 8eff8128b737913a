/** compose.yaml, its Caddyfile and the workflow: read by real readers of their formats where these are there. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isKnownVariable } from '../../lib/cli/settings-table.ts';
import { run } from '../oracle/anki-python.ts';
import { ROOT } from '../package/project-copy.ts';
import { DEBIAN_CADDY } from '../proxies/caddy.ts';
import { proxiesMissing } from '../proxies/debian.ts';

const FOLDER = join(ROOT, 'deploy/docker');
const WORKFLOW = join(ROOT, '.github/workflows/image.yml');

/** A Python that reads YAML: the one in PATH, or Debian's with python3-yaml. */
async function pythonWithYaml(): Promise<string | undefined> {
  const found = (): string | undefined => ['python3', '/usr/bin/python3'].find((python) => spawnSync(python, ['-c', 'import yaml'], { stdio: 'ignore' }).status === 0);
  if (found() !== undefined || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return found();
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const wait = ['-qq', '-o', 'DPkg::Lock::Timeout=300'];
  for (let attempt = 1; found() === undefined; attempt++) {
    try {
      await run('apt-get', [...wait, 'update'], { env });
      await run('apt-get', [...wait, 'install', '-y', '--no-install-recommends', 'python3-yaml'], { env });
    } catch (error) {
      // another suite installs at the same time
      if (attempt === 60 || !/lock/i.test(String(error))) throw error;
      await sleep(2000);
    }
  }
  return found();
}

const python = await pythonWithYaml();
const noYaml = python === undefined ? 'no Python here can read YAML (python3-yaml)' : false;

function readYaml(path: string): any {
  // an "on" of YAML 1.1 is true
  const script = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))';
  return JSON.parse(execFileSync(python!, ['-c', script, path], { encoding: 'utf8' }));
}

test('compose.yaml: the server is reached through Caddy alone, has settings that exist, and the time that it needs to stop', { skip: noYaml }, async () => {
  const { services, volumes } = readYaml(join(FOLDER, 'compose.yaml'));
  const { 'anki-sync': server, caddy } = services;
  assert.equal(server.ports, undefined);
  assert.equal(join(FOLDER, server.build.context), ROOT.replace(/\/$/, ''));
  assert.ok(existsSync(join(ROOT, server.build.dockerfile)));
  for (const name of Object.keys(server.environment)) assert.ok(isKnownVariable(name), name);
  assert.ok(Number.parseInt(server.stop_grace_period, 10) >= 15);
  assert.deepEqual([server.read_only, server.cap_drop], [true, ['ALL']]);
  for (const volume of [...server.volumes, ...caddy.volumes] as string[]) {
    const [source = ''] = volume.split(':');
    assert.ok(source.startsWith('./') ? existsSync(join(FOLDER, source)) : source in volumes, volume);
  }
  assert.deepEqual(Object.keys(caddy.environment), ['DOMAIN', 'EMAIL']);
});

test('compose.yaml asks for DOMAIN and EMAIL by a message, not by a failure of Caddy', async () => {
  const text = (await readFile(join(FOLDER, 'compose.yaml'), 'utf8')).replaceAll(/^#.*$/gm, '');
  const variables = [...text.matchAll(/\$\{(\w+)(\S?)(.?)/g)];
  assert.deepEqual([...new Set(variables.map(([, name]) => name))].sort(), ['DOMAIN', 'EMAIL', 'IMAGE']);
  for (const [all, name, first, second] of variables) assert.equal(`${first}${second}`, name === 'IMAGE' ? ':-' : ':?', all);
});

test("the Caddyfile of the containers is the tested one of adapters/caddy, with the containers' names", async () => {
  const body = (text: string): string => text.slice(text.indexOf('\n{'));
  const tested = body(await readFile(join(ROOT, 'adapters/caddy/Caddyfile'), 'utf8'));
  const ours = body(await readFile(join(FOLDER, 'Caddyfile'), 'utf8'));
  assert.equal(ours.replace('\temail {$EMAIL}\n\n', '').replace('{$DOMAIN} {', 'anki.example.org {').replace('anki-sync:8080', '127.0.0.1:27701'), tested);
});

const noCaddy = await proxiesMissing(['caddy']);

test('the real Caddy takes it, and gets a certificate for DOMAIN with EMAIL', { skip: noCaddy }, () => {
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', DOMAIN: 'anki.example.org', EMAIL: 'kim@example.org' };
  const adapted = execFileSync(DEBIAN_CADDY, ['adapt', '--adapter', 'caddyfile', '--config', join(FOLDER, 'Caddyfile')], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const { apps: { http, tls } } = JSON.parse(adapted);
  assert.deepEqual(http.servers.srv0.routes[0].match, [{ host: ['anki.example.org'] }]);
  assert.deepEqual(tls.automation.policies[0].subjects, ['anki.example.org']);
  assert.equal(tls.automation.policies[0].issuers[0].email, 'kim@example.org');
  assert.match(adapted, /"dial":"anki-sync:8080"/);
});

test('the workflow builds the Dockerfile for both processors, publishes tags alone, and its shell lines are shell', { skip: noYaml }, () => {
  const workflow = readYaml(WORKFLOW);
  assert.deepEqual(workflow.true.push, { tags: ['v*'] });
  assert.deepEqual(workflow.permissions, { contents: 'read' });
  const { steps } = workflow.jobs.image as { steps: { uses?: string; run?: string; if?: string; with?: Record<string, unknown> }[] };
  for (const { uses, run: lines, with: inputs } of steps) {
    assert.ok((uses === undefined) !== (lines === undefined));
    if (uses !== undefined) assert.match(uses, /^[\w-]+\/[\w-]+@v\d+$/);
    if (lines !== undefined) assert.equal(spawnSync('bash', ['-n', '-c', lines]).status, 0);
    if (inputs?.['file'] !== undefined) assert.ok(existsSync(join(ROOT, String(inputs['file']))));
  }
  const publishing = steps.filter(({ uses = '', with: inputs }) => uses.startsWith('docker/login') || inputs?.['push'] === true);
  assert.deepEqual(publishing.map((step) => step.if), Array(2).fill("startsWith(github.ref, 'refs/tags/v')"));
  assert.equal(publishing.at(-1)!.with?.['platforms'], 'linux/amd64,linux/arm64');
});
