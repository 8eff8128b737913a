import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Connector } from '../../../lib/auth/ldap/connection.ts';
import { DirectoryUnreachable } from '../../../lib/auth/ldap/errors.ts';
import { checkLdapOptions } from '../../../lib/auth/ldap/settings.ts';
import { forwarder } from './forwarder.ts';
import { credentials, directory, isUnavailable } from './directory.ts';
import { GROUPS, PEOPLE, person } from './slapd.ts';

const { slapd, skip, authenticator } = await directory({ entries: person('leaver', 'canary-leaver') });
const ada = credentials('ada', 'canary-ada-4411');
/** What waits for an event must not wait for ever. */
const waiting = { skip, timeout: 60_000 };
const closedPort = 'ldap://127.0.0.1:1';

/** Takes connections, and says nothing. */
async function silentServer(t: TestContext): Promise<{ url: string; connections: () => number }> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket.on('error', () => {}));
    socket.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `ldap://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections };
}

test('a directory that stops makes 503, and the same authenticator goes on once it is back', waiting, async (t) => {
  const ldap = authenticator(t);
  assert.deepEqual(await ldap.authenticate(ada), { loginName: 'Ada' });
  await slapd.stop();
  for (const each of [ada, credentials('ada', 'wrong'), credentials('nobody', 'x')]) await assert.rejects(ldap.authenticate(each), isUnavailable(/ECONNREFUSED/));
  await slapd.restart();
  assert.deepEqual(await ldap.authenticate(ada), { loginName: 'Ada' });
  assert.equal(ldap.lines.length, 2, 'told once, not at each login');
  assert.match(ldap.lines[0]?.detail ?? '', /does not answer/);
  assert.match(ldap.lines[1]?.detail ?? '', /answers again/);
});

test('a connection that was cut between two logins is noticed by nobody', waiting, async (t) => {
  const ldap = authenticator(t);
  await ldap.authenticate(ada);
  await slapd.restart();
  assert.deepEqual(await ldap.authenticate(ada), { loginName: 'Ada' });
});

test('a connection of which nobody said that it is gone costs one timeout, and not the login', waiting, async (t) => {
  const way = await forwarder(t, slapd.ldap);
  const ldap = authenticator(t, { url: way.url, timeoutMillis: 1000 });
  await ldap.authenticate(ada);
  await way.until(1);
  way.freeze();
  assert.deepEqual(await ldap.authenticate(ada), { loginName: 'Ada' });
});

for (const startTls of [false, true]) {
  test(`${startTls ? 'StartTLS' : 'ldap'}: a login leaves no connection behind, right or wrong or out of time, and closing leaves none at all`, waiting, async (t) => {
    const way = await forwarder(t, slapd.ldap);
    const encryption = { url: way.url, startTls, ca: slapd.ca };
    const ldap = authenticator(t, { ...encryption, timeoutMillis: 1000 });
    const direct = authenticator(t, { ...encryption, bindDn: undefined, bindPassword: undefined, bindTemplate: `uid={name},${PEOPLE}` });
    for (const each of [ada, credentials('ada', 'wrong'), credentials('nobody', 'x')]) {
      await ldap.authenticate(each);
      await direct.authenticate(each);
    }
    await way.until(1); // the service account's
    t.after(() => slapd.resume());
    await slapd.pause();
    await assert.rejects(ldap.authenticate(ada), isUnavailable());
    slapd.resume();
    await way.until(0);
    await ldap.authenticate(ada);
    await ldap.close();
    await way.until(0);
  });
}

for (const way of ['ldap', 'ldaps', 'StartTLS'] as const) {
  test(`${way}: a connection that was lost stays lost: another one would be unencrypted, or signed in as nobody`, waiting, async (t) => {
    const settings = checkLdapOptions({
      url: way === 'ldaps' ? slapd.ldaps : slapd.ldap, startTls: way === 'StartTLS', ca: slapd.ca, bindTemplate: `uid={name},${PEOPLE}`, timeoutMillis: 1000,
    });
    const connector = new Connector(settings);
    t.after(() => connector.close());
    const connection = await connector.connect(settings.servers[0]!);
    await connection.bind(`uid=Ada,${PEOPLE}`, ada.password);
    await slapd.restart();
    await slapd.operations();
    const search = { base: PEOPLE, scope: 'sub', filter: '(uid=ada)', attribute: 'uid' } as const;
    await assert.rejects(connection.bind(`uid=Ada,${PEOPLE}`, ada.password), DirectoryUnreachable);
    await assert.rejects(connection.search(search), DirectoryUnreachable);
    assert.equal(connection.isOpen, false);
    assert.deepEqual(await slapd.operations(), []);
  });
}

test('a directory that hangs makes 503 after the timeout, and the same authenticator goes on once it wakes up', waiting, async (t) => {
  const ldap = authenticator(t, { timeoutMillis: 1000 });
  const fresh = authenticator(t, { timeoutMillis: 1000, url: slapd.ldaps, ca: slapd.ca });
  await ldap.authenticate(ada);
  t.after(() => slapd.resume());
  await slapd.pause();
  await assert.rejects(ldap.authenticate(ada), isUnavailable(/timed out|no connection within/));
  await assert.rejects(fresh.authenticate(ada), isUnavailable(/no connection within 1000 ms/));
  slapd.resume();
  for (const each of [ldap, fresh]) assert.deepEqual(await each.authenticate(ada), { loginName: 'Ada' });
});

test('servers are tried in order, and one that does not answer is not waited for again', waiting, async (t) => {
  const silent = await silentServer(t);
  const ldap = authenticator(t, { url: [closedPort, silent.url, slapd.ldap], timeoutMillis: 1000 });
  for (let i = 0; i < 3; i++) assert.deepEqual(await ldap.authenticate(ada), { loginName: 'Ada' });
  assert.equal(silent.connections(), 1);
  assert.deepEqual(ldap.lines.map(({ detail }) => detail.split(' ')[0]), [closedPort, silent.url]);
  assert.equal(await ldap.authenticate(credentials('ada', 'wrong')), null);
});

test('a server that goes away in the middle leaves the next one', waiting, async (t) => {
  const ldap = authenticator(t, { url: [slapd.ldaps, slapd.ldap], ca: slapd.ca });
  await ldap.authenticate(ada);
  await slapd.restart();
  assert.deepEqual(await ldap.authenticate(ada), { loginName: 'Ada' });
});

test('when no server answers, the message names each', waiting, async (t) => {
  const silent = await silentServer(t);
  const ldap = authenticator(t, { url: [closedPort, silent.url], timeoutMillis: 100 });
  await assert.rejects(ldap.authenticate(ada), isUnavailable(new RegExp(`${closedPort}.*${silent.url}`)));
});

test('a referral is not followed: who knows where it leads', waiting, async (t) => {
  const elsewhere = await silentServer(t);
  await slapd.modify(`dn: ou=elsewhere,${PEOPLE}\nchangetype: add\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\nref: ${elsewhere.url}/dc=elsewhere\n`);
  // whoever is here signs in
  assert.deepEqual(await authenticator(t).authenticate(ada), { loginName: 'Ada' });
  // a place that is only a referral is no place
  await assert.rejects(authenticator(t, { searchBase: `ou=elsewhere,${PEOPLE}` }).authenticate(ada), isUnavailable(/result code 10/));
  assert.equal(elsewhere.connections(), 0);
});

test('looking up again: yes or no while the directory answers, and neither when it does not', waiting, async (t) => {
  const ldap = authenticator(t, { groupBase: GROUPS, groupFilter: '(&(cn=learners)(member={dn}))', timeoutMillis: 1000 });
  assert.deepEqual([await ldap.stillAllowed('Ada'), await ldap.stillAllowed('ada'), await ldap.stillAllowed('eve')], [true, true, false]);
  t.after(() => slapd.resume());
  await slapd.pause();
  await assert.rejects(ldap.stillAllowed('Ada'), isUnavailable());
  slapd.resume();
  await slapd.stop();
  await assert.rejects(ldap.stillAllowed('eve'), isUnavailable());
  await slapd.restart();
  assert.equal(await ldap.stillAllowed('Ada'), true);
  await slapd.modify(`dn: cn=learners,${GROUPS}\nchangetype: modify\ndelete: member\nmember: uid=bob,${PEOPLE}\n`);
  assert.equal(await ldap.stillAllowed('bob'), false);
});

test('looking up again finds people by the name they were given, whatever they type, and whoever is gone is gone', waiting, async (t) => {
  const ldap = authenticator(t, { userFilter: '(&(objectClass=inetOrgPerson)(mail={name}))', nameAttribute: 'uid' });
  assert.deepEqual(await ldap.authenticate(credentials('mail.leaver@example.org', 'canary-leaver')), { loginName: 'leaver' });
  assert.equal(await ldap.stillAllowed('leaver'), true);
  await slapd.modify(`dn: uid=leaver,${PEOPLE}\nchangetype: delete\n`);
  assert.equal(await ldap.stillAllowed('leaver'), false);
});

test('a directory that shows nobody at all says nothing about anybody', waiting, async (t) => {
  await slapd.modify(`dn: ou=empty,dc=example,dc=org\nchangetype: add\nobjectClass: organizationalUnit\nou: empty\n`);
  const ldap = authenticator(t, { searchBase: 'ou=empty,dc=example,dc=org' });
  await assert.rejects(ldap.stillAllowed('Ada'), isUnavailable(/sees nobody/));
  await assert.rejects(authenticator(t, { searchBase: 'ou=typo,dc=example,dc=org' }).stillAllowed('Ada'), isUnavailable());
  await assert.rejects(authenticator(t, { bindPassword: 'canary-wrong' }).stillAllowed('Ada'), isUnavailable(/service account/));
});

test('the check at the start tells what is wrong', waiting, async (t) => {
  await authenticator(t).check();
  await assert.rejects(authenticator(t, { searchBase: 'ou=empty,dc=example,dc=org' }).check(), isUnavailable(/sees nobody with uid below ou=empty/));
  await assert.rejects(authenticator(t, { url: closedPort }).check(), isUnavailable(/ECONNREFUSED/));
});
