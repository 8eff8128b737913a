/** What is published is what is tested: packed, installed in an empty project, type-checked, mounted and synced with. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
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
  const beside = ['express', '@types/express', '@types/node', 'fastify', 'koa', '@types/koa', 'hono', '@hono/node-server'].map((name) => `${name}@${devDependencies[name]}`);
  await inConsumer('npm', 'install', '--silent', '--no-audit', '--no-fund', '--prefer-offline', join(folder, tarball), ...beside);
});

after(() => rm(folder, { recursive: true, force: true }));

async function compile(where: string, file: string, more: object = {}): Promise<void> {
  await writeFile(join(where, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      strict: true, exactOptionalPropertyTypes: true, target: 'es2024', module: 'nodenext', types: ['node'], noEmit: true, skipLibCheck: false, ...more,
    },
    files: [file],
  }));
  await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.', '--pretty', 'false'], { cwd: where, env: pinnedNode });
}

test('every export can be imported, and nothing else', async () => {
  const installed = join(consumer, 'node_modules/anki-sync-middleware');
  const { exports, bin } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as { exports: Record<string, unknown>; bin: Record<string, string> };
  await writeFile(join(consumer, 'import-all.js'), `
    for (const path of ${JSON.stringify(Object.keys(exports).filter((path) => !path.endsWith('.json')))}) {
      const names = Object.keys(await import('anki-sync-middleware' + path.slice(1)));
      console.log(path, names.length > 0);
    }
    const { createSyncServer } = await import('anki-sync-middleware');
    console.log(typeof createSyncServer);
    for (const name of ['express', 'fastify', 'koa', 'hono', 'fetch']) console.log(typeof (await import('anki-sync-middleware/' + name))[name + 'Sync']);
    await import('anki-sync-middleware/dist/lib/server.js').catch((error) => console.log(error.code));
  `);
  assert.equal(
    await inConsumer(process.execPath, 'import-all.js'),
    `${['.', './express', './fastify', './koa', './hono', './fetch', './conformance'].map((path) => `${path} true\n`).join('')}${'function\n'.repeat(6)}ERR_PACKAGE_PATH_NOT_EXPORTED\n`,
  );
  assert.deepEqual(Object.keys(bin), ['anki-sync']);
});

test('what is optional is not installed, and asked for by name when it is used', async () => {
  const installed = await readdir(join(consumer, 'node_modules'));
  assert.ok(!installed.includes('ldapts'));
  const outcome = await inConsumer('npx', 'anki-sync', 'serve', '--port', '0', '--ldap-url', 'ldaps://localhost', '--ldap-bind-template', 'uid={name},dc=example')
    .then(() => 'it started', String);
  assert.match(outcome, /ended with 2\b[^]*npm install ldapts@9/);

  assert.ok(!installed.includes('openid-client'));
  const provider = "{ issuer: 'https://login.example.org', clientId: 'anki' }";
  const mounted = await inConsumer('node', '--input-type=module', '-e',
    `import { createSyncServer } from 'anki-sync-middleware'; createSyncServer({ account: true, oidc: [${provider}] })`).then(() => 'it started', String);
  assert.match(mounted, /npm install openid-client@6/);
});

test('only what is needed is in the package', async () => {
  const entries = await readdir(join(consumer, 'node_modules/anki-sync-middleware'));
  assert.deepEqual(entries.filter((name) => name !== 'node_modules').sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'adapters', 'deploy', 'dist', 'docs', 'package.json']);
  // configurations for proxies; what runs in Node is in dist
  assert.deepEqual((await readdir(join(consumer, 'node_modules/anki-sync-middleware/adapters'), { recursive: true })).filter((name) => name.endsWith('.ts')), []);
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
  await compile(consumer, 'application.ts');
});

test('strict TypeScript applications mount it in Fastify, Koa, Hono and as a fetch handler', async () => {
  await writeFile(join(consumer, 'applications.ts'), `
    import { serve } from '@hono/node-server';
    import fastify, { type FastifyInstance } from 'fastify';
    import { Hono } from 'hono';
    import Koa from 'koa';
    import { createSyncServer } from 'anki-sync-middleware';
    import { fastifySync } from 'anki-sync-middleware/fastify';
    import { fetchSync } from 'anki-sync-middleware/fetch';
    import { honoSync } from 'anki-sync-middleware/hono';
    import { koaSync } from 'anki-sync-middleware/koa';

    const sync = createSyncServer();
    const inFastify: FastifyInstance = fastify();
    await inFastify.register(fastifySync(sync, { signedInUser: (request) => request.user?.name }), { prefix: '/anki' });
    fastify({ logger: true }).register(fastifySync(sync));

    const inKoa: Koa = new Koa().use(koaSync(sync, { mountPath: '/anki' })).use((ctx) => void (ctx.body = ctx.path));
    new Koa<{ user?: { name: string } }>().use(koaSync(sync, { signedInUser: (ctx: Koa.ParameterizedContext<{ user?: { name: string } }>) => ctx.state.user?.name }));

    const inHono: Hono = new Hono();
    inHono.all('/anki/*', honoSync(sync)).use('/other/*', honoSync(sync, { trustedProxies: ['loopback'] }));
    new Hono<{ Variables: { user: string } }>().all('/anki/*', honoSync(sync, { signedInUser: (c) => c.get('user') }));

    const handler: (request: Request) => Promise<Response> = fetchSync(sync, { mountPath: '/anki', clientAddress: (_request: Request, info: { ip: string }) => info.ip });
    serve({ fetch: fetchSync(sync) });
    inHono.mount('/mounted', fetchSync(sync));
    console.log(inKoa.listen, handler.length);
  `);
  // the types that Koa's own lean on have moved away under them; ours are checked below
  await compile(consumer, 'applications.ts', { skipLibCheck: true });
});

for (const [name, settings] of Object.entries({
  node16: { module: 'node16', moduleResolution: 'node16' },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
})) {
  test(`types of every export are found by moduleResolution ${name}, and are not just any`, async () => {
    const { exports } = JSON.parse(await readFile(join(consumer, 'node_modules/anki-sync-middleware/package.json'), 'utf8')) as { exports: Record<string, unknown> };
    const paths = Object.keys(exports).filter((path) => !path.endsWith('.json'));
    await writeFile(join(consumer, 'exports.ts'), paths.map((path, i) => `
      import * as export${i} from 'anki-sync-middleware${path.slice(1)}';
      // of an "any" this would be true
      export const typed${i}: 0 extends 1 & typeof export${i} ? never : true = true;
    `).join(''));
    await compile(consumer, 'exports.ts', { ...settings, skipLibCheck: true });
    await writeFile(join(consumer, 'wrong.ts'), `
      import { createSyncServer } from 'anki-sync-middleware';
      createSyncServer({ bas: './data' });
    `);
    await assert.rejects(compile(consumer, 'wrong.ts', { ...settings, skipLibCheck: true }), /'bas' does not exist/);
  });
}

test('who has none of the frameworks, nor their types, compiles all the same', async () => {
  const bare = join(folder, 'bare');
  for (const name of ['anki-sync-middleware', '@types/node', 'undici-types', '@types/better-sqlite3']) {
    await mkdir(join(bare, 'node_modules', name, '..'), { recursive: true });
    await symlink(join(consumer, 'node_modules', name), join(bare, 'node_modules', name));
  }
  await writeFile(join(bare, 'package.json'), JSON.stringify({ type: 'module' }));
  await writeFile(join(bare, 'bare.ts'), ['express', 'fastify', 'koa', 'hono', 'fetch'].map((name) => `
    import { ${name}Sync } from 'anki-sync-middleware/${name}';
    export const ${name} = ${name}Sync({ handle: async () => ({ status: 200, headers: {}, body: new Uint8Array() }) });
  `).join(''));
  // as if it were installed here, where nothing else is
  await compile(bare, 'bare.ts', { preserveSymlinks: true });
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

for (const framework of ['fastify', 'koa', 'hono', 'fetch']) {
  test(`the ten lines of docs/mounting.md for ${framework} run, and two real devices sync through them`, async (t) => {
    const page = await readFile(join(consumer, 'node_modules/anki-sync-middleware/docs/mounting.md'), 'utf8');
    const example = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, code = '']) => code).find((code) => code.includes(`'anki-sync-middleware/${framework}'`)) ?? '';
    // any free port instead of 3000, and a data folder of its own
    const port = await freePort();
    const here = example.replace('./data', `./data-${framework}`).replace('app.listen(3000)', `app.listen(${port}, '127.0.0.1')`).replace('port: 3000', `port: ${port}, ${framework === 'fastify' ? 'host' : 'hostname'}: '127.0.0.1'`);
    assert.ok(here.includes(String(port)));
    await writeFile(join(consumer, `${framework}.js`), `${here}\nconsole.log('up');\n`);
    const child = spawn(process.execPath, [`${framework}.js`], { cwd: consumer, stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    await once(createInterface({ input: child.stdout }), 'line');
    const endpoint = `http://127.0.0.1:${port}/anki/`;
    await listensAt(`${endpoint}health`);

    const devices = await AnkiDevices.start();
    t.after(() => devices.end());
    const [a, b] = [await devices.device('a', join(folder, `${framework}-a`)), await devices.device('b', join(folder, `${framework}-b`))];
    for (const device of [a, b]) await device.login('kim', 'a good password', endpoint);
    await a.do('add_notes', { count: 5, prefix: framework });
    await a.sync();
    await a.upload();
    await b.sync();
    await b.download();
    await b.do('add_notes', { count: 3, prefix: 'back' });
    await b.do('media_write', { files: [{ name: 'picture.png', text: 'a picture' }] });
    for (const device of [b, a]) await device.sync({ media: true });
    assert.deepEqual(await a.do('counts'), await b.do('counts'));
    assert.deepEqual(Object.keys(await a.mediaFiles()), ['picture.png']);
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** An example says nothing of the moment from which it listens. */
async function listensAt(url: string): Promise<void> {
  for (let attempt = 0; attempt < 1500; attempt++) {
    if (await fetch(url).then(({ ok }) => ok, () => false)) return;
    await sleep(20);
  }
  assert.fail(`nothing answers at ${url}`);
}

test('its command adds a user and tells its version', async () => {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const command = join(consumer, 'node_modules/.bin/anki-sync');
  assert.equal(await inConsumer(command, 'version'), `${version}\n`);
  assert.match(await inConsumer(command, 'help'), /^Usage: npx anki-sync /);
  // as a service: npx would fetch whatever else has that name
  const env = { ...pinnedNode, PATH: `${join(consumer, 'node_modules/.bin')}${delimiter}${pinnedNode['PATH']}` };
  assert.match(await run(command, ['help'], { cwd: folder, env }), /^Usage: anki-sync /);
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
