/** https with an authority of one's own and real Anki clients: told as steps, for the suite and for `npm run try:tls`. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { ankiSync, type RunningServer } from '../cli/command.ts';
import { Player } from '../collection/player.ts';
import { ClientError, type AnkiDevices, type Device } from './devices.ts';
import { RawClient } from './raw.ts';

export const KIM = { user: 'kim', password: 'a password for https' };

export interface TlsStory {
  server: RunningServer;
  /** Trusts the authority alone. */
  devices: AnkiDevices;
  /** Trusts what this computer trusts. */
  strangers: AnkiDevices;
  /** For the devices' collections. */
  folder: string;
  /** With ca.pem, cert.pem and key.pem. */
  tlsFolder: string;
  /** Opened by earlier steps. */
  open: Map<string, Device>;
}

/** Below the address that the server tells: clients may have been set up with a path that was there once. */
export const subpathOf = (story: Pick<TlsStory, 'server'>): string => `${story.server.url}anki/`;

const plainPortOf = async ({ server }: TlsStory): Promise<string> => /to port (\d+)/.exec(await server.line(/^whoever comes by http to port/))![1]!;

async function shownCertificate({ server, tlsFolder }: TlsStory): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(server.url).port), ca: readFileSync(join(tlsFolder, 'ca.pem')) });
  await once(socket, 'secureConnect');
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

/** One that comes after so many. */
async function newLine({ lines, child }: RunningServer, pattern: RegExp, after: number): Promise<void> {
  while (!lines.slice(after).some((line) => pattern.test(line))) await once(child.stdout!, 'data');
}

export const STEPS: readonly (readonly [sentence: string, run: (story: TlsStory) => Promise<void>])[] = [
  ['a client that trusts the authority signs in and syncs, at a subpath', async (story) => {
    const device = await story.devices.device('desktop', join(story.folder, 'desktop'));
    story.open.set('desktop', device);
    await device.login(KIM.user, KIM.password, subpathOf(story));
    await device.do('add_notes', { count: 300 });
    assert.equal((await device.sync()).required, 'FULL_UPLOAD');
    await device.upload();
    await device.do('add_notes', { count: 3, prefix: 'later' });
    assert.equal((await device.sync({ media: true })).required, 'NO_CHANGES');
  }],
  ['a client that does not trust it refuses the connection', async (story) => {
    const stranger = await story.strangers.device('stranger', join(story.folder, 'stranger'));
    await assert.rejects(stranger.login(KIM.user, KIM.password, subpathOf(story)), (error) => error instanceof ClientError && error.type === 'NetworkError');
    await stranger.close();
  }],
  ['the certificate is renewed between two steps of a sync, which goes on over its connection', async (story) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: readFileSync(join(story.tlsFolder, 'ca.pem')) });
    try {
      const client = new RawClient(subpathOf(story), { agent, sessionKey: 'in the middle' });
      await client.hostKey(KIM.user, KIM.password);
      const player = new Player(client);
      const { usn } = await player.meta();
      await player.start({ minUsn: Number(usn) });
      await ankiSync(['tls', 'self-signed', '--to', story.tlsFolder]);
      story.server.child.kill('SIGHUP');
      await story.server.line(/^the certificate was replaced/);
      await player.changes();
      await player.chunks();
      await player.finish();
    } finally {
      agent.destroy();
    }
  }],
  ['the certificate is renewed while a real client sends, which does not notice', async (story) => {
    const before = await shownCertificate(story);
    const device = story.open.get('desktop')!;
    await device.do('add_notes', { count: 2000, prefix: 'while it is renewed' });
    const chunks = story.server.lines.filter((line) => / applyChunk 200 /.test(line)).length;
    const syncing = device.sync();
    const failed = new Promise<never>((_resolve, reject) => syncing.catch(reject));
    // the first chunk of many
    while (story.server.lines.filter((line) => / applyChunk 200 /.test(line)).length === chunks) {
      await Promise.race([once(story.server.child.stdout!, 'data'), failed]);
    }
    const renewals = story.server.lines.length;
    await ankiSync(['tls', 'self-signed', '--to', story.tlsFolder]);
    story.server.child.kill('SIGHUP');
    await newLine(story.server, /^the certificate was replaced/, renewals);
    assert.equal((await syncing).required, 'NO_CHANGES');
    const now = await shownCertificate(story);
    assert.notEqual(now, before);
    assert.equal(now, new X509Certificate(readFileSync(join(story.tlsFolder, 'cert.pem'))).serialNumber);
  }],
  ['after it, another device downloads all, and needs nothing new to trust', async (story) => {
    const phone = await story.devices.device('phone', join(story.folder, 'phone'));
    await phone.login(KIM.user, KIM.password, subpathOf(story));
    assert.equal((await phone.sync()).required, 'FULL_DOWNLOAD');
    await phone.download();
    assert.equal(((await phone.do('find_notes')) as unknown[]).length, 2303);
    await phone.close();
  }],
  ['a client that signs in by http is shown the address of https, on either port', async (story) => {
    const device = await story.devices.device('plain', join(story.folder, 'plain'));
    const { host } = new URL(story.server.url);
    for (const http of [`http://${host}/anki/`, `http://127.0.0.1:${await plainPortOf(story)}/anki/`]) {
      await assert.rejects(device.login(KIM.user, KIM.password, http), (error) => error instanceof ClientError && error.message.includes(subpathOf(story)));
    }
    await device.close();
  }],
  ['a client that was set up with http moves to https by itself', async (story) => {
    const device = story.open.get('desktop')!;
    const key = await device.login(KIM.user, KIM.password, subpathOf(story));
    await device.do('set_key', { key, endpoint: `http://127.0.0.1:${await plainPortOf(story)}/anki/` });
    await device.do('add_notes', { count: 1, prefix: 'by way of http' });
    assert.equal((await device.sync()).required, 'NO_CHANGES');
    await device.close();
  }],
];
