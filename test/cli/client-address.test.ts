import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import test from 'node:test';
import { clientAddress, type ClientAddressSource } from '../../lib/cli/client-address.ts';

const request = (headers: Record<string, string>) => ({ headers, socket: { remoteAddress: '10.0.0.1' } }) as unknown as IncomingMessage;

const cases: [ClientAddressSource, Record<string, string>, string][] = [
  ['ConnectInfo', { 'x-forwarded-for': '203.0.113.7', 'x-real-ip': '203.0.113.7' }, '10.0.0.1'],
  ['XRealIp', { 'x-real-ip': '203.0.113.7' }, '203.0.113.7'],
  ['XRealIp', { 'x-real-ip': '2001:db8::1' }, '2001:db8::1'],
  ['CfConnectingIp', { 'cf-connecting-ip': '203.0.113.7' }, '203.0.113.7'],
  ['TrueClientIp', { 'true-client-ip': '203.0.113.7' }, '203.0.113.7'],
  ['FlyClientIp', { 'fly-client-ip': '203.0.113.7' }, '203.0.113.7'],
  ['XEnvoyExternalAddress', { 'x-envoy-external-address': '203.0.113.7' }, '203.0.113.7'],
  ['CloudFrontViewerAddress', { 'cloudfront-viewer-address': '203.0.113.7:4711' }, '203.0.113.7'],
  ['CloudFrontViewerAddress', { 'cloudfront-viewer-address': '2001:db8::1:4711' }, '2001:db8::1'],
  ['RightmostXForwardedFor', { 'x-forwarded-for': '6.6.6.6, 203.0.113.7' }, '203.0.113.7'],
  ['RightmostXForwardedFor', { 'x-forwarded-for': '6.6.6.6, nonsense' }, '10.0.0.1'],
  ['RightmostForwarded', { forwarded: 'for=6.6.6.6, for=203.0.113.7;proto=https;by=10.1.1.1' }, '203.0.113.7'],
  ['RightmostForwarded', { forwarded: 'proto=https;For="[2001:db8::1]:47011"' }, '2001:db8::1'],
  ['RightmostForwarded', { forwarded: 'for="203.0.113.7:47011"' }, '203.0.113.7'],
  ['RightmostForwarded', { forwarded: 'for=_hidden' }, '10.0.0.1'],
  ['XRealIp', {}, '10.0.0.1'],
  ['XRealIp', { 'x-real-ip': '1.2.3.4\nadmin' }, '10.0.0.1'],
];
test('an IPv4 client of a socket on :: has an IPv4 address', () => {
  const mapped = { headers: {}, socket: { remoteAddress: '::ffff:192.0.2.7' } } as unknown as IncomingMessage;
  assert.equal(clientAddress(mapped, 'ConnectInfo'), '192.0.2.7');
});

for (const [source, headers, expected] of cases) {
  test(`${source} with ${JSON.stringify(headers)} is ${expected}`, () => {
    assert.equal(clientAddress(request(headers), source), expected);
  });
}
