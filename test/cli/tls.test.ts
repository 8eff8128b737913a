/** https of the standalone server: certificates of our own, renewal while it runs, and what happens to http. */
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, copyFile, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { Agent, request, type RequestOptions } from 'node:https';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { makeAuthority, makeServerCertificate } from '../../lib/cli/certificate.ts';
import { parseFlags } from '../../lib/cli/flags.ts';
import { tlsFlags, tlsSettings } from '../../lib/cli/tls-settings.ts';
import { UsageError } from '../../lib/cli/usage-error.ts';
import { ankiSync, startServer, temporaryFolder, type RunningServer } from './command.ts';

const HOUR_MILLIS = 3600 * 1000;

interface Pair {
  folder: string;
  ca: string;
  files: string[];
}

async function selfSigned(t: TestContext, ...args: string[]): Promise<Pair> {
  const folder = await temporaryFolder(t);
  const made = await ankiSync(['tls', 'self-signed', '--host', 'localhost,127.0.0.1', '--to', folder, ...args]);
  assert.deepEqual([made.code, made.stderr], [0, '']);
  return { folder, ca: await readFile(join(folder, 'ca.pem'), 'utf8'), files: ['--tls-cert', join(folder, 'cert.pem'), '--tls-key', join(folder, 'key.pem')] };
}

async function httpsServer(t: TestContext, pair: Pair, ...args: string[]): Promise<RunningServer> {
  return startServer(t, ['--port', '0', '--base', await temporaryFolder(t), ...pair.files, ...args]);
}

interface Answer {
  status: number;
  /** Of the server's certificate. */
  serial: string;
}

async function ask(url: string, options: RequestOptions): Promise<Answer> {
  const asking = request(url, { agent: false, ...options });
  asking.end();
  const [response] = await once(asking, 'response');
  const serial = (response.socket as TLSSocket).getPeerCertificate().serialNumber;
  response.resume();
  await once(response, 'end');
  return { status: response.statusCode, serial };
}

const serialOf = async (pair: Pair): Promise<string> => new X509Certificate(await readFile(join(pair.folder, 'cert.pem'))).serialNumber;

test('tls self-signed: an authority for devices, and a certificate that it signed, for names and addresses', async (t) => {
  const { folder, ca } = await selfSigned(t);
  const authority = new X509Certificate(ca);
  const server = new X509Certificate(await readFile(join(folder, 'cert.pem')));
  assert.deepEqual([authority.ca, server.ca], [true, false]);
  assert.ok(authority.verify(authority.publicKey) && server.verify(authority.publicKey) && server.checkIssued(authority));
  assert.ok(server.checkPrivateKey(createPrivateKey(await readFile(join(folder, 'key.pem')))));
  assert.deepEqual([server.checkHost('localhost'), server.checkIP('127.0.0.1'), server.checkHost('example.org')], ['localhost', '127.0.0.1', undefined]);
  for (const secret of ['key.pem', 'ca-key.pem']) assert.equal((await stat(join(folder, secret))).mode & 0o077, 0, secret);
});

test('typed again, it signs for the same names, and devices need nothing new', async (t) => {
  const { folder, ca } = await selfSigned(t);
  const before = new X509Certificate(await readFile(join(folder, 'cert.pem')));
  const again = await ankiSync(['tls', 'self-signed', '--to', folder, '--days', '30']);
  assert.match(again.stdout, /^the authority that is there signed a certificate for localhost, 127\.0\.0\.1, valid until /);
  const after = new X509Certificate(await readFile(join(folder, 'cert.pem')));
  assert.equal(await readFile(join(folder, 'ca.pem'), 'utf8'), ca);
  assert.ok(after.verify(new X509Certificate(ca).publicKey) && after.serialNumber !== before.serialNumber);
  assert.ok(Math.abs(after.validToDate.getTime() - Date.now() - 30 * 24 * HOUR_MILLIS) < HOUR_MILLIS);
});

