import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AnkiDevices, type Device } from '../client/devices.ts';
import { standalone, type MountedServer } from '../client/mounts.ts';
import { ROOT } from '../package/project-copy.ts';
import { trustTestCertificates } from './certificates.ts';
import { proxiesMissing } from './debian.ts';
import { FAULTS } from './faults.ts';
import { freePort, startProxy, type Proxy, type RunningProxy } from './proxy.ts';

const skip = await proxiesMissing(['nginx']);

/** All of them at once, each at a path of its own. */
const wrong: Proxy = {
  name: 'nginx, set up wrongly',
  scheme: 'http',
  path: '/',
  async configure({ folder, port, upstreams: [server, nobody] }) {
    const at = (port: number | undefined): string => `http://127.0.0.1:${port}/`;
    const filled = (text: string): string => text.replaceAll('{server}', at(server)).replaceAll('{nobody}', at(nobody));
    const locations = FAULTS.map(({ location }, i) => `location /${i}/ { ${filled(location)} }`);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/temporary/${kind};`);
    await writeFile(join(folder, 'nginx.conf'), `pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events {}
http {
    ${temporary.join(' ')}
    access_log off;
    server {
        listen 127.0.0.1:${port};
        location /right/ { proxy_pass http://127.0.0.1:${server}/; client_max_body_size 0; }
        ${locations.join('\n        ')}
    }
}
`);
    return { command: '/usr/sbin/nginx', args: ['-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log'), '-g', 'daemon off;'] };
  },
};

describe('What the real Anki says of a proxy that is set up wrongly', { skip }, () => {
  let folder: string;
  let server: MountedServer;
  let proxy: RunningProxy;
  let devices: AnkiDevices;
  let key: string;
  let opened = 0;
  const device = (): Promise<Device> => devices.device(`d${++opened}`, join(folder, String(opened)));

  before(async () => {
    await trustTestCertificates();
    folder = await mkdtemp(join(tmpdir(), 'anki-sync-faults-'));
    server = await standalone.start({ users: { ada: 'secret' } });
    proxy = await startProxy(wrong, [Number(new URL(server.endpoint).port), await freePort()]);
    devices = await AnkiDevices.start();
    const first = await device();
    key = await first.login('ada', 'secret', `${proxy.endpoint}right/`);
    await first.do('add_notes', { fields: ['large', randomBytes(1_200_000).toString('base64')] });
    await first.sync();
    await first.upload();
  });
  after(async () => {
    await devices?.end();
    await proxy?.stop();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  for (const [i, { name, when, says, withoutSlash }] of FAULTS.entries()) {
    test(`${name}: "${says}"`, async () => {
      const one = await device();
      const endpoint = `${proxy.endpoint}${i}${withoutSlash === true ? '' : '/'}`;
      await one.do('set_key', { key, endpoint });
      if (when === 'upload') await one.do('add_notes', { fields: ['large', randomBytes(1_200_000).toString('base64')] });
      const tried = when === 'login' ? one.login('ada', 'secret', endpoint) : when === 'sync' ? one.sync() : one.sync().then(() => one.upload());
      const said = await tried.then(() => 'nothing', (error: Error) => error.message);
      await one.close();
      assert.ok(said.includes(says), said);
    });
  }
});

test('docs/proxies.md has the words of each', async () => {
  const page = await readFile(join(ROOT, 'docs/proxies.md'), 'utf8');
  for (const { says } of FAULTS) assert.ok(page.includes(says), says);
});
