import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { credentials, directory, isUnavailable } from './directory.ts';
import { PEOPLE } from './slapd.ts';

const { slapd, skip, authenticator } = await directory();
const ada = credentials('ada', 'canary-ada-4411');
const ways = (slapd === undefined ? [] : [
  ['ldaps', { url: slapd.ldaps }],
  ['StartTLS', { url: slapd.ldap, startTls: true }],
] as const);
const direct = { bindDn: undefined, bindPassword: undefined, searchBase: undefined, bindTemplate: `uid={name},${PEOPLE}` };

for (const [name, way] of ways) {
  test(`${name}: with the authority of the directory, people sign in`, { skip }, async (t) => {
    const ldap = authenticator(t, { ...way, ca: slapd.ca });
    assert.deepEqual(await ldap.authenticate(ada), { loginName: 'Ada' });
    assert.equal(await ldap.authenticate(credentials('ada', 'wrong')), null);
    assert.deepEqual(await authenticator(t, { ...direct, ...way, ca: [slapd.otherCa, slapd.ca] }).authenticate(ada), { loginName: 'Ada' });
  });

  test(`${name}: another authority, none, or another name in the certificate is 503, and no word is said to such a server`, { skip }, async (t) => {
    const otherName = { ...way, url: way.url.replace('localhost', '127.0.0.1') };
    for (const options of [{ ...way, ca: slapd.otherCa }, way, { ...otherName, ca: slapd.ca }]) {
      await slapd.operations();
      for (const kind of [{}, direct]) await assert.rejects(authenticator(t, { ...options, ...kind }).authenticate(ada), isUnavailable(/certificate|does not match/i));
      assert.deepEqual((await slapd.operations()).filter((operation) => operation.kind !== 'STARTTLS'), []);
    }
  });

  test(`${name}: the loud option alone takes any certificate`, { skip }, async (t) => {
    const ldap = authenticator(t, { ...way, ca: slapd.otherCa, dangerouslySkipCertificateCheck: true });
    assert.deepEqual(await ldap.authenticate(ada), { loginName: 'Ada' });
  });
}

test('StartTLS is the first thing said on each connection', { skip }, async (t) => {
  const ldap = authenticator(t, { url: slapd.ldap, startTls: true, ca: slapd.ca });
  await slapd.operations();
  await ldap.authenticate(ada);
  assert.deepEqual((await slapd.operations()).map(({ kind }) => kind), ['STARTTLS', 'BIND', 'SRCH', 'STARTTLS', 'BIND']);
});

/** A directory that speaks no TLS: it answers the first message by these bytes, and keeps all that it hears. */
async function unencryptedServer(t: TestContext, answer: (socket: Socket) => void): Promise<{ url: string; heard: Buffer[]; connections: () => number }> {
  const heard: Buffer[] = [];
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (data: Buffer) => heard.push(data));
    socket.once('data', () => answer(socket));
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `ldap://localhost:${(server.address() as AddressInfo).port}`, heard, connections: () => connections };
}

/** An extended response with this result code, to the message of the first request. */
const extendedResponse = (code: number): Buffer => Buffer.from([0x30, 0x0c, 0x02, 0x01, 0x02, 0x78, 0x07, 0x0a, 0x01, code, 0x04, 0x00, 0x04, 0x00]);

for (const [what, answer, words, timeoutMillis = 10_000] of [
  ['refuses StartTLS', (socket: Socket) => void socket.write(extendedResponse(53)), /result code 53/],
  ['says yes to StartTLS and goes on unencrypted', (socket: Socket) => {
    socket.write(extendedResponse(0));
    socket.once('data', () => socket.write(extendedResponse(0)));
  }, /wrong version|packet length|unexpected|closed|ECONNRESET/i],
  ['hangs up on StartTLS', (socket: Socket) => void socket.destroy(), /closed|ECONNRESET/],
  ['says nothing to StartTLS', () => {}, /within 300 ms|timed out/, 300],
] as const) {
  test(`a server that ${what} hears neither name nor password, and the answer is 503`, { skip }, async (t) => {
    const server = await unencryptedServer(t, answer);
    for (const kind of [{}, direct]) {
      const ldap = authenticator(t, { ...kind, url: server.url, startTls: true, timeoutMillis });
      await assert.rejects(ldap.authenticate(ada), isUnavailable(words));
    }
    assert.ok(server.heard.length > 0);
    assert.doesNotMatch(Buffer.concat(server.heard).toString('latin1'), /canary|ada|cn=anki|uid/);
  });
}

test('when the encrypted connection ends, nothing is said on an unencrypted one', { skip }, async (t) => {
  const ldap = authenticator(t, { url: slapd.ldap, startTls: true, ca: slapd.ca });
  await ldap.authenticate(ada);
  await slapd.restart();
  await slapd.operations();
  assert.deepEqual(await ldap.authenticate(ada), { loginName: 'Ada' });
  assert.deepEqual((await slapd.operations()).map(({ kind }) => kind), ['STARTTLS', 'BIND', 'SRCH', 'STARTTLS', 'BIND']);
});