test('names and addresses of all kinds, and dates after 2050', () => {
  const now = Date.UTC(2049, 11, 31);
  const authority = makeAuthority('of a test', 3650, now);
  const hosts = ['sync.example.lan', '*.example.lan', '10.1.2.3', '::1', 'fd00::1:2', '::ffff:10.1.2.3'];
  const certificate = new X509Certificate(makeServerCertificate(authority, hosts, 397, now).certificate);
  for (const host of ['sync.example.lan', 'other.example.lan']) assert.ok(certificate.checkHost(host), host);
  for (const address of ['10.1.2.3', '::1', 'fd00::1:2', '::ffff:10.1.2.3']) assert.ok(certificate.checkIP(address), address);
  assert.equal(certificate.checkIP('10.1.2.4'), undefined);
  assert.deepEqual([certificate.validFromDate.getUTCFullYear(), certificate.validToDate.getUTCFullYear()], [2049, 2051]);
});

test('what tls self-signed cannot do is told in words', async (t) => {
  const folder = await temporaryFolder(t);
  const cases: [string[], RegExp][] = [
    [['--host', 'https://sync.example.lan/'], /--host must be a name like/],
    [['--host', 'a b:c'], /--host must be a name like/],
    [['--days', '900', '--host', 'a'], /--days must be a number from 1 to 825/],
    [[], /--host is needed/],
  ];
  for (const [args, words] of cases) {
    const { code, stderr } = await ankiSync(['tls', 'self-signed', '--to', folder, ...args]);
    assert.deepEqual([code, words.test(stderr)], [2, true], stderr);
  }
  assert.match((await ankiSync(['tls'])).stderr, /type "tls self-signed --host NAME"/);
});

test('a renewed certificate is taken while the server runs; a connection that is open goes on', async (t) => {
  const pair = await selfSigned(t);
  const server = await httpsServer(t, pair);
  await server.line(/^https with a certificate that is valid until \d{4}-\d\d-\d\d$/);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const before = await ask(`${server.url}health`, { ca: pair.ca, agent });
  await ankiSync(['tls', 'self-signed', '--to', pair.folder]);
  await server.line(/^the certificate was replaced: it is valid until /);
  assert.deepEqual(await ask(`${server.url}health`, { ca: pair.ca, agent }), before);
  assert.deepEqual(await ask(`${server.url}health`, { ca: pair.ca }), { status: 200, serial: await serialOf(pair) });
  assert.notEqual(before.serial, await serialOf(pair));
});

test('a new pair that cannot be used is told once, and the old one stays until it can', async (t) => {
  const pair = await selfSigned(t);
  const server = await httpsServer(t, pair);
  const serial = await serialOf(pair);
  const key = join(pair.folder, 'key.pem');
  await copyFile(key, `${key}.before`);
  await writeFile(`${key}.new`, 'garbage');
  await rename(`${key}.new`, key);
  await server.line(/^the new certificate cannot be used, and the old one stays: .* are not a certificate and its key/);
  assert.equal((await ask(`${server.url}health`, { ca: pair.ca })).serial, serial);
  await rm(key);
  await server.line(/the old one stays: .*key\.pem cannot be read \(ENOENT\)/);
  assert.equal((await ask(`${server.url}health`, { ca: pair.ca })).serial, serial);
  await rename(`${key}.before`, key);
  server.child.kill('SIGHUP');
  await server.line(/^the certificate is the same as before/);
  assert.equal(server.lines.filter((line) => /are not a certificate/.test(line)).length, 1);
});

test('SIGHUP reads the files at once, and does not end the server', async (t) => {
  const pair = await selfSigned(t);
  const server = await httpsServer(t, pair);
  await appendFile(join(pair.folder, 'cert.pem'), '\n');
  server.child.kill('SIGHUP');
  await server.line(/^the certificate was replaced/);
  assert.equal((await ask(`${server.url}health`, { ca: pair.ca })).status, 200);
  assert.equal(await server.stop(), 0);
});

test('SIGHUP does not end a service without a certificate either', async (t) => {
  const server = await startServer(t, ['--port', '0', '--base', await temporaryFolder(t)]);
  server.child.kill('SIGHUP');
  await server.line(/^SIGHUP: there is no certificate to read again$/);
  assert.equal(await server.stop(), 0);
});

