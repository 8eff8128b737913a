/** What random rounds (test/oracle/random) found, each in as few steps as it takes. Both servers must do the same. */
import assert from 'node:assert/strict';
import type { Scenario } from '../stage.ts';

export const foundByRandomRounds: Scenario[] = [
  {
    name: 'tags of several syncs reach a device in the order of their names, so that it gives a parent and its child one form',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      const [one, two] = (await a.do<number[]>('find_notes')) as [number, number];
      await a.do('edit_note', { id: one, tags: ['b::c::d'] });
      await a.sync();
      await a.do('edit_note', { id: two, tags: ['B::C'] });
      await a.sync();
      await b.sync();
      // a device gives a tag the form of the parents that it has: B::C came first, whatever the order of the syncs
      assert.deepEqual(await b.do('all_tags'), ['B::C', 'B::C::d', 'start']);
    },
  },
  {
    name: 'decks and notetypes that swapped names reach a device in the order of their ids, so that it does what every other one does',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      const c = await stage.device();
      await c.download();
      // the older one arrives later
      const older = { deck: await b.do<number>('add_deck', { name: 'X' }), notetype: await b.do<number>('add_notetype', { name: 'Type X' }) };
      const newer = { deck: await a.do<number>('add_deck', { name: 'Y' }), notetype: await a.do<number>('add_notetype', { name: 'Type Y' }) };
      await stage.settle(a, b, c);
      const rename = async (which: typeof older, name: string): Promise<void> => {
        await a.do('rename_deck', { id: which.deck, name });
        await a.do('patch_notetype', { id: which.notetype, patch_json: `{"name": "Type ${name}"}` });
      };
      await rename(older, 'between');
      await rename(newer, 'X');
      await rename(older, 'Y');
      for (const device of [a, c, b]) await device.sync();
      const found = [];
      for (const device of [a, b, c, await stage.serverCopy()]) {
        const decks = Object.entries(await device.do<Record<string, number>>('deck_names')).filter(([name]) => /^[XY]/.test(name));
        const notetypes = Object.entries(await device.do<Record<string, number>>('notetype_names')).filter(([name]) => name.startsWith('Type '));
        const nameOf = (id: number): string | undefined => [...decks, ...notetypes].find(([, each]) => each === id)?.[0];
        found.push([nameOf(older.deck), nameOf(newer.deck), nameOf(older.notetype), nameOf(newer.notetype)].join(', '));
      }
      assert.deepEqual(found, ['Y, X, Type Y, Type X', 'Y+, X, Type Y+, Type X', 'Y+, X, Type Y+, Type X', 'Y+, X, Type Y+, Type X']);
    },
  },
  {
    name: 'notetypes of several syncs reach a device in the order of those syncs, so that the first of two that claim a name has it',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      const older = await a.do<number>('add_notetype', { name: 'Type X' });
      const newer = await a.do<number>('add_notetype', { name: 'Type Y' });
      await stage.settle(a, b);
      const rename = (id: number, name: string): Promise<unknown> => a.do('patch_notetype', { id, patch_json: JSON.stringify({ name }) });
      await rename(older, 'between');
      await rename(newer, 'Type X');
      await a.sync();
      await rename(older, 'Type Y');
      await a.sync();
      await b.sync();
      const names = await b.do<Record<string, number>>('notetype_names');
      const nameOf = (id: number): string | undefined => Object.keys(names).find((name) => names[name] === id);
      assert.deepEqual([nameOf(older), nameOf(newer)], ['Type Y', 'Type X+']);
    },
  },
];
