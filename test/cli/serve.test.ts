import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent, type IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { zstdCompressSync } from 'node:zlib';
import { RawClient } from '../client/raw.ts';
import { run } from '../oracle/anki-python.ts';
import { ankiSync, startServer, temporaryFolder } from './command.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const tlsFile = (name: string): string => fileURLToPath(new URL(`tls/${name}`, import.meta.url));

test('without a user, serve says what to type; typed in, that makes a user who can sign in at once', async (t) => {
  const base = join(await temporaryFolder(t), "it's data");
  const server = await startServer(t, ['--port', '0', '--base', base]);
  await server.line(/^there is no user yet/);
  const toType = await server.line(/user add NAME/);
  const path = `${join(ROOT, 'node_modules/.bin')}:${process.env['PATH']}`;
  await run('sh', ['-c', toType.replace('NAME', 'kim')], { cwd: ROOT, input: 'a password\n', env: { ...process.env, PATH: path } });
  await new RawClient(server.url).hostKey('kim', 'a password');
  assert.equal(await server.stop(), 0);
});

test('--first-user makes the first user and shows the password, once', async (t) => {
  const base = await temporaryFolder(t);
  const first = await startServer(t, ['--port', '0', '--base', base, '--first-user', 'anki']);
  const password = /^created the user "anki" with the password (\S{20,})$/.exec(await first.line(/^created/))?.[1] ?? '';
  await new RawClient(first.url).hostKey('anki', password);
  assert.equal(await first.stop(), 0);
  const second = await startServer(t, ['--port', '0', '--base', base, '--first-user', 'anki']);
  await new RawClient(second.url).hostKey('anki', password);
  assert.equal(await second.stop(), 0);
  assert.deepEqual(second.lines.filter((line) => /created|no user/.test(line)), []);
});

test('users of the official environment sign in, and nobody is told to add one', async (t) => {
  const base = await temporaryFolder(t);
  const server = await startServer(t, ['--host', '127.0.0.1'], { env: { SYNC_BASE: base, SYNC_PORT: '0', SYNC_USER1: 'kim:a:password', SYNC_USER3: 'lee:x' } });
  await new RawClient(server.url).hostKey('kim', 'a:password');
  assert.equal(await server.stop(), 0);
  assert.deepEqual(server.lines.filter((line) => /created|no user/.test(line)), []);
  assert.ok(server.lines.some((line) => /^SYNC_USER3 is ignored/.test(line)));
});

test('health, the page and what is neither', async (t) => {
  const server = await startServer(t, ['--port', '0', '--base', await temporaryFolder(t)]);
  const client = new RawClient(server.url);
  assert.equal((await client.get('health')).status, 200);
  const page = await client.get('');
  assert.match(String(page.headers['content-type']), /^text\/html/);
  assert.ok(page.text().includes(`<code class="url">${server.url}</code>`));
  assert.equal((await client.get('elsewhere')).status, 404);
  assert.equal((await client.get('sync/meta')).status, 405);
});

test('behind the proxy that SYNC_IP_HEADER declares, the page shows https and the log the client', async (t) => {
  const base = await temporaryFolder(t);
  const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '6.6.6.6, 203.0.113.7', host: 'sync.example.org' };
  const behind = await startServer(t, ['--port', '0', '--host', '127.0.0.1'], { env: { SYNC_BASE: base, SYNC_IP_HEADER: 'RightmostXForwardedFor' } });
  assert.ok((await new RawClient(behind.url).get('', { headers })).text().includes('https://sync.example.org/'));
  await new RawClient(behind.url, { key: 'unknown' }).post('meta', {}, { headers });
  await behind.line(/ meta 403 .*address=203\.0\.113\.7/);

  const direct = await startServer(t, ['--port', '0', '--base', await temporaryFolder(t)]);
  assert.ok((await new RawClient(direct.url).get('', { headers })).text().includes('http://sync.example.org/'));
  await new RawClient(direct.url, { key: 'unknown' }).post('meta', {}, { headers });
  await direct.line(/ meta 403 .*address=127\.0\.0\.1/);
});

