/** deploy/docker: the image is built and run by its own lines outside of a container, since containers are rarely to be had where tests run. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test, type TestContext } from 'node:test';
import { RawClient } from '../client/raw.ts';
import { run } from '../oracle/anki-python.ts';
import { pinnedNode, ROOT } from '../package/project-copy.ts';
import { isInContext, readDockerfile, type BuildStage, type Instruction } from './dockerfile.ts';
import { lintDockerfile, noHadolint } from './linters.ts';

const FOLDER = join(ROOT, 'deploy/docker');
const text = await readFile(join(FOLDER, 'Dockerfile'), 'utf8');
const [build, image] = readDockerfile(text) as [BuildStage, BuildStage];
const ignore = await readFile(join(ROOT, '.dockerignore'), 'utf8');

function only(stage: BuildStage, name: string): Instruction {
  const found = stage.instructions.filter((each) => each.name === name);
  assert.equal(found.length, 1, `one ${name}`);
  return found[0]!;
}

const healthCheck: string[] = JSON.parse(only(image, 'HEALTHCHECK').text.replace(/^CMD /, ''));

test('the Dockerfile has two stages of one fixed image, and the second one nothing that has to run on its processor', () => {
  assert.equal(readDockerfile(text).length, 2);
  assert.match(build.image, /^node:24-bookworm-slim$/);
  assert.equal(image.image, build.image);
  const known = ['WORKDIR', 'COPY', 'RUN', 'LABEL', 'ENV', 'USER', 'VOLUME', 'EXPOSE', 'STOPSIGNAL', 'HEALTHCHECK', 'ENTRYPOINT', 'CMD'];
  for (const { name } of [...build.instructions, ...image.instructions]) assert.ok(known.includes(name), name);
  assert.ok(!image.instructions.some(({ name }) => name === 'RUN'));
});

test('hadolint finds nothing in the Dockerfile, and something in a worse one', { skip: noHadolint }, async () => {
  assert.deepEqual(await lintDockerfile(text), { ok: true, text: '' });
  assert.match((await lintDockerfile(text.replace('WORKDIR /build', 'WORKDIR build'))).text, /DL3000/);
});

test('the image runs without rights, hears SIGTERM itself, and says whether it is well', () => {
  // by number, or Kubernetes could not tell that it is not root
  assert.match(only(image, 'USER').text, /^1000:1000$/);
  assert.equal(only(image, 'STOPSIGNAL').text, 'SIGTERM');
  assert.ok(only(image, 'ENTRYPOINT').isExecForm && only(image, 'CMD').isExecForm, 'no shell between the signal and the server');
  assert.equal(only(image, 'VOLUME').text, '/data');
  assert.deepEqual(healthCheck, ['anki-sync', 'status']);
});

test('whatever is copied into the image is in the project and in the context of its build, and nothing else is in that', async () => {
  const copied = [build, image].flatMap(({ instructions }) => instructions).filter(({ name, flags }) => name === 'COPY' && flags['from'] === undefined).flatMap(({ words }) => words.slice(0, -1));
  assert.ok(copied.includes('lib') && copied.includes('package-lock.json'));
  for (const path of copied) assert.ok(existsSync(join(ROOT, path)) && isInContext(path, ignore), path);
  for (const name of await readdir(ROOT)) {
    assert.equal(isInContext(name, ignore), copied.includes(name), name);
  }
});

let folder = '';
let built = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anki-sync-image-'));
  built = join(folder, 'build');
  await mkdir(built);
});

after(() => rm(folder, { recursive: true, force: true }));

async function copyInto(from: string, { words }: Instruction, to: string): Promise<void> {
  for (const name of words.slice(0, -1)) {
    const target = words.at(-1)!;
    const isFolder = (await lstat(join(from, name))).isDirectory();
    const path = isFolder || !target.endsWith('/') ? join(to, target) : join(to, target, name.split('/').at(-1)!);
    await mkdir(dirname(path), { recursive: true });
    await cp(join(from, name), path, { recursive: true, verbatimSymlinks: true });
  }
}

test('what the Dockerfile builds has all packages that settings can ask for, in the versions of the tests, and none for development', async () => {
  for (const instruction of build.instructions) {
    if (instruction.name === 'COPY') await copyInto(ROOT, instruction, built);
    if (instruction.name !== 'RUN') continue;
    const { text: command } = instruction;
    if (command.startsWith('npm ci ')) {
      // installed is what the tests run on
      await symlink(join(ROOT, 'node_modules'), join(built, 'node_modules'));
      continue;
    }
    if (command.includes('npm install ')) await rm(join(built, 'node_modules'));
    // where the image has /app, there is a folder here
    const here = command.replaceAll('/app', join(folder, 'app')).replace('npm install ', 'npm install --silent --prefer-offline ');
    await run('sh', ['-c', here], { cwd: built, env: pinnedNode });
  }
  const version = async (root: string, name: string): Promise<string> => JSON.parse(await readFile(join(root, 'node_modules', name, 'package.json'), 'utf8')).version;
  const { dependencies, peerDependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Record<string, Record<string, string>>;
  for (const name of [...Object.keys(dependencies!), ...Object.keys(peerDependencies!)].filter((each) => !each.startsWith('@types/'))) {
    assert.equal(await version(built, name), await version(ROOT, name), name);
  }
  for (const name of ['typescript', 'playwright-core', 'express', 'node', '@types']) assert.ok(!existsSync(join(built, 'node_modules', name)), name);
  for (const instruction of image.instructions.filter(({ name }) => name === 'COPY')) {
    await copyInto(instruction.flags['from'] === undefined ? ROOT : folder, instruction, folder);
  }
});

test('the image is small: little is laid upon that of Node.js, and nothing of it is for another system', async () => {
  const app = join(folder, 'app');
  let bytes = 0;
  for (const entry of await readdir(app, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    bytes += (await lstat(join(entry.parentPath, entry.name))).size;
    if (entry.name.endsWith('.node')) assert.match(entry.name, /^linux-(x64|arm64)\.node$/);
  }
  assert.ok(bytes < 20e6, `${bytes} bytes`);
});

/** The image's process with its environment, of which only the address differs. */
function started(t: TestContext): { child: ChildProcess; env: NodeJS.ProcessEnv } {
  const data = join(folder, 'data');
  const env: NodeJS.ProcessEnv = { PATH: `${join(folder, 'usr/local/bin')}:${pinnedNode['PATH']}`, SYNC_HOST: '127.0.0.1', SYNC_PORT: '0', LOG_FORMAT: 'json', METRICS: '127.0.0.1:0' };
  for (const word of only(image, 'ENV').words) {
    const [name = '', value = ''] = word.split('=');
    env[name] = value.replace(/^\/data$/, data);
  }
  const [command = '', ...args] = [...only(image, 'ENTRYPOINT').words, ...only(image, 'CMD').words];
  const child = spawn(command, args, { cwd: data, env, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  return { child, env };
}

test('the command of the image serves, its health check knows whether it does, and its stop signal ends it well', async (t) => {
  const { child, env } = started(t);
  const ended = once(child, 'exit');
  let url = '';
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout! })) {
    said.push(line);
    url = /enter (http:\S+) in Anki/.exec(line)?.[1] ?? '';
    if (url !== '') break;
  }
  assert.match(said.join('\n'), /no user yet\. [^"]*\\n +anki-sync user add NAME/);
  const options = { cwd: join(folder, 'data'), env };
  const [check = '', ...args] = healthCheck;
  const health = (): number | null => spawnSync(check, args, options).status;
  assert.equal(health(), 0);
  await run('anki-sync', ['user', 'add', 'kim'], { ...options, input: 'the right password\n' });
  await new RawClient(url).hostKey('kim', 'the right password');

  child.kill(only(image, 'STOPSIGNAL').text as NodeJS.Signals);
  assert.deepEqual(await ended, [0, null]);
  assert.equal(health(), 1);
});

const daemon = spawnSync('docker', ['info'], { stdio: 'ignore', timeout: 20_000 }).status === 0;

test('the container itself is built, is healthy, and stops well', { skip: daemon ? false : 'there is no Docker daemon here: the image was not built as a container' }, () => {
  const options = { cwd: ROOT, encoding: 'utf8' as const };
  const made = spawnSync('docker', ['build', '-q', '-f', 'deploy/docker/Dockerfile', '-t', 'anki-sync:tried', '.'], options);
  assert.equal(made.status, 0, made.stderr);
  const container = `anki-sync-tried-${process.pid}`;
  try {
    assert.equal(spawnSync('docker', ['run', '-d', '--name', container, '--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL', 'anki-sync:tried'], options).status, 0);
    const wait = `for i in $(seq 300); do ${healthCheck.join(' ')} && exit 0; sleep 0.2; done; exit 1`;
    assert.equal(spawnSync('docker', ['exec', container, 'sh', '-c', wait], options).status, 0);
    spawnSync('docker', ['stop', container], options);
    assert.equal(spawnSync('docker', ['inspect', '-f', '{{.State.ExitCode}}', container], options).stdout, '0\n');
  } finally {
    spawnSync('docker', ['rm', '-f', '-v', container], options);
  }
});
