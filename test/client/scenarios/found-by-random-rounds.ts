/** What random rounds (test/oracle/random) found, each in as few steps as it takes. Both servers must do the same. */
import assert from 'node:assert/strict';
import type { Scenario } from '../stage.ts';

export const foundByRandomRounds: Scenario[] = [
  {
    name: 'tags of several syncs reach a device in the order of their names, so that it gives a parent and its child one form',
    todo: 'the answer to applyChanges has new tags in the order in which they came; the official server sorts them by unicase',
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
];
