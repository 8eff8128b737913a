import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** The URL to enter in Anki on another device: for a server on all networks, with the first address that others can reach. */
export function urlToEnter(scheme: 'http' | 'https', address: string, port: number): string {
  const host = address === '0.0.0.0' || address === '::' ? (reachableAddress() ?? 'localhost') : address;
  return `${scheme}://${isIPv6(host) ? `[${host}]` : host}:${port}/`;
}

function reachableAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ internal, family }) => !internal && family === 'IPv4')?.address;
}
