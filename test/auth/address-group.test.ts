import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressGroup } from '../../lib/auth/address-group.ts';

test('an IPv4 address is one by itself, also as a socket for both kinds shows it', () => {
  assert.deepEqual(addressGroup('203.0.113.7'), { name: '203.0.113.7', isShared: false });
  assert.deepEqual(addressGroup('::ffff:203.0.113.7'), { name: '203.0.113.7', isShared: false });
});

test('of an IPv6 address the first half counts, however it is written: the rest is the choice of whoever has it', () => {
  const half = '2001:db8:0:12::/64';
  for (const address of ['2001:db8:0:12::1', '2001:db8:0:12:ffff:1:2:3', '2001:0DB8:0000:0012:0000:0000:0000:0001', '2001:db8::12:0:0:0:1', '2001:db8:0:12::1%eth0']) {
    assert.deepEqual(addressGroup(address), { name: half, isShared: false }, address);
  }
  assert.notEqual(addressGroup('2001:db8:0:13::1').name, half);
  assert.equal(addressGroup('2001:db8::').name, '2001:db8:0:0::/64');
  assert.equal(addressGroup('::2:3').name, '0:0:0:0::/64');
});

test('private networks, and no address at all, may be everybody', () => {
  for (const address of ['127.0.0.1', '::1', '10.1.2.3', '172.17.0.1', '192.168.1.1', 'fd00::1', 'fe80::1%eth0', '::ffff:10.0.0.1', undefined, '', 'x']) {
    assert.equal(addressGroup(address).isShared, true, String(address));
  }
  for (const address of ['172.32.0.1', '11.0.0.1', '192.169.0.1', '2001:db8::1']) assert.equal(addressGroup(address).isShared, false, address);
});
