/** Both devices changed or removed the same thing. `later` moves an edit's stamp, where the protocol needs edits to be seconds apart. */
import assert from 'node:assert/strict';
import type { Device } from '../devices.ts';
import type { Scenario } from '../stage.ts';

type Ids = number[];

export const conflicts: Scenario[] = [
  {
    name: 'of two edits of one note the newer stays, whoever syncs first',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      const [one, two] = (await a.do<Ids>('find_notes')) as [number, number];
      await a.do('edit_note', { id: one, fields: ['a', 'older, first'] });
      await b.do('edit_note', { id: one, fields: ['b', 'newer, second'], later: 10 });
      await a.do('edit_note', { id: two, fields: ['a', 'newer, first'], later: 10 });
      await b.do('edit_note', { id: two, fields: ['b', 'older, second'] });
      await stage.settleAndCompare(a, b);
      assert.equal((await a.do<{ fields: string[] }>('note', { id: one })).fields[0], 'b');
      assert.equal((await b.do<{ fields: string[] }>('note', { id: two })).fields[0], 'a');
    },
  },
  {
    name: 'of two edits of one card the newer stays, whoever syncs first',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      const [one, two] = (await a.do<Ids>('find_cards')) as [number, number];
      await a.do('flag', { ids: [one], color: 1 });
      await b.do('set_due', { ids: [one], days: '5', later: 10 });
      await a.do('flag', { ids: [two], color: 2, later: 10 });
      await b.do('set_due', { ids: [two], days: '6' });
      await stage.settleAndCompare(a, b);
      assert.equal((await a.do<{ flags: number }>('card', { id: one })).flags, 0);
      assert.equal((await b.do<{ flags: number }>('card', { id: two })).flags, 2);
      assert.equal((await b.do<{ queue: number }>('card', { id: two })).queue, 0);
    },
  },
  {
    name: 'of two edits of one deck, notetype or preset the newer stays, whoever syncs first',
    async run(stage) {
      const ids: Record<string, number> = {};
      const [a, b] = await stage.twoDevices(async (device) => {
        for (const first of ['a', 'b']) {
          ids[`deck ${first}`] = await device.do<number>('add_deck', { name: `deck ${first}` });
          ids[`notetype ${first}`] = await device.do<number>('add_notetype', { name: `notetype ${first}` });
          ids[`preset ${first}`] = await device.do<number>('add_preset', { name: `preset ${first}` });
        }
      });
      const edit = async (device: Device, which: string, by: string, later: number): Promise<void> => {
        await device.do('patch_deck', { id: ids[`deck ${which}`], patch_json: `{"desc": "by ${by}"}`, later });
        await device.do('patch_notetype', { id: ids[`notetype ${which}`], patch_json: `{"css": "by ${by}"}`, later });
        await device.do('patch_preset', { id: ids[`preset ${which}`], patch_json: `{"xBy": "by ${by}"}`, later });
      };
      await edit(a, 'a', 'a', 10);
      await edit(b, 'a', 'b', 0);
      await edit(a, 'b', 'a', 0);
      await edit(b, 'b', 'b', 10);
      await stage.settleAndCompare(a, b);
      for (const newer of ['a', 'b']) {
        for (const kind of ['deck', 'notetype', 'preset']) {
          const json = await a.do<string>(`${kind}_json`, { id: ids[`${kind} ${newer}`] });
          assert.ok(json.includes(`"by ${newer}"`), `the ${kind} that ${newer} edited last: ${json}`);
        }
      }
    },
  },
  {
    name: 'decks and notetypes of the same name made on both devices are both kept, one with a +',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      for (const device of [a, b]) {
        await device.do('add_deck', { name: 'Twin' });
        await device.do('add_notes', { count: 2, deck: 'Twin', prefix: device.name });
        await device.do('add_notetype', { name: 'Twin type' });
        await device.do('add_notes', { notetype: 'Twin type', prefix: `typed ${device.name}` });
      }
      await a.do('add_deck', { name: 'Ärger' });
      await b.do('add_deck', { name: 'ärger' });
      await stage.settle(a, b);
      await stage.settle(a, b);
      for (const device of [a, b, await stage.serverCopy()]) {
        const decks = Object.keys(await device.do<Record<string, number>>('deck_names'));
        const notetypes = Object.keys(await device.do<Record<string, number>>('notetype_names'));
        assert.deepEqual(decks.filter((name) => name.startsWith('Twin')).sort(), ['Twin', 'Twin+'], device.name);
        const lower = decks.map((name) => name.toLowerCase());
        assert.deepEqual(lower.filter((name) => name.startsWith('ärger')).sort(), ['ärger', 'ärger+'], device.name);
        assert.deepEqual(notetypes.filter((name) => name.startsWith('Twin type')).sort(), ['Twin type', 'Twin type+'], device.name);
      }
      assert.deepEqual(await a.do('counts'), await b.do('counts'));
    },
  },
  {
    name: 'notes, cards and decks removed on one device go from the other, edited or not',
    async run(stage) {
      const ids: Record<string, number> = {};
      const [a, b] = await stage.twoDevices(async (device) => {
        await device.do('add_notes', { count: 6, deck: 'Goes', prefix: 'goes' });
        await device.do('add_notes', { count: 4, notetype: 'Basic (and reversed card)', prefix: 'half' });
        ids.deck = (await device.do<Record<string, number>>('deck_names'))['Goes']!;
      });
      const start = await a.do<Ids>('find_notes', { query: 'tag:start' });
      const halves = await a.do<Ids>('find_cards', { query: 'card:2' });
      assert.equal(await a.do('remove_notes', { ids: start.slice(0, 3) }), 3);
      assert.equal(await a.do('remove_decks', { ids: [ids.deck] }), 6);
      await b.do('remove_cards', { ids: halves.slice(0, 2) });
      await b.do('edit_note', { id: start[0], fields: ['edited, but gone', ''], later: 10 });
      await b.do('rename_deck', { id: ids.deck, name: 'Renamed, but gone', later: 10 });
      await stage.settleAndCompare(a, b);
      assert.deepEqual(await b.do('find_notes', { query: `nid:${start[0]}` }), []);
      assert.equal((await b.do<Record<string, number>>('deck_names'))['Renamed, but gone'], undefined);
      assert.equal((await a.do<Ids>('find_cards', { query: 'card:2' })).length, 2);
    },
  },
  {
    name: 'a removed notetype or preset, an added field or template and another sort field ask every device for a one-way sync',
    async run(stage) {
      let [notetype, preset] = [0, 0];
      const [a, b] = await stage.twoDevices(async (device) => {
        notetype = await device.do<number>('add_notetype', { name: 'Goes' });
        await device.do('add_notes', { notetype: 'Goes', count: 3 });
        preset = await device.do<number>('add_preset', { name: 'Goes too' });
      });
      await stage.settle(a, b);
      const oneWay = async (from: Device, to: Device): Promise<void> => {
        assert.equal((await from.sync()).required, 'FULL_SYNC');
        await from.upload();
        // what this device had not sent yet is given up by whoever chooses to download
        await to.do('add_notes', { count: 1, prefix: 'given up' });
        assert.equal((await to.sync()).required, 'FULL_SYNC');
        await to.download();
        assert.deepEqual(await to.do('find_notes', { query: '"given up*"' }), []);
        await stage.settleAndCompare(from, to);
      };
      await a.do('remove_notetype', { id: notetype });
      await oneWay(a, b);
      await b.do('add_field', { id: (await b.do<Record<string, number>>('notetype_names'))['Basic'], name: 'Third ü' });
      await oneWay(b, a);
      await a.do('add_template', { id: (await a.do<Record<string, number>>('notetype_names'))['Basic'], name: 'Again' });
      await oneWay(a, b);
      await a.do('remove_preset', { id: preset });
      await oneWay(a, b);
      await b.do('patch_notetype', { id: (await b.do<Record<string, number>>('notetype_names'))['Basic'], patch_json: '{"sortf": 1}' });
      await oneWay(b, a);
    },
  },
  {
    name: 'a device that lost a row is found by the sanity check, and a one-way sync heals it',
    async run(stage) {
      const [a, b] = await stage.twoDevices((device) => device.do('answer', { count: 3 }) as Promise<void>);
      await stage.settle(a, b);
      await b.do('sql', { query: 'delete from revlog where id = (select min(id) from revlog)' });
      await b.do('add_notes', { count: 1, prefix: 'never arrives' });
      await assert.rejects(b.sync(), { type: 'SyncError', kind: 'OTHER' });
      await stage.compare(a, a);
      assert.equal((await b.sync()).required, 'FULL_SYNC');
      await b.download();
      await stage.settleAndCompare(a, b);
    },
  },
];
