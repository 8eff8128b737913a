/** The real proxies: as their files set them up nothing is wrong, and what people do to nginx is found. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Fault } from '../../lib/doctor/faults.ts';
import { apacheAtPath, apacheOwnHost } from '../proxies/apache.ts';
import { caddyAtPath, caddyOwnHost, DEBIAN_CADDY } from '../proxies/caddy.ts';
import { testCertificates } from '../proxies/certificates.ts';
import { proxiesMissing } from '../proxies/debian.ts';
import { haproxyAtPath, haproxyOwnHost } from '../proxies/haproxy.ts';
import { nginxAtPath, nginxOwnHost } from '../proxies/nginx.ts';
import { freePort, startProxy, type Proxy, type RunningProxy } from '../proxies/proxy.ts';
import { PASSWORD, runningServer, type RunningServer } from '../server/running-server.ts';
import { examined, warningsOf, wrongOf } from './examined.ts';

const skip = await proxiesMissing();

const SHIPPED = [
  nginxAtPath, nginxOwnHost, apacheAtPath, apacheOwnHost, haproxyAtPath, haproxyOwnHost,
  caddyAtPath('Caddy of Debian', DEBIAN_CADDY), caddyOwnHost('Caddy of Debian', DEBIAN_CADDY),
];

describe('As its file sets it up, nothing is found wrong with', { skip, concurrency: 2 }, () => {
  for (const proxy of SHIPPED) {
    test(proxy.name, async (t) => {
      const port = await freePort();
      const server = await runningServer({ publicUrl: `${proxy.scheme}://localhost:${port}${proxy.path}` });
      t.after(() => server.stop());
      const running = await startProxy(proxy, [Number(new URL(server.url).port)], port);
      t.after(() => running.stop());
      const ca = [await readFile((await testCertificates()).ca, 'utf8')];
      const findings = await examined(running.endpoint, { ca, slowSecs: 3, bodyMib: 8, user: { name: 'kim', password: PASSWORD } });
      assert.deepEqual([wrongOf(findings), warningsOf(findings)], [[], []], JSON.stringify(findings));
      assert.deepEqual(findings.filter(({ mark }) => mark === 'skipped'), []);
    });
  }
});

interface Mistake {
  name: string;
  /** Directives of nginx for the location, beside what is right. */
  location: string;
  wrong: Fault[];
  warnings?: Fault[];
  /** What the location has in place of what is right. */
  whole?: true;
  slowSecs?: number;
}

const RIGHT = 'proxy_pass {server}; proxy_set_header Connection ""; client_max_body_size 0; proxy_request_buffering off; proxy_buffering off;';
const ONLY = { whole: true } as const;

const MISTAKES: readonly Mistake[] = [
  { name: 'proxy_pass alone, and all else by default', location: 'proxy_pass {server};', wrong: ['HTTP_1_0', 'BODY_LIMIT'], warnings: ['BODIES_COLLECTED'], ...ONLY },
  { name: 'the limit for bodies by default', location: `${RIGHT.replace('client_max_body_size 0;', '')} proxy_http_version 1.1;`, wrong: ['BODY_LIMIT'], ...ONLY },
  {
    name: 'bodies and answers collected, with a short timeout',
    location: 'proxy_pass {server}; proxy_http_version 1.1; client_max_body_size 0; client_body_timeout 2s; proxy_read_timeout 2s;',
    wrong: ['PROXY_TIMEOUT'],
    warnings: ['BODIES_COLLECTED'],
    slowSecs: 6,
    ...ONLY,
  },
  { name: 'HTTP/1.0', location: RIGHT, wrong: ['HTTP_1_0'], warnings: ['BODIES_COLLECTED'], ...ONLY },
  { name: 'proxy_hide_header anki-original-size', location: 'proxy_hide_header anki-original-size;', wrong: ['ANSWER_HEADER_LOST'] },
  { name: 'anki-sync emptied', location: 'proxy_set_header anki-sync "";', wrong: ['REQUEST_HEADER_LOST'] },
  { name: 'no slash at the end of proxy_pass', location: RIGHT.replace('{server}', '{server-without-slash}'), wrong: ['SUBPATH_NOT_STRIPPED', 'HTTP_1_0'], warnings: ['BODIES_COLLECTED'], ...ONLY },
  { name: 'return 301 to https', location: 'return 301 https://$host$request_uri;', wrong: ['HTTPS_REDIRECT'], ...ONLY },
  { name: 'auth_basic', location: `auth_basic "closed"; auth_basic_user_file /dev/null;`, wrong: ['LOGIN_PAGE'] },
  { name: 'deny all', location: 'deny all;', wrong: ['PROXY_REFUSES'] },
  { name: 'a server that is down', location: 'proxy_pass {nobody};', wrong: ['SERVER_DOWN'], ...ONLY },
];

const broken: Proxy = {
  name: 'nginx, set up wrongly',
  scheme: 'http',
  path: '/',
  async configure({ folder, port, upstreams: [server, nobody] }) {
    const address = `http://127.0.0.1:${server}`;
    const filled = (text: string): string =>
      text.replaceAll('{server}', `${address}/`).replaceAll('{server-without-slash}', address).replaceAll('{nobody}', `http://127.0.0.1:${nobody}/`);
    const locations = MISTAKES.map(({ location, whole }, i) => `location /${i}/ { ${filled(whole === true ? location : `${RIGHT} proxy_http_version 1.1; ${location}`)} }`);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/temporary/${kind};`);
    await writeFile(join(folder, 'nginx.conf'), `pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events {}
http {
    ${temporary.join(' ')}
    access_log off;
    server {
        listen 127.0.0.1:${port};
        ${locations.join('\n        ')}
    }
}
`);
    return { command: '/usr/sbin/nginx', args: ['-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log'), '-g', 'daemon off;'] };
  },
};

describe('nginx with', { skip, concurrency: 2 }, () => {
  let server: RunningServer;
  let proxy: RunningProxy;
  before(async () => {
    server = await runningServer();
    proxy = await startProxy(broken, [Number(new URL(server.url).port), await freePort()]);
  });
  after(async () => {
    await proxy?.stop();
    await server?.stop();
  });

  for (const [i, { name, wrong, warnings = [], slowSecs = 0 }] of MISTAKES.entries()) {
    test(`${name}: ${[...wrong, ...warnings].join(', ')}`, async () => {
      const findings = await examined(`${proxy.endpoint}${i}/`, { slowSecs });
      assert.deepEqual([...wrongOf(findings)].sort(), [...wrong].sort(), JSON.stringify(findings, null, 1));
      for (const warning of warnings) assert.ok(warningsOf(findings).includes(warning), JSON.stringify(findings, null, 1));
    });
  }
});
