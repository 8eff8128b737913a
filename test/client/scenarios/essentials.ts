/** What every mount has to carry, in a few scenarios: for mounts whose own part is only the way to the core and back. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { once } from 'node:events';
import { until } from '../../server/until.ts';
import type { Scenario } from '../stage.ts';
import { largeAndLate } from './large-and-late.ts';
import { media } from './media.ts';
import { normalSync } from './normal-sync.ts';
import { signingIn } from './signing-in.ts';

const MIB = 1024 * 1024;

function named(name: string): Scenario {
  const scenario = [...signingIn, ...normalSync, ...largeAndLate, ...media].find((each) => each.name === name);
  assert.ok(scenario !== undefined, `no scenario is called "${name}"`);
  return scenario;
}

const unlessItIsOurs = 'the files are those of our own data folder';

/** One of each kind of request. */
export const fewest: Scenario[] = [
  named('a right password signs in; a wrong one, an unknown user, an empty password and a strange key are an authentication error'),
  named('notes added and edited on both devices reach the other one'),
  named('media files added, replaced and removed on one device follow on the other'),
];

export const essentials: Scenario[] = [
  ...fewest,
  named('the first device uploads, the second downloads, and both have the same'),
  named('a sync without changes changes nothing on either side'),
  named('a sync that was begun and never finished leaves no trace, and the next one goes through'),
  named('a file of 20 MB, and many of 1 MB, go through whole'),
  {
    name: 'a collection of 16 MB that hardly packs goes up and comes down whole',
    async run(stage) {
      const [a, b] = await stage.twoDevices(async (device) => {
        for (let i = 0; i < 16; i++) await device.do('add_notes', { fields: [`large ${i}`, randomBytes((MIB * 3) / 4).toString('base64')] });
      });
      const ids = await a.do<number[]>('find_notes', { query: '"large *"' });
      assert.equal(ids.length, 16);
      for (const id of ids) assert.deepEqual(await b.do('note', { id }), await a.do('note', { id }));
    },
  },
  {
    name: 'an upload or a download that is cut half-way leaves no file behind, and the next sync goes through',
    notOfficial: unlessItIsOurs,
    async run(stage) {
      const [a, b] = await stage.twoDevices(async (device) => {
        for (let i = 0; i < 8; i++) await device.do('add_notes', { fields: [`large ${i}`, randomBytes(MIB / 2).toString('base64')] });
      });
      const raw = stage.raw(a, 'cut');
      const upload = raw.open('sync/upload');
      // the head of a frame, and of a first block that is longer than what comes of it
      await upload.write(Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x04, 0x00, 0x10]));
      await upload.write(randomBytes(64 * 1024));
      await until(() => staged(stage.server.base) > 0);
      upload.destroy();
      await until(() => staged(stage.server.base) === 0);
      const download = await raw.sendUnread('POST', 'sync/download', {});
      await once(download, 'readable');
      download.destroy();
      await until(() => staged(stage.server.base) === 0);
      await b.do('add_notes', { count: 3, prefix: 'afterwards' });
      // a download raises the server's usn
      await stage.settleAndCompare(b, a);
    },
  },
];

/** Bodies that are being received, and files that are being sent. */
function staged(base: string): number {
  if (!existsSync(base)) return 0;
  return readdirSync(base, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && /[/\\](staging|incoming)$/.test(entry.parentPath)).length;
}
