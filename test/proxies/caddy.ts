/** Caddy with the files of adapters/caddy: Debian's, and a current one. */
import { constants, existsSync } from 'node:fs';
import { copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../oracle/anki-python.ts';
import { shipped, type Launch, type Plan, type Proxy } from './proxy.ts';

export const DEBIAN_CADDY = '/usr/bin/caddy';
export const CURRENT_CADDY_VERSION = 'v2.11.9';
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url));
const CURRENT_CADDY = join(CACHE, `caddy-${CURRENT_CADDY_VERSION}`, 'caddy');

/** Path of the current Caddy, or undefined where it was not built yet: `npm run try:caddy` does that. */
export function currentCaddy(): string | undefined {
  return existsSync(CURRENT_CADDY) ? CURRENT_CADDY : undefined;
}

/** Builds it through the Go module proxy: some minutes. @throws where there is no Go, or no proxy */
export async function buildCurrentCaddy(): Promise<string> {
  if (existsSync(CURRENT_CADDY)) return CURRENT_CADDY;
  const folder = join(CACHE, `caddy-${CURRENT_CADDY_VERSION}.${process.pid}`);
  await mkdir(folder, { recursive: true });
  try {
    const env = { ...process.env, GOBIN: folder, GOTOOLCHAIN: 'local', GOFLAGS: '-trimpath' };
    await run('go', ['install', `github.com/caddyserver/caddy/v2/cmd/caddy@${CURRENT_CADDY_VERSION}`], { env });
    await rename(folder, join(CACHE, `caddy-${CURRENT_CADDY_VERSION}`));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return CURRENT_CADDY;
}

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

async function caddy({ folder }: Plan, command: string, text: string): Promise<Launch> {
  // no administration on a fixed port, and none of ports 80 and 443
  const settings = '\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n\tdefault_bind 127.0.0.1\n';
  await writeFile(join(folder, 'Caddyfile'), text.replace(/^\{\n/m, `{\n${settings}`));
  // the project's own folder may be closed to a user without rights
  const binary = command.startsWith(CACHE) ? join(folder, 'caddy-binary') : command;
  if (binary !== command) await copyFile(command, binary, constants.COPYFILE_FICLONE);
  return { command: binary, args: ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')] };
}