test('TLS 1.2 stays on, which AnkiMobile needs, and nothing older', async (t) => {
  const pair = await selfSigned(t);
  const server = await httpsServer(t, pair);
  assert.equal((await ask(`${server.url}health`, { ca: pair.ca, maxVersion: 'TLSv1.2' })).status, 200);
  const old = connect({ port: Number(new URL(server.url).port), host: '127.0.0.1', ca: pair.ca, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
  await assert.rejects(once(old, 'secureConnect'));
});

test('http on the port of https, and on a plain port, is sent to https: clients to the address to enter, browsers to the page', async (t) => {
  const pair = await selfSigned(t);
  const server = await httpsServer(t, pair, '--tls-plain-port', '0');
  const port = /to port (\d+)/.exec(await server.line(/^whoever comes by http to port /))![1]!;
  const { host } = new URL(server.url);
  for (const [origin, address] of [[`http://${host}`, server.url], [`http://127.0.0.1:${port}`, server.url]] as const) {
    const cases: [string, string, string][] = [
      ['POST', '/sync/hostKey', ''], ['POST', '/sync/meta', ''], ['POST', '/anki/sync/meta', 'anki/'], ['POST', '/msync/begin', ''], ['GET', '/', ''], ['GET', '/account', 'account'],
      ['GET', '//evil.example/', ''],
    ];
    for (const [method, path, rest] of cases) {
      const response = await fetch(origin + path, { method, redirect: 'manual', ...(method === 'POST' ? { body: 'x'.repeat(100_000) } : {}) });
      assert.deepEqual([response.status, response.headers.get('location')], [308, address + rest], path);
      assert.ok((await response.text()).includes(address));
    }
  }
  assert.equal((await ask(`${server.url}health`, { ca: pair.ca })).status, 200);
  assert.equal(await server.stop(), 0);
});

test('what no client sends to the port of https does no harm', async (t) => {
  const pair = await selfSigned(t);
  const server = await httpsServer(t, pair);
  const { port } = new URL(server.url);
  const { connect: plainConnect } = await import('node:net');
  for (const bytes of ['\0\0\0', '\x16\x03\x01\0\x05abcde', 'GET / HTTP/1.1\r\nhost: a\r\nb\r\n\r\n', 'GET / HTTP/1.1\r\nhost: <script>\r\n\r\n']) {
    const socket = plainConnect(Number(port), '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    socket.end(bytes, 'latin1');
    await once(socket, 'close');
  }
  const gone = plainConnect(Number(port), '127.0.0.1');
  await once(gone, 'connect');
  gone.destroy();
  assert.equal((await ask(`${server.url}health`, { ca: pair.ca })).status, 200);
});

test('an encrypted key needs its passphrase, from a file', async (t) => {
  const pair = await selfSigned(t);
  const key = join(pair.folder, 'key.pem');
  const encrypted = createPrivateKey(await readFile(key)).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'canary-phrase' });
  await writeFile(key, encrypted);
  const base = await temporaryFolder(t);
  const without = await ankiSync(['serve', '--port', '0', '--base', base, ...pair.files]);
  assert.deepEqual([without.code, /key\.pem is encrypted: set TLS_KEY_PASSPHRASE_FILE/.test(without.stderr)], [2, true], without.stderr);
  const wrong = await ankiSync(['serve', '--port', '0', '--base', base, ...pair.files], { env: { TLS_KEY_PASSPHRASE: 'canary-other' } });
  assert.match(wrong.stderr, /the passphrase is another one/);
  assert.doesNotMatch(wrong.stderr, /canary/);
  await writeFile(join(pair.folder, 'phrase'), 'canary-phrase\n');
  const server = await httpsServer(t, pair, '--tls-key-passphrase-file', join(pair.folder, 'phrase'));
  assert.equal((await ask(`${server.url}health`, { ca: pair.ca })).status, 200);
  assert.doesNotMatch(server.lines.join('\n'), /canary/);
});

test('half of what https needs is told', () => {
  const settings = (env: Record<string, string>) => tlsSettings(parseFlags([], tlsFlags).flags, env);
  assert.equal(settings({}), undefined);
  for (const [env, words] of [
    [{ TLS_CERT: 'c.pem' }, /belong together/], [{ TLS_KEY_PASSPHRASE: 'x' }, /TLS_KEY_PASSPHRASE is set, but TLS_CERT and TLS_KEY are not/],
    [{ TLS_PLAIN_PORT: '80' }, /TLS_PLAIN_PORT is set, but/], [{ TLS_CERT: 'c', TLS_KEY: 'k', TLS_PLAIN_PORT: 'http' }, /TLS_PLAIN_PORT must be a port/],
  ] as [Record<string, string>, RegExp][]) {
    assert.throws(() => settings(env), (error) => error instanceof UsageError && words.test(error.message));
  }
});
