/** Apache with the files of adapters/apache, inside a configuration as a site may have it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shipped, type Launch, type Plan, type Proxy } from './proxy.ts';

const APACHE = '/usr/sbin/apache2';
const MODULES = '/usr/lib/apache2/modules';

export const apacheAtPath: Proxy = {
  name: 'Apache, at a path',
  scheme: 'http',
  path: '/anki/',
  answersEarly: false,
  configure: async (plan) => apache(plan, `<VirtualHost *:${plan.port}>\n${await shipped('apache/subpath.conf', upstreamOf(plan))}\n</VirtualHost>`),
};

export const apacheOwnHost: Proxy = {
  name: 'Apache, at a host of its own with TLS',
  scheme: 'https',
  path: '/',
  answersEarly: false,
  configure: async (plan) =>
    apache(plan, await shipped('apache/own-host.conf', {
      ...upstreamOf(plan),
      '<VirtualHost *:443>': `<VirtualHost *:${plan.port}>`,
      '/etc/letsencrypt/live/anki.example.org/fullchain.pem': plan.certificates.certificate,
      '/etc/letsencrypt/live/anki.example.org/privkey.pem': plan.certificates.key,
      '/var/log/apache2/anki.log': join(plan.folder, 'anki.log'),
    })),
};

function upstreamOf({ upstreams: [one] }: Plan): Record<string, string> {
  return { '127.0.0.1:27701': `127.0.0.1:${one}` };
}

/** As unkind as a site may be: everything is compressed, slow bodies are cut, and the limit for bodies is small. */
async function apache({ folder, port }: Plan, inside: string): Promise<Launch> {
  const ofSite = ['mpm_event', 'authz_core', 'env', 'setenvif', 'filter', 'deflate', 'reqtimeout', 'socache_shmcb'];
  const modules = [...ofSite, 'headers', 'proxy', 'proxy_http', 'ssl'];
  await writeFile(join(folder, 'apache.conf'), `
${modules.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
ServerName localhost
ServerRoot ${folder}
DefaultRuntimeDir ${folder}
PidFile ${folder}/apache.pid
Listen 127.0.0.1:${port}
StartServers 1
ThreadsPerChild 25
ServerLimit 4
MinSpareThreads 1
MaxSpareThreads 100
ErrorLog ${folder}/error.log
LogLevel warn
CustomLog ${folder}/site.log "%h \\"%r\\" %>s" env=!anki-sync
SetOutputFilter DEFLATE
LimitRequestBody 1000000
RequestReadTimeout header=20-40,MinRate=500 body=20,MinRate=500
${inside}
`);
  return { command: APACHE, args: ['-f', join(folder, 'apache.conf'), '-D', 'FOREGROUND'] };
}
