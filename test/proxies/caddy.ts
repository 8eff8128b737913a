/** Caddy with the files of adapters/caddy: Debian's, and a current one. */
import { constants } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CACHE } from './current-caddy.ts';
import { shipped, type Launch, type Plan, type Proxy } from './proxy.ts';

export const DEBIAN_CADDY = '/usr/bin/caddy';
export const caddyAtPath = (name: string, command: string): Proxy => ({
  name: `${name}, at a path`,
  scheme: 'http',
  path: '/anki/',
  configure: async (plan) => {
    const words = { 'example.org {': `http://localhost:${plan.port} {`, ...upstreamsOf(plan, 1) };
    return caddy(plan, command, await shipped('caddy/subpath.Caddyfile', words));
  },
});

export const caddyOwnHost = (name: string, command: string): Proxy => ({
  name: `${name}, at a host of its own with TLS`,
  scheme: 'https',
  path: '/',
  configure: async (plan) => caddy(plan, command, await shipped('caddy/Caddyfile', { ...hostOf(plan), ...upstreamsOf(plan, 1) })),
});

/** Its certificate is one that Caddy gets by itself, as on the web: here from an authority of its own. */
export const caddyByItself = (name: string, command: string): Proxy => ({
  name: `${name}, with a certificate that it gets by itself`,
  scheme: 'https',
  path: '/',
  configure: async (plan) => {
    const words = { 'anki.example.org {': `https://localhost:${plan.port} {`, ...upstreamsOf(plan, 1) };
    return caddy(plan, command, await shipped('caddy/Caddyfile', words), '\tlocal_certs\n');
  },
});

export const caddySeveralServers = (name: string, command: string): Proxy => ({
  name: `${name}, over several servers`,
  scheme: 'https',
  path: '/',
  servers: 2,
  configure: async (plan) => caddy(plan, command, await shipped('caddy/several-servers.Caddyfile', { ...hostOf(plan), ...upstreamsOf(plan, 2) })),
});

function upstreamsOf({ upstreams: [one, two] }: Plan, count: 1 | 2): Record<string, string> {
  return { '127.0.0.1:27701': `127.0.0.1:${one}`, ...(count === 2 ? { '127.0.0.1:27702': `127.0.0.1:${two ?? one}` } : {}) };
}

/** A certificate from a file in place of the one that Caddy gets, and a log, which is where keys could be. */
function hostOf({ port, certificates }: Plan): Record<string, string> {
  return { 'anki.example.org {': `https://localhost:${port} {\n\ttls ${certificates.certificate} ${certificates.key}\n\tlog` };
}

async function caddy({ folder }: Plan, command: string, text: string, more = ''): Promise<Launch> {
  // no administration on a fixed port, and none of ports 80 and 443
  const settings = '\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n\tdefault_bind 127.0.0.1\n' + more;
  await writeFile(join(folder, 'Caddyfile'), text.replace(/^\{\n/m, `{\n${settings}`));
  // the project's own folder may be closed to a user without rights
  const binary = command.startsWith(CACHE) ? join(folder, 'caddy-binary') : command;
  if (binary !== command) await copyFile(command, binary, constants.COPYFILE_FICLONE);
  return { command: binary, args: ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')] };
}
