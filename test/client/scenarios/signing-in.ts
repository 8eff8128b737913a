/** Signing in, and the one-way syncs that begin everything. */
import assert from 'node:assert/strict';
import { ClientError } from '../devices.ts';
import type { Scenario } from '../stage.ts';

const refused = (error: unknown): boolean => error instanceof ClientError && error.type === 'SyncError' && error.kind === 'AUTH';

export const signingIn: Scenario[] = [
  {
    name: 'a right password signs in; a wrong one, an unknown user, an empty password and a strange key are an authentication error',
    async run(stage) {
      const device = await stage.strangeDevice();
      const { user, password, server: { endpoint } } = stage;
      assert.ok((await device.login(user, password, endpoint)).length > 8);
      await assert.rejects(device.login(user, `${password}x`, endpoint), refused);
      await assert.rejects(device.login(user, '', endpoint), refused);
      await assert.rejects(device.login(`${user}-unknown`, password, endpoint), refused);
      await device.do('set_key', { key: '0'.repeat(40), endpoint });
      await assert.rejects(device.sync(), refused);
      await assert.rejects(device.syncMedia(), refused);
      // and the account is none the worse
      await device.login(user, password, endpoint);
      assert.equal((await device.sync()).required, 'NO_CHANGES', 'two empty collections are the same');
    },
  },
  {
    name: 'the first device uploads, the second downloads, and both have the same',
    async run(stage) {
      const [a, b] = await stage.twoDevices(async (device) => {
        await device.do('add_notes', { count: 40, deck: 'Größe::Ünder', tags: ['ä::ö', 'plain'] });
        await device.do('add_notetype', { name: 'Three sides', fields: ['One', 'Two', 'Three'], templates: 3 });
        await device.do('add_notes', { count: 10, notetype: 'Three sides', prefix: 'three' });
        await device.do('answer', { count: 6, deck: 'Größe::Ünder' });
      });
      assert.deepEqual(await a.do('counts'), await b.do('counts'));
      await stage.compare(b, b);
      await stage.settleAndCompare(a, b);
    },
  },
  {
    name: 'a second upload replaces everything, and the other device is asked to download',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      await stage.settle(a, b);
      const c = await stage.device();
      await c.do('add_notes', { count: 3, prefix: 'other' });
      assert.equal((await c.sync()).required, 'FULL_SYNC');
      await c.upload();
      assert.equal((await b.sync()).required, 'FULL_SYNC');
      await b.download();
      assert.equal((await b.do<number[]>('find_notes')).length, 3);
      assert.equal((await a.sync()).required, 'FULL_SYNC');
      await a.download();
      await stage.settleAndCompare(a, b, c);
    },
  },
  {
    name: 'a sync without changes changes nothing on either side',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      await stage.settle(a, b);
      const before = await a.stamps();
      const meta = async (): Promise<{ mod: number; usn: number }> => {
        const { mod, usn } = (await stage.raw(a, 'look').post('meta', { v: 11, cv: 'test' })).json() as { mod: number; usn: number };
        return { mod, usn };
      };
      const served = await meta();
      for (let i = 0; i < 3; i++) assert.equal((await a.sync()).required, 'NO_CHANGES');
      assert.deepEqual(await a.stamps(), before);
      assert.deepEqual(await meta(), served);
      assert.equal(served.mod, before.mod);
      assert.equal(served.usn, before.usn);
      await stage.compare(a, a, b);
    },
  },
];
