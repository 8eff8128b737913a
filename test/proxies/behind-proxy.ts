/** Ours standalone behind a real proxy, for the scenarios of real clients: all of them once, and elsewhere those that a proxy could spoil. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { gzipSync } from 'node:zlib';
import { Visitor } from '../account/visitor.ts';
import type { Mount, MountedServer } from '../client/mounts.ts';
import { standalone } from '../client/mounts.ts';
import { RawClient } from '../client/raw.ts';
import { runScenarios } from '../client/run-scenarios.ts';
import { runAllScenarios } from '../client/scenarios/all.ts';
import { essentials } from '../client/scenarios/essentials.ts';
import { largeAndLate, restarts } from '../client/scenarios/large-and-late.ts';
import { media } from '../client/scenarios/media.ts';
import { normalSync } from '../client/scenarios/normal-sync.ts';
import { signingIn } from '../client/scenarios/signing-in.ts';
import type { Scenario } from '../client/stage.ts';
import { contentType, pythonForm, PYTHON_BOUNDARY, REQWEST_BOUNDARY, rustForm } from '../protocol/forms.ts';
import { until } from '../server/until.ts';
import { freePort, startProxy, type Proxy } from './proxy.ts';

/** Sentences, as they stand in the scenarios of every mount. */
const PLAYED = [
  'a right password signs in; a wrong one, an unknown user, an empty password and a strange key are an authentication error',
  'a second upload replaces everything, and the other device is asked to download',
  'notes added and edited on both devices reach the other one',
  'a sync that was begun and never finished leaves no trace, and the next one goes through',
  'media files added, replaced and removed on one device follow on the other',
  'names in any script and of 120 letters keep their form; one that is not NFC stays at home',
  'an upload or a download that is cut half-way leaves no file behind, and the next sync goes through',
  'after a restart of the server devices are still signed in and go on; a sync in the middle is forgotten',
];

export const accountPage: Scenario = {
  name: 'people sign in to the account page, see the address to enter in Anki, and the device that they have',
  async run(stage) {
    const { user, password, server: { endpoint } } = stage;
    const device = await stage.device();
    await device.sync();
    const visitor = new Visitor(endpoint);
    assert.equal((await visitor.get('')).to, '/sign-in');
    const signedIn = await visitor.signIn(user, password);
    assert.deepEqual([signedIn.status, signedIn.to], [303, '']);
    assert.ok((await visitor.get('')).text.includes(endpoint));
    assert.match((await visitor.get('/devices')).text, /26\.09/);
    // and the page at the mount itself, with the path that the server does not see
    assert.ok((await (await fetch(endpoint)).text()).includes(`<code class="url">${endpoint}</code>`));
  },
};

export const clientAddress: Scenario = {
  name: "the server's log has the address of the client, whatever the client says it is",
  async run(stage) {
    const from = { localAddress: '127.0.0.9' };
    const agent = stage.server.endpoint.startsWith('https:') ? new HttpsAgent(from) : new HttpAgent(from);
    const raw = new RawClient(stage.server.endpoint, { agent });
    const { status } = await raw.post('hostKey', { u: stage.user, p: stage.password }, { headers: { 'x-forwarded-for': '203.0.113.66' } });
    assert.equal(status, 200);
    await until(() => new RegExp(`hostKey 200 .*user=${stage.user} .*127\\.0\\.0\\.9`).test(stage.server.output()));
    assert.ok(!stage.server.output().includes('203.0.113.66'));
  },
};

/** Desktops before 2.1.57 and AnkiDroid before 2.16, whose Pythons and telephones are not at hand: what they were seen to send. */
export const oldForms: Scenario = {
  name: 'forms of old clients arrive, small and large, with a length and in pieces, and so does the key that they write into an address',
  async run({ user, password, server: { endpoint } }) {
    const post = async (path: string, boundary: string, form: Buffer, inPieces = false): Promise<string> => {
      const body = inPieces ? ReadableStream.from([form.subarray(0, 100), form.subarray(100)]) : new Uint8Array(form);
      const response = await fetch(endpoint + path, { method: 'POST', headers: { 'content-type': contentType(boundary) }, body, duplex: 'half' });
      const text = await response.text();
      assert.equal(response.status, 200, `${path}: ${text}`);
      return text;
    };
    const gzip = (value: object): Buffer => gzipSync(JSON.stringify(value));
    const { key } = JSON.parse(await post('sync/hostKey', REQWEST_BOUNDARY, rustForm(gzip({ u: user, p: password }), { c: '1' }))) as { key: string };
    const asked = gzip({ v: 10, cv: 'ankidesktop,2.1.50,lin' });
    for (const inPieces of [false, true]) {
      const desktop = rustForm(asked, { c: '1', k: key, s: 'abcdefgh' });
      assert.equal(JSON.parse(await post('sync/meta', REQWEST_BOUNDARY, desktop, inPieces)).cont, true);
      const telephone = pythonForm({ c: '1', k: key, s: 'abcdefgh' }, asked);
      assert.equal(JSON.parse(await post('sync/meta', PYTHON_BOUNDARY, telephone, inPieces)).cont, true);
      // more than sites let pass by themselves, and no collection
      const upload = rustForm(gzipSync(randomBytes(3_000_000)), { c: '1', k: key, s: 'abcdefgh' });
      assert.match(await post('sync/upload', REQWEST_BOUNDARY, upload, inPieces), /upload was corrupt/);
    }
    const { data } = (await (await fetch(`${endpoint}msync/begin?k=${key}&v=ankidesktop,2.1.26,lin`)).json()) as { data: { sk: string } };
    const changes = pythonForm({ c: '1', sk: data.sk }, gzip({ lastUsn: 0 }));
    assert.deepEqual(JSON.parse(await post('msync/mediaChanges', PYTHON_BOUNDARY, changes)), { data: [], err: '' });
  },
};

export function mountBehind(proxy: Proxy): Mount {
  return {
    name: `behind ${proxy.name}`,
    async start(options): Promise<MountedServer> {
      const port = await freePort();
      const env = { TRUSTED_PROXIES: '127.0.0.1', PUBLIC_URL: `${proxy.scheme}://localhost:${port}${proxy.path}` };
      const server = await standalone.start({ ...options, env });
      const running = await startProxy(proxy, [Number(new URL(server.endpoint).port)], port).catch(async (error: unknown) => {
        await server.stop();
        throw error;
      });
      return {
        ...server,
        endpoint: running.endpoint,
        stop: async () => {
          await running.stop();
          await server.stop();
        },
      };
    },
  };
}

const THROUGH_PROXIES = [oldForms, accountPage, clientAddress];

/** All that real clients do. */
export function playEverythingBehind(proxy: Proxy): void {
  runAllScenarios(mountBehind(proxy));
  runScenarios(mountBehind(proxy), 'Real clients through a proxy', THROUGH_PROXIES);
}

/** A part of it. */
export function playBehind(proxy: Proxy): void {
  const all = [...signingIn, ...normalSync, ...largeAndLate, ...media, ...essentials, ...restarts];
  runScenarios(mountBehind(proxy), 'Real clients', [...PLAYED.map((name) => scenario(all, name)), ...THROUGH_PROXIES]);
}

function scenario(all: readonly Scenario[], name: string): Scenario {
  const found = all.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no scenario is called "${name}"`);
  return found;
}
