/** 200 MB up and down, and media of 20 MB, through each proxy: nothing is refused, and nothing is collected in memory. */
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createZstdDecompress } from 'node:zlib';
import { standalone, type MountedServer } from '../client/mounts.ts';
import { RawClient } from '../client/raw.ts';
import { runScenarios } from '../client/run-scenarios.ts';
import { media } from '../client/scenarios/media.ts';
import { writeCollection } from '../engine/collections.ts';
import { apacheOwnHost } from './apache.ts';
import { mountBehind } from './behind-proxy.ts';
import { caddyAtPath, caddyOwnHost, DEBIAN_CADDY } from './caddy.ts';
import { trustTestCertificates } from './certificates.ts';
import { currentCaddy, CURRENT_CADDY_VERSION } from './current-caddy.ts';
import { proxiesMissing } from './debian.ts';
import { haproxyOwnHost } from './haproxy.ts';
import { nginxAtPath, nginxWithScript } from './nginx.ts';
import { startProxy, type Proxy } from './proxy.ts';

const MB = 1_000_000;
const BYTES = 200 * MB;
const BLOCK_BYTES = 128 * 1024;
const skip = await proxiesMissing();
const current = currentCaddy();

await trustTestCertificates();
const ofCaddy = (name: string, command: string): Proxy[] => [caddyAtPath(name, command), caddyOwnHost(name, command)];
const proxies: Proxy[] = [nginxAtPath, nginxWithScript(), ...ofCaddy("Debian's Caddy", DEBIAN_CADDY), apacheOwnHost, haproxyOwnHost];
if ('missing' in current) test(`Large bodies through Caddy ${CURRENT_CADDY_VERSION}`, { skip: current.missing }, () => {});
else proxies.push(...ofCaddy(`Caddy ${CURRENT_CADDY_VERSION}`, current.command));

describe('A collection of 200 MB', { skip }, () => {
  let folder: string;
  let file: string;
  let server: MountedServer;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'anki-sync-large-bodies-'));
    file = join(folder, 'large.anki2');
    writeCollection(file, BYTES);
    server = await standalone.start({ users: { ada: 'secret' } });
  });
  after(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  for (const proxy of proxies) {
    test(`goes up and down through ${proxy.name}`, { timeout: 300_000 }, async () => {
      const port = Number(new URL(server.endpoint).port);
      const running = await startProxy(proxy, [port, port]);
      try {
        const ada = new RawClient(running.endpoint, { sessionKey: 'large' });
        await ada.hostKey('ada', 'secret');
        const before = running.peakBytes();
        const uploaded = await ada.post('upload', unpackedFrame(file), { packed: true });
        assert.equal(uploaded.text(), 'OK');
        const download = await ada.sendUnread('POST', 'sync/download', {});
        let bytes = 0;
        for await (const piece of download.pipe(createZstdDecompress())) bytes += (piece as Buffer).length;
        assert.equal(bytes, Number(download.headers['anki-original-size']));
        assert.ok(bytes >= BYTES);
        const more = running.peakBytes() - before;
        assert.ok(more <= 64 * MB, `the proxy took ${Math.round(more / MB)} MB more memory`);
      } finally {
        await running.stop();
      }
    });
  }
});

const largeMedia = media.filter(({ name }) => name === 'a file of 20 MB, and many of 1 MB, go through whole');
if (skip === false) for (const proxy of proxies) runScenarios(mountBehind(proxy), 'Large media', largeMedia);

test('the scenario with a file of 20 MB is there', () => assert.equal(largeMedia.length, 1));

/** One frame of zstd whose blocks are the bytes themselves (RFC 8878, 3.1.1.2): as much on the wire as in the file, and no work to make. */
async function* unpackedFrame(path: string): AsyncIterable<Uint8Array> {
  const { size } = await stat(path);
  // magic number, nothing declared, window of 128 KiB
  yield Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38]);
  let sent = 0;
  for await (const piece of createReadStream(path, { highWaterMark: BLOCK_BYTES })) {
    const block = piece as Buffer;
    sent += block.length;
    const head = Buffer.alloc(3);
    head.writeUIntLE((block.length << 3) | (sent === size ? 1 : 0), 0, 3);
    yield Buffer.concat([head, block]);
  }
}
