import { BlockList, isIP } from 'node:net';

/** The names that Express's "trust proxy" knows too. */
const NAMED: Record<string, readonly string[]> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

/** What of a request tells where it came from: of node:http's, or of any other. */
export interface Forwarded {
  headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  socket: { remoteAddress?: string | undefined };
}

/** Whether an address is that of a proxy whose headers are believed. */
export type IsTrustedProxy = (address: string | undefined) => boolean;

/**
 * @param list addresses (`10.0.0.5`), networks (`10.0.0.0/8`, `fd00::/8`), or `loopback`, `linklocal`, `uniquelocal`
 * @throws TypeError that names the entry
 */
export function trustedProxies(list: readonly string[]): IsTrustedProxy {
  const trusted = new BlockList();
  for (const entry of list.flatMap((each) => (Object.hasOwn(NAMED, each) ? NAMED[each]! : [each]))) {
    const [, network = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
    const family = isIP(network);
    const most = family === 4 ? 32 : 128;
    if (family === 0 || Number(bits ?? most) > most) {
      throw new TypeError(`"${entry}" is no address of a proxy: give addresses, networks like 10.0.0.0/8, or ${Object.keys(NAMED).join(', ')}`);
    }
    trusted.addSubnet(network, Number(bits ?? most), family === 4 ? 'ipv4' : 'ipv6');
  }
  return (address) => {
    const plain = plainAddress(address);
    return plain !== undefined && trusted.check(plain, isIP(plain) === 4 ? 'ipv4' : 'ipv6');
  };
}

/**
 * The client's address by X-Forwarded-For, read from its end: each entry was written by the one behind it, so it is believed as long
 * as that one is trusted. What a client wrote itself stands further left, and is never reached.
 */
export function forwardedAddress(req: Forwarded, isTrusted: IsTrustedProxy): string | undefined {
  let nearest = plainAddress(req.socket.remoteAddress);
  const header = req.headers['x-forwarded-for'];
  const entries = String(header ?? '').split(',');
  while (entries.length > 0 && isTrusted(nearest)) {
    const next = plainAddress(entries.pop()!.trim().replace(/^\[(.*)\](:\d+)?$/, '$1').replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1'));
    if (next === undefined) break;
    nearest = next;
  }
  return nearest;
}

/** `https` or `http` as the nearest proxy says, if it is trusted. */
export function forwardedScheme(req: Forwarded, isTrusted: IsTrustedProxy): 'https' | 'http' | undefined {
  const header = req.headers['x-forwarded-proto'];
  const said = String(header ?? '').split(',').at(-1)?.trim();
  return (said === 'https' || said === 'http') && isTrusted(req.socket.remoteAddress) ? said : undefined;
}

/** A socket that listens on `::` shows IPv4 clients as `::ffff:10.0.0.5`. */
function plainAddress(address: string | undefined): string | undefined {
  const plain = address?.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  return plain !== undefined && isIP(plain) !== 0 ? plain : undefined;
}
