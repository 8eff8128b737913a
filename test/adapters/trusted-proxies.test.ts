import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { expressSync } from '../../adapters/express/index.ts';
import { forwardedAddress, forwardedScheme, trustedProxies } from '../../adapters/express/trusted-proxies.ts';
import type { HttpRequest } from '../../lib/http.ts';

const request = (peer: string, headers: Record<string, string> = {}) => ({ headers, socket: { remoteAddress: peer } }) as unknown as IncomingMessage;

test('a list has addresses, networks and names', () => {
  const isTrusted = trustedProxies(['192.0.2.5', '198.51.100.0/24', '2001:db8::/32', 'loopback', 'uniquelocal']);
  for (const address of ['192.0.2.5', '198.51.100.77', '2001:db8:1::9', '127.0.0.1', '::1', '::ffff:127.0.0.1', '10.9.8.7', '172.31.0.1', 'fd12::1']) {
    assert.equal(isTrusted(address), true, address);
  }
  for (const address of ['192.0.2.6', '198.51.101.1', '2001:db9::1', '172.32.0.1', '169.254.0.1', '', undefined, 'x']) assert.equal(isTrusted(address), false, address);
});

test('what is no address is refused and named', () => {
  for (const entry of ['', 'proxy.example.org', '10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/8/8', 'Loopback', '__proto__', 'constructor']) {
    assert.throws(() => trustedProxies(['loopback', entry]), (error: unknown) => error instanceof TypeError && error.message.startsWith(`"${entry}" is no address`), entry);
  }
});

const isTrusted = trustedProxies(['10.0.0.0/8', '2001:db8::/32']);
const cases: [string, string, string | undefined, string][] = [
  ['nobody in front', '203.0.113.7', undefined, '203.0.113.7'],
  ['a client that writes the header itself', '203.0.113.7', '6.6.6.6', '203.0.113.7'],
  ['one proxy', '10.0.0.1', '203.0.113.7', '203.0.113.7'],
  ['one proxy, and what the client wrote', '10.0.0.1', '6.6.6.6, 10.0.0.2, 203.0.113.7', '203.0.113.7'],
  ['two proxies', '10.0.0.1', '6.6.6.6, 203.0.113.7, 10.0.0.2', '203.0.113.7'],
  ['a client within', '10.0.0.1', '10.0.0.9', '10.0.0.9'],
  ['no header from a proxy', '10.0.0.1', undefined, '10.0.0.1'],
  ['nonsense from a proxy', '10.0.0.1', '203.0.113.7, unknown', '10.0.0.1'],
  ['with ports', '10.0.0.1', '203.0.113.7:4711', '203.0.113.7'],
  ['IPv6 with a port', '2001:db8::1', '[2001:db9::7]:4711', '2001:db9::7'],
  ['IPv4 in IPv6', '::ffff:10.0.0.1', '::ffff:203.0.113.7', '203.0.113.7'],
];
for (const [what, peer, header, expected] of cases) {
  test(`the address of the client: ${what}`, () => {
    assert.equal(forwardedAddress(request(peer, header === undefined ? {} : { 'x-forwarded-for': header }), isTrusted), expected);
  });
}

test('the scheme is believed from a proxy alone, and the nearest one counts', () => {
  assert.equal(forwardedScheme(request('10.0.0.1', { 'x-forwarded-proto': 'https' }), isTrusted), 'https');
  assert.equal(forwardedScheme(request('10.0.0.1', { 'x-forwarded-proto': 'http, https' }), isTrusted), 'https');
  assert.equal(forwardedScheme(request('203.0.113.7', { 'x-forwarded-proto': 'https' }), isTrusted), undefined);
  assert.equal(forwardedScheme(request('10.0.0.1', { 'x-forwarded-proto': 'gopher' }), isTrusted), undefined);
});

test('mounted in plain node:http, the option decides whose address and scheme the core sees', async () => {
  for (const [trusted, address, scheme] of [[['loopback'], '203.0.113.7', 'https'], [['10.0.0.0/8'], '127.0.0.1', 'http'], [undefined, '127.0.0.1', 'http']] as const) {
    const seen: HttpRequest[] = [];
    const handler = expressSync({ handle: async (each) => (seen.push(each), { status: 200, headers: {}, body: Buffer.from('') }) }, trusted === undefined ? {} : { trustedProxies: trusted });
    const server = createServer(handler).listen(0, '127.0.0.1');
    await once(server, 'listening');
    await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { headers: { 'x-forwarded-for': '6.6.6.6, 203.0.113.7', 'x-forwarded-proto': 'https' } });
    server.close();
    server.closeAllConnections();
    assert.deepEqual(seen.map((each) => [each.clientAddress, each.scheme]), [[address, scheme]]);
  }
});
