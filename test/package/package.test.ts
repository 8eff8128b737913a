/** What is published is what is tested: packed, installed in an empty project, type-checked, mounted and synced with. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { AnkiDevices } from '../client/devices.ts';
import { RawClient } from '../client/raw.ts';
import { run } from '../oracle/anki-python.ts';
import { copyProject, pinnedNode, ROOT } from './project-copy.ts';

let folder = '';
let consumer = '';
const inConsumer = (command: string, ...args: string[]): Promise<string> => run(command, args, { cwd: consumer, env: pinnedNode });

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anki-sync-package-'));
  const project = join(folder, 'project');
  await copyProject(project);
  await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: project, env: pinnedNode });
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  assert.ok(tarball !== undefined);

  consumer = join(folder, 'consumer');
  await mkdir(consumer);
  await writeFile(join(consumer, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
  const { devDependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { devDependencies: Record<string, string> };
  const beside = ['express', '@types/express', '@types/node'].map((name) => `${name}@${devDependencies[name]}`);
  await inConsumer('npm', 'install', '--silent', '--no-audit', '--no-fund', '--prefer-offline', join(folder, tarball), ...beside);
});

after(() => rm(folder, { recursive: true, force: true }));

test('every export can be imported, and nothing else', async () => {
  const installed = join(consumer, 'node_modules/anki-sync-middleware');
  const { exports, bin } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as { exports: Record<string, unknown>; bin: Record<string, string> };
  await writeFile(join(consumer, 'import-all.js'), `
    for (const path of ${JSON.stringify(Object.keys(exports).filter((path) => !path.endsWith('.json')))}) {
      const names = Object.keys(await import('anki-sync-middleware' + path.slice(1)));
      console.log(path, names.length > 0);
    }
    const { createSyncServer } = await import('anki-sync-middleware');
    const { expressSync } = await import('anki-sync-middleware/express');
    console.log(typeof createSyncServer, typeof expressSync);
    await import('anki-sync-middleware/dist/lib/server.js').catch((error) => console.log(error.code));
  `);
  assert.equal(
    await inConsumer(process.execPath, 'import-all.js'),
    '. true\n./express true\n./conformance true\nfunction function\nERR_PACKAGE_PATH_NOT_EXPORTED\n',
  );
  assert.deepEqual(Object.keys(bin), ['anki-sync']);
});

test('what is optional is not installed, and asked for by name when it is used', async () => {
  const installed = await readdir(join(consumer, 'node_modules'));
  assert.ok(!installed.includes('ldapts'));
  const outcome = await inConsumer('npx', 'anki-sync', 'serve', '--port', '0', '--ldap-url', 'ldaps://localhost', '--ldap-bind-template', 'uid={name},dc=example')
    .then(() => 'it started', String);
  assert.match(outcome, /ended with 2\b[^]*npm install ldapts@9/);
});

test('only what is needed is in the package', async () => {
  const entries = await readdir(join(consumer, 'node_modules/anki-sync-middleware'));
  assert.deepEqual(entries.filter((name) => name !== 'node_modules').sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'docs', 'package.json']);
});

test('a strict TypeScript application mounts it in Express, connect and node:http', async () => {
  await writeFile(join(consumer, 'application.ts'), `
    import { createServer } from 'node:http';
    import express from 'express';
    import { createSyncServer, SyncError, type Authenticator, type LogEntry, type SyncServer, type SyncServerOptions } from 'anki-sync-middleware';
    import { expressSync } from 'anki-sync-middleware/express';

    const authenticator: Authenticator = {
      async authenticate({ username, password }) {
        if (username === 'down') throw new SyncError('AUTH_UNAVAILABLE', 'the directory is down');
        return password === 'right' ? { loginName: username } : null;
      },
    };
    const options: SyncServerOptions = { base: './data', authenticator, log: (entry: LogEntry) => console.log(entry.status) };
    const server: SyncServer = createSyncServer(options);
    const byFunction = createSyncServer({ authenticator: async ({ username }) => username });
    const app = express();
    app.use('/anki', expressSync(server));
    app.use('/other', express.Router().use('/path', expressSync(byFunction)));
    createServer(expressSync(server));
    await server.ready;
    await server.close();
  `);
  await writeFile(join(consumer, 'tsconfig.json'), JSON.stringify({
    compilerOptions: { strict: true, exactOptionalPropertyTypes: true, target: 'es2024', module: 'nodenext', types: ['node'], noEmit: true, skipLibCheck: false },
    files: ['application.ts'],
  }));
  await inConsumer(process.execPath, join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.', '--pretty', 'false');
});

test('mounted in Express at a subpath, two real devices sync cards and pictures', async (t) => {
  await writeFile(join(consumer, 'server.js'), `
    import express from 'express';
    import { createSyncServer } from 'anki-sync-middleware';
    import { expressSync } from 'anki-sync-middleware/express';
    const sync = createSyncServer({ base: './data', authenticator: async ({ username, password }) => username === 'kim' && password === 'right' });
    await sync.ready;
    const app = express().use('/anki', expressSync(sync));
    const listener = app.listen(0, '127.0.0.1', () => console.log('port', listener.address().port));
    process.once('SIGTERM', () => {
      listener.close(() => sync.close());
      listener.closeAllConnections();
    });
  `);
  const child = spawn(process.execPath, ['server.js'], { cwd: consumer, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const endpoint = `http://127.0.0.1:${line.replace('port ', '')}/anki/`;

  const devices = await AnkiDevices.start();
  t.after(() => devices.end());
  const [a, b] = [await devices.device('a', join(folder, 'a')), await devices.device('b', join(folder, 'b'))];
  await assert.rejects(a.login('kim', 'wrong', endpoint), { kind: 'AUTH' });
  for (const device of [a, b]) await device.login('kim', 'right', endpoint);
  await a.do('add_notes', { count: 5, prefix: 'packed' });
  assert.equal((await a.sync()).required, 'FULL_UPLOAD');
  await a.upload();
  assert.equal((await b.sync()).required, 'FULL_DOWNLOAD');
  await b.download();
  await b.do('add_notes', { count: 3, prefix: 'back' });
  await b.do('media_write', { files: [{ name: 'picture.png', text: 'a picture' }] });
  await b.sync({ media: true });
  await a.sync({ media: true });
  assert.deepEqual(await a.mediaFiles(), await b.mediaFiles());
  assert.equal(Object.keys(await a.mediaFiles()).length, 1);
  assert.deepEqual(await a.do('counts'), await b.do('counts'));
  await devices.end();

  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('the ten lines of the README run', async (t) => {
  const readme = await readFile(join(consumer, 'node_modules/anki-sync-middleware/README.md'), 'utf8');
  const example = /```js\n(.*?)```/s.exec(readme)?.[1] ?? '';
  assert.ok(example.trim().split('\n').length <= 11);
  // any free port instead of 3000, told to us
  const listening = example.replace('app.listen(3000)', "const listener = app.listen(0, '127.0.0.1', () => console.log(listener.address().port))");
  assert.notEqual(listening, example);
  await writeFile(join(consumer, 'readme.js'), listening);
  const child = spawn(process.execPath, ['readme.js'], { cwd: consumer, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [port] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const client = new RawClient(`http://127.0.0.1:${port}/anki/`);
  await client.hostKey('kim', 'a good password');
  assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 200);
});

test('its command adds a user and tells its version', async () => {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const command = join(consumer, 'node_modules/.bin/anki-sync');
  assert.equal(await inConsumer(command, 'version'), `${version}\n`);
  assert.match(await inConsumer(command, 'help'), /^Usage: npx anki-sync /);
  assert.equal(await run(command, ['user', 'add', 'lee', '--base', './users'], { cwd: consumer, env: pinnedNode, input: 'password\n' }), 'added "lee"\n');
});

for (const oldVersion of ['20.11.0', '24.6.0']) {
  test(`on Node ${oldVersion}, command and import say in one line which Node is needed`, async () => {
    // stands in for an old Node: only what it calls itself
    const old = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'${oldVersion}'})`;
    const failure = async (...args: string[]): Promise<string> =>
      inConsumer(process.execPath, '--import', old, ...args).then(() => 'worked', (error: Error) => error.message);
    const command = await failure('node_modules/anki-sync-middleware/dist/lib/bin.js', 'version');
    assert.match(command, new RegExp(`ended with 1\\n\\nanki-sync needs Node\\.js 24\\.7 or newer, and this is ${oldVersion.replaceAll('.', '\\.')}\\n$`));
    const imported = await failure('--input-type=module', '-e', "await import('anki-sync-middleware').catch((error) => { console.error(error.message); process.exit(1); })");
    assert.match(imported, /ended with 1\n\nanki-sync-middleware needs Node\.js 24\.7 or newer, and this is [\d.]+\n$/);
  });
}
