/** compose.yaml, its Caddyfile and the workflow: held against the schemas of their formats, and read by the real Caddy. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { isKnownVariable } from '../../lib/cli/settings-table.ts';
import { ROOT } from '../package/project-copy.ts';
import { DEBIAN_CADDY } from '../proxies/caddy.ts';
import { proxiesMissing } from '../proxies/debian.ts';
import { fitsSchema, readYaml } from './linters.ts';

const FOLDER = join(ROOT, 'deploy/docker');
const WORKFLOW = join(ROOT, '.github/workflows/image.yml');

for (const [path, schema, right, wrong] of [
  [join(FOLDER, 'compose.yaml'), 'vendor.compose-spec', 'cap_drop:', 'cap_dropp:'],
  [WORKFLOW, 'vendor.github-workflows', 'timeout-minutes:', 'timeout:'],
] as const) {
  test(`${basename(path)} fits the schema of its format, which knows a key that is misspelt`, async (t) => {
    const verdict = await fitsSchema(schema, path);
    assert.ok(verdict.ok, verdict.text);
    const folder = await mkdtemp(join(tmpdir(), 'anki-sync-schema-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const misspelt = join(folder, basename(path));
    await writeFile(misspelt, (await readFile(path, 'utf8')).replace(right, wrong));
    const { ok, text } = await fitsSchema(schema, misspelt);
    assert.ok(!ok && text.includes(wrong.slice(0, -1)), text);
  });
}

test('compose.yaml: the server is reached through Caddy alone, has settings that exist, and the time that it needs to stop', async () => {
  const { services, volumes } = await readYaml(join(FOLDER, 'compose.yaml'));
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

test('the workflow builds the Dockerfile for both processors, publishes tags alone, and its shell lines are shell', async () => {
  const workflow = await readYaml(WORKFLOW);
  assert.deepEqual(workflow.on.push, { tags: ['v*'] });
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
