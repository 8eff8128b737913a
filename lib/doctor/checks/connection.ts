/** The name, and whether anybody listens. */
import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { right, wrong, type Finding } from '../finding.ts';
import type { Visit } from '../visit.ts';
import { quoted } from '../words.ts';

const CONNECT_MILLIS = 10_000;

export function portOf({ port, protocol }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

/** Without the brackets of IPv6. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

export async function checkName(visit: Visit): Promise<Finding[]> {
  const host = hostOf(visit.base);
  if (isIP(host) !== 0) return [];
  try {
    const addresses = await lookup(host, { all: true });
    return [right('name', `${host} is ${addresses.map(({ address }) => address).join(', ')}`)];
  } catch (error) {
    visit.over = true;
    const { code } = error as NodeJS.ErrnoException;
    return [wrong('name', 'NAME_UNKNOWN', `${host} is no name that leads to an address (${quoted(code ?? '')})`)];
  }
}

export async function checkConnection(visit: Visit): Promise<Finding[]> {
  const host = hostOf(visit.base);
  const port = portOf(visit.base);
  const failed = await new Promise<string | undefined>((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_MILLIS });
    socket.once('connect', () => {
      if (socket.remoteAddress !== undefined) visit.peer = socket.remoteAddress;
      resolve(undefined);
      socket.destroy();
    });
    socket.once('timeout', () => {
      resolve('ETIMEDOUT');
      socket.destroy();
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'));
  });
  if (failed === undefined) return [right('connection', `port ${port} is open`)];
  visit.over = true;
  if (failed === 'ECONNREFUSED') return [wrong('connection', 'NOBODY_LISTENS', `nobody listens on port ${port} of ${host}`)];
  return [wrong('connection', 'NO_ANSWER', `port ${port} of ${host} cannot be reached (${quoted(failed)})`)];
}