test('one line per request, and no secret in any', async (t) => {
  const base = await temporaryFolder(t);
  await ankiSync(['user', 'add', 'kim', '--base', base], { input: 'right-secret' });
  const server = await startServer(t, ['--port', '0', '--base', base]);
  const client = new RawClient(server.url, { client: 'anki,26.9.3 (x)\u001b[31m,lin' });
  const key = await client.hostKey('kim', 'right-secret');
  await client.post('hostKey', { u: 'kim', p: 'wrong-secret' }, { key: '' });
  await client.post('meta', { v: 11, cv: 'x' });
  await client.post('meta', {}, { key: 'bad-key-secret' });
  await client.post('meta', '{"secret-in-json');
  await client.get('msync/begin?k=query-secret');
  await client.get('health');
  await client.get('last');
  await server.line(/GET \/last 404/);
  const requests = server.lines.filter((line) => /^\d{4}-/.test(line) && !line.includes(' event=user.'));
  const expected = [/ hostKey 200 /, / hostKey 403 /, / meta 200 /, / meta 403 /, / meta 400 /, / begin 403 /, / GET \/last 404 /];
  assert.equal(requests.length, expected.length);
  for (const [i, pattern] of expected.entries()) assert.match(requests[i] ?? '', pattern);
  for (const line of server.lines) {
    assert.doesNotMatch(line, /secret|\u001b/);
    assert.equal(line.includes(key), false);
  }
  assert.match(requests[2] ?? '', / user=kim client="anki,26\.9\.3 \(x\).*" version=11 address=127\.0\.0\.1$/);
});

test('https with a certificate and its key', async (t) => {
  const server = await startServer(t, ['--port', '0', '--base', await temporaryFolder(t), '--tls-cert', tlsFile('cert.pem'), '--tls-key', tlsFile('key.pem')]);
  assert.match(server.url, /^https:/);
  const [response] = (await once(get(server.url, { ca: await readFile(tlsFile('cert.pem')), agent: false }), 'response')) as [IncomingMessage];
  let page = '';
  for await (const part of response.setEncoding('utf8')) page += part;
  assert.ok(page.includes(server.url));
  assert.equal(await server.stop(), 0);
});

test('what keeps serve from starting is told in one line', async (t) => {
  const base = await temporaryFolder(t);
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const cases: [string[], RegExp][] = [
    [['--port', String((taken.address() as AddressInfo).port)], /is in use already/],
    [['--host', '192.0.2.1', '--port', '0'], /192\.0\.2\.1 is no address of this computer/],
    [['--tls-cert', join(base, 'none.pem'), '--tls-key', tlsFile('key.pem')], /none\.pem cannot be read \(ENOENT\)/],
    [['--tls-cert', tlsFile('key.pem'), '--tls-key', tlsFile('cert.pem')], /are not a certificate and its key/],
  ];
  for (const [args, words] of cases) {
    const outcome = await ankiSync(['serve', '--base', base, ...args]);
    assert.equal(outcome.code, 2);
    assert.match(outcome.stderr, words);
    assert.match(outcome.stderr, /^anki-sync: .*\n$/);
  }
});

test('a second server on the same data folder is told so, and the first one goes on', async (t) => {
  const base = await temporaryFolder(t);
  const first = await startServer(t, ['--port', '0', '--base', base]);
  const second = await ankiSync(['serve', '--port', '0', '--base', base]);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /^anki-sync: .*\n$/);
  assert.ok(second.stderr.includes(base));
  assert.equal((await new RawClient(first.url).get('health')).status, 200);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} lets a running request end, and keeps no idle connection waiting`, async (t) => {
    const base = await temporaryFolder(t);
    await ankiSync(['user', 'add', 'kim', '--base', base], { input: 'password' });
    const server = await startServer(t, ['--port', '0', '--base', base]);
    const idle = new Agent({ keepAlive: true });
    const busy = new Agent({ keepAlive: true });
    t.after(() => (idle.destroy(), busy.destroy()));
    await new RawClient(server.url, { agent: idle }).get('health');
    const body = zstdCompressSync(JSON.stringify({ u: 'kim', p: 'password' }));
    const login = new RawClient(server.url, { agent: busy }).open('sync/hostKey');
    await login.write(body.subarray(0, 5));
    const ended = server.stop(signal);
    await server.line(/: closing$/);
    await login.write(body.subarray(5));
    login.end();
    const response = await login.response;
    assert.equal(response.status, 200);
    assert.ok(response.json().key);
    assert.equal(await ended, 0);
  });
}

test('a second signal ends a server that waits for a request', async (t) => {
  const server = await startServer(t, ['--port', '0', '--base', await temporaryFolder(t)]);
  const hanging = new RawClient(server.url).open('sync/hostKey');
  hanging.request.on('error', () => {});
  await hanging.write(zstdCompressSync('{}').subarray(0, 5));
  const ended = server.stop('SIGTERM');
  await server.line(/: closing$/);
  server.child.kill('SIGTERM');
  assert.equal(await ended, 'SIGTERM');
});

test('a closed pipe behind the log does not end the server', async (t) => {
  const server = await startServer(t, ['--port', '0', '--base', await temporaryFolder(t)]);
  const client = new RawClient(server.url);
  server.child.stdout?.destroy();
  for (let i = 0; i < 3; i++) assert.equal((await client.get('elsewhere')).status, 404);
  assert.equal((await client.get('health')).status, 200);
});
