/** HAProxy with the files of adapters/haproxy. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shipped, type Launch, type Plan, type Proxy } from './proxy.ts';

const HAPROXY = '/usr/sbin/haproxy';

export const haproxyAtPath: Proxy = {
  name: 'HAProxy, at a path',
  scheme: 'http',
  path: '/anki/',
  configure: async (plan) => {
    const words = { 'bind :80': `bind 127.0.0.1:${plan.port}`, ...upstreamsOf(plan, 1) };
    return haproxy(plan, await shipped('haproxy/subpath.cfg', words));
  },
};

export const haproxyOwnHost: Proxy = {
  name: 'HAProxy, at a host of its own with TLS',
  scheme: 'https',
  path: '/',
  configure: async (plan) => haproxy(plan, await shipped('haproxy/own-host.cfg', { ...hostOf(plan), ...upstreamsOf(plan, 1) })),
};

/** @param changes further words of the file to replace */
export const haproxySeveralServers = (changes: Record<string, string> = {}): Proxy => ({
  name: 'HAProxy, over several servers',
  scheme: 'https',
  path: '/',
  servers: 2,
  configure: async (plan) => haproxy(plan, await shipped('haproxy/several-servers.cfg', { ...hostOf(plan), ...upstreamsOf(plan, 2), ...changes })),
});

function upstreamsOf({ upstreams: [one, two] }: Plan, count: 1 | 2): Record<string, string> {
  return {
    '127.0.0.1:27701': `127.0.0.1:${one}`,
    ...(count === 2 ? { '127.0.0.1:27702': `127.0.0.1:${two ?? one}` } : {}),
    'log /dev/log local0': 'log stdout format raw daemon',
  };
}

function hostOf({ port, certificates }: Plan): Record<string, string> {
  return { 'bind :443': `bind 127.0.0.1:${port}`, '/etc/haproxy/anki.example.org.pem': certificates.both };
}

async function haproxy({ folder }: Plan, text: string): Promise<Launch> {
  await writeFile(join(folder, 'haproxy.cfg'), `global\n    maxconn 500\n    log stdout format raw daemon\n${text}`);
  return { command: HAPROXY, args: ['-db', '-f', join(folder, 'haproxy.cfg')] };
}
