import { BlockList, isIP } from 'node:net';

const PRIVATE = new BlockList();
for (const [network, bits] of [['127.0.0.0', 8], ['10.0.0.0', 8], ['172.16.0.0', 12], ['192.168.0.0', 16], ['169.254.0.0', 16], ['100.64.0.0', 10]] as const) {
  PRIVATE.addSubnet(network, bits, 'ipv4');
}
for (const [network, bits] of [['::1', 128], ['fc00::', 7], ['fe80::', 10]] as const) PRIVATE.addSubnet(network, bits, 'ipv6');

export interface AddressGroup {
  /** The same for all addresses that one customer of a provider can choose from: an IPv4 address, the first 64 bits of an IPv6 address. */
  name: string;
  /** Of a private network, or unknown: behind it may be a proxy that nobody declared, and everybody. */
  isShared: boolean;
}

/** What counts as one address. */
export function addressGroup(address: string | undefined): AddressGroup {
  const plain = address?.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '') ?? '';
  switch (isIP(plain)) {
    case 4:
      return { name: plain, isShared: PRIVATE.check(plain, 'ipv4') };
    case 6:
      return { name: firstHalf(plain), isShared: PRIVATE.check(plain, 'ipv6') };
    default:
      return { name: 'unknown', isShared: true };
  }
}

/** `2001:db8:0:1::/64`, however the address is written. */
function firstHalf(address: string): string {
  // the URL parser writes an address in its one short form
  const [left = '', right] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::');
  const words = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const all = right === undefined ? words : [...words, ...Array<string>(8 - words.length - tail.length).fill('0'), ...tail];
  return `${all.slice(0, 4).join(':')}::/64`;
}
