/** What is wrong before a server is reached, or where another one answers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { freePort } from '../proxies/proxy.ts';
import { runningServer } from '../server/running-server.ts';
import { examine } from '../../lib/doctor/examine.ts';
import { testCertificates } from '../proxies/certificates.ts';
import { readFile } from 'node:fs/promises';
import { examined, wordsOf, wrongOf } from './examined.ts';
import { brokenProxy, listening } from './proxy.ts';

async function server(t: TestContext): Promise<string> {
  const running = await runningServer();
  t.after(() => running.stop());
  return running.url;
}

async function program(t: TestContext, talk: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    talk(socket);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(async () => {
    const closed = once(listener, 'close');
    listener.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  return `http://127.0.0.1:${(listener.address() as AddressInfo).port}/`;
}

test('a name that leads nowhere', async () => {
  assert.deepEqual(wrongOf(await examined('https://anki.invalid/')), ['NAME_UNKNOWN']);
});

test('a port where nobody listens', async () => {
  assert.deepEqual(wrongOf(await examined(`http://127.0.0.1:${await freePort()}/`)), ['NOBODY_LISTENS']);
});

test('a port where another program listens: one that speaks first, one that cuts the connection, and a site', async (t) => {
  assert.deepEqual(wrongOf(await examined(await program(t, (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')))), ['SOMETHING_ELSE']);
  assert.deepEqual(wrongOf(await examined(await program(t, (socket) => socket.destroy()))), ['SOMETHING_ELSE']);
  assert.deepEqual(wrongOf(await examined(await listening(t, (_req, res) => void res.end('{"hello":"world"}')))), ['SOMETHING_ELSE']);
});

test('https where http is spoken, and http where https is', async (t) => {
  const plain = await server(t);
  assert.deepEqual(wrongOf(await examined(plain.replace('http:', 'https:'))), ['SPEAKS_HTTP']);
  const { certificate, key } = await testCertificates();
  const secure = await listening(t, (_req, res) => void res.end(), { cert: await readFile(certificate, 'utf8'), key: await readFile(key, 'utf8') });
  assert.deepEqual(wrongOf(await examined(secure.replace('https:', 'http:'))), ['SPEAKS_HTTPS']);
  // as nginx says it
  const nginx = await listening(t, (_req, res) => void res.writeHead(400).end('<center>The plain HTTP request was sent to HTTPS port</center>'));
  assert.deepEqual(wrongOf(await examined(nginx)), ['SPEAKS_HTTPS']);
});

test('sync/ at the end of the address, which Anki appends', async (t) => {
  const findings = await examined(`${await server(t)}sync/`);
  assert.deepEqual(wrongOf(findings), ['ADDRESS_DOUBLED_SYNC']);
  assert.ok(findings.some(({ check, mark }) => check === 'large bodies' && mark === 'right'), 'the rest is looked at all the same');
});

test('sync/ at the end where a proxy has the server at a path of that name is right', async (t) => {
  const address = await brokenProxy(t, await server(t), { path: (path) => path.replace(/^\/sync/, '') });
  assert.deepEqual(wrongOf(await examined(`${address}sync/`)), []);
  assert.deepEqual(wrongOf(await examined(`${address}sync`)), ['SLASH_MISSING']);
});

test('the slash that is missing, and the address of the account page', async (t) => {
  const address = await brokenProxy(t, await server(t), { path: (path) => path.replace(/^\/anki/, '') });
  assert.deepEqual(wrongOf(await examined(`${address}anki`)), ['SLASH_MISSING']);
  assert.deepEqual(wrongOf(await examined(`${address}anki/account`)), ['ADDRESS_NOT_THE_SERVERS']);
});

test('an address beside the one of the server is told where that is', async (t) => {
  const address = await brokenProxy(t, await server(t), {
    path: (path) => path.replace(/^\/anki/, ''),
    instead: (req, res) => !/^\/anki\/m?sync\//.test(req.url!) && res.writeHead(404).end() !== undefined,
  });
  for (const [entered, place] of [['', 'anki/'], ['anki/cards/', 'anki/']] as const) {
    assert.match(wordsOf(await examined(address + entered), 'ADDRESS_NOT_THE_SERVERS'), new RegExp(`answers at ${address}${place}:`));
  }
});

test('no address at all is a mistake of whoever asks', async () => {
  await assert.rejects(examine({ address: 'example.org/anki/' }), /is no address: https:\/\/example\.org\/anki\//);
  await assert.rejects(examine({ address: 'https://kim:secret@example.org/' }), (error: Error) => !error.message.includes('secret'));
});
