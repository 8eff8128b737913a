/** nginx with the files of adapters/nginx-njs, inside a configuration as a site may have it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shipped, type Launch, type Plan, type Proxy } from './proxy.ts';

/** Another nginx than Debian's can be tried: `NGINX=/path/to/nginx NJS_MODULE=…`, the latter empty where njs is built in. */
const NGINX = process.env['NGINX'] ?? '/usr/sbin/nginx';
const NJS_MODULE = process.env['NJS_MODULE'] ?? '/usr/lib/nginx/modules/ngx_http_js_module.so';
const LOAD_SCRIPTS = NJS_MODULE === '' ? '' : `load_module ${NJS_MODULE};`;

export const nginxAtPath: Proxy = {
  name: 'nginx, at a path',
  scheme: 'http',
  path: '/anki/',
  configure: async (plan) => nginx(plan, siteAround(plan, await shipped('nginx-njs/subpath.conf', upstreamsOf(plan, 1)))),
};

export const nginxOwnHost: Proxy = {
  name: 'nginx, at a host of its own with TLS',
  scheme: 'https',
  path: '/',
  configure: async (plan) => nginx(plan, await shipped('nginx-njs/own-host.conf', { ...upstreamsOf(plan, 1), ...hostOf(plan), ...plainPort(plan) })),
};

/** The scenarios sign in from one address faster than people would. */
export const MANY_LOGINS = { 'rate=30r/m': 'rate=3000r/m' };

/** @param changes further words of several-servers.conf to replace */
export const nginxWithScript = (changes: Record<string, string> = {}, engine = ''): Proxy => ({
  name: 'nginx with njs, over several servers',
  scheme: 'https',
  path: '/',
  servers: 2,
  configure: async (plan) => nginx(plan, engine + (await severalServers(plan, changes)), true),
});

export const nginxWithScriptAtPath: Proxy = {
  name: 'nginx with njs, at a path',
  scheme: 'https',
  path: '/anki/',
  servers: 2,
  configure: async (plan) => {
    const changes = { ...MANY_LOGINS, 'location / {': 'location /anki/ {', 'proxy_pass http://anki_sync;': 'proxy_pass http://anki_sync/;' };
    return nginx(plan, await severalServers(plan, changes), true);
  },
};

async function severalServers(plan: Plan, changes: Record<string, string>): Promise<string> {
  const script = join(plan.folder, 'anki-sync.js');
  await writeFile(script, await shipped('nginx-njs/anki-sync.js', {}));
  const words = { ...upstreamsOf(plan, 2), ...hostOf(plan), '/etc/nginx/anki-sync.js': script, ...changes };
  return shipped('nginx-njs/several-servers.conf', words);
}

/** Why `js_engine qjs` cannot be tried here, or false. */
export function quickJsMissing(): string | false {
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-nginx-'));
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, `${LOAD_SCRIPTS} pid ${folder}/pid; events {} http { js_engine qjs; }`);
  const { stderr } = spawnSync(NGINX, ['-t', '-c', file], { encoding: 'utf8' });
  rmSync(folder, { recursive: true, force: true });
  return /\[emerg\].*("js_engine"|"qjs")/.test(stderr) ? 'the njs of this nginx has no QuickJS: that came with 0.8.6, and not every build has it' : false;
}

function upstreamsOf({ upstreams: [one, two] }: Plan, count: 1 | 2): Record<string, string> {
  return { '127.0.0.1:27701': `127.0.0.1:${one}`, ...(count === 2 ? { '127.0.0.1:27702': `127.0.0.1:${two ?? one}` } : {}) };
}

function hostOf({ port, certificates, folder }: Plan): Record<string, string> {
  return {
    'listen [::]:443 ssl;': '',
    'listen 443 ssl;': `listen 127.0.0.1:${port} ssl;`,
    '/etc/letsencrypt/live/anki.example.org/fullchain.pem': certificates.certificate,
    '/etc/letsencrypt/live/anki.example.org/privkey.pem': certificates.key,
    '/var/log/nginx/anki.log': join(folder, 'anki.log'),
  };
}

/** The server for plain http, where nobody comes. */
function plainPort({ folder }: Plan): Record<string, string> {
  return { 'listen [::]:80;': '', 'listen 80;': `listen unix:${folder}/plain.socket;` };
}

function siteAround({ port }: Plan, snippet: string): string {
  return `server {
    listen 127.0.0.1:${port};
    location / { default_type text/plain; return 200 "the site"; }
${snippet}
}`;
}

/** As unkind as a site may be: everything is compressed, and the limit for bodies is the default. */
async function nginx({ folder }: Plan, inside: string, withScript = false): Promise<Launch> {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `    ${kind}_temp_path ${folder}/temporary/${kind};`);
  await writeFile(join(folder, 'nginx.conf'), `${withScript ? LOAD_SCRIPTS : ''}
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
worker_processes 1;
events { worker_connections 512; }
http {
${temporary.join('\n')}
    access_log ${folder}/access.log;
    gzip on;
    gzip_types *;
    gzip_min_length 0;
    gzip_proxied any;
${inside}
}
`);
  return { command: NGINX, args: ['-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log'), '-g', 'daemon off;'] };
}
