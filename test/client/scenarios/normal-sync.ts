/** Two devices that both changed things since they last met. */
import assert from 'node:assert/strict';
import type { Device } from '../devices.ts';
import type { Scenario } from '../stage.ts';

type Ids = number[];

/** Ids and unknown keys beyond what JavaScript's numbers hold, and shapes that a careless rewrite would change. */
const UNKNOWN = '{"big": -7290854878769846350, "bigger": 18446744073709551615, "odd": 9007199254740993, "one": 1.0, "tiny": 1e-7,'
  + ' "__proto__": {"x": 1}, "text": "\\u2028 \\u0000 ü 😀", "deep": [[{"a": [null, true, -0.5]}]], "": 0}';

export const normalSync: Scenario[] = [
  {
    name: 'notes added and edited on both devices reach the other one',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      const [first, second] = (await a.do<Ids>('find_notes')) as [number, number];
      await a.do('add_notes', { count: 7, prefix: 'from a', tags: ['a'] });
      await a.do('add_notes', { fields: ['<b>12</b>', 'a number as sort field'] });
      await a.do('add_notes', { fields: ['<img src="ü b.png"> &amp; &lt;x&gt; [sound:a.mp3]', 'media and entities'] });
      await a.do('add_notes', { fields: ['日本語 😀 e\u0301', '"quotes" \\ and \u2028'] });
      await a.do('edit_note', { id: first, fields: ['edited on a', 'x'], tags: ['edited', 'ä::b'] });
      await b.do('add_notes', { count: 7, prefix: 'from b', tags: ['b'] });
      await b.do('add_notes', { notetype: 'Cloze', fields: ['{{c1::one}} {{c3::three}}', ''] });
      await b.do('add_notes', { notetype: 'Basic (and reversed card)', fields: ['there', 'back'] });
      await b.do('edit_note', { id: second, fields: ['edited on b', ''], tags: [] });
      await stage.settleAndCompare(a, b);
      assert.equal((await a.do<Ids>('find_notes', { query: 'tag:a' })).length, 7);
      assert.equal((await a.do<Ids>('find_notes', { query: '"edited on b"' })).length, 1);
      assert.equal((await b.do<Ids>('find_notes', { query: '"edited on a"' })).length, 1);
    },
  },
  {
    name: 'flags, due dates, suspended, buried and moved cards and custom data reach the other device',
    async run(stage) {
      const [a, b] = await stage.twoDevices((device) => device.do('add_notes', { count: 20, deck: 'Cards' }) as Promise<void>);
      const ids = await a.do<Ids>('find_cards', { query: 'deck:Cards' });
      await a.do('flag', { ids: ids.slice(0, 3), color: 3 });
      await a.do('suspend', { ids: ids.slice(3, 5) });
      await a.do('bury', { ids: ids.slice(5, 7) });
      await b.do('set_due', { ids: ids.slice(7, 10), days: '3' });
      await b.do('move_cards', { ids: ids.slice(10, 12), deck: 'Elsewhere' });
      await b.do('set_custom_data', { id: ids[12], data: '{"x":1.5,"ü":"y"}' });
      await stage.settleAndCompare(a, b);
      assert.equal((await b.do<Ids>('find_cards', { query: 'flag:3' })).length, 3);
      assert.equal((await b.do<Ids>('find_cards', { query: 'is:suspended' })).length, 2);
      assert.equal((await b.do<Ids>('find_cards', { query: 'is:buried' })).length, 2);
      assert.equal((await a.do<Ids>('find_cards', { query: 'deck:Elsewhere' })).length, 2);
      assert.equal((await a.do<{ customData: string }>('card', { id: ids[12] })).customData, '{"x":1.5,"ü":"y"}');
    },
  },
  {
    name: 'cards buried on an earlier day come back on the server as they do on the devices',
    async run(stage) {
      const [a, b] = [await stage.device(), await stage.device()];
      await a.do('add_notes', { count: 4 });
      const ids = await a.do<Ids>('find_cards');
      await a.do('bury', { ids: ids.slice(0, 2) });
      // the day on which cards were unburied last: this one is as good as long ago, for it is more than a week ahead
      await a.do('set_config', { key: 'lastUnburied', value_json: '100' });
      await a.upload();
      await b.download();
      assert.equal((await b.do<{ queue: number }>('card', { id: ids[0] })).queue, -3);
      await b.do('add_notes', { count: 1 });
      await stage.settleAndCompare(a, b);
      assert.equal((await (await stage.serverCopy()).do<{ queue: number }>('card', { id: ids[0] })).queue, 0);
    },
  },
  {
    name: 'decks added, renamed, described, limited and folded reach the other device',
    async run(stage) {
      let shared = 0;
      const [a, b] = await stage.twoDevices(async (device) => {
        shared = await device.do<number>('add_deck', { name: 'Shared::Deep::Deeper' });
      });
      await a.do('add_deck', { name: 'A::Größe::日本' });
      await a.do('rename_deck', { id: shared, name: 'Shared::renamed' });
      const own = await b.do<number>('add_deck', { name: 'B "quoted" \\ and <b>' });
      await b.do('patch_deck', {
        id: own,
        patch_json: '{"desc": "<i>about</i> ü", "md": true, "collapsed": true, "browserCollapsed": true, "extendNew": 3, "extendRev": 4,'
          + ' "newLimit": 7, "reviewLimit": 0, "newLimitToday": {"limit": 3, "today": 100}, "desiredRetention": 83}',
      });
      await stage.settleAndCompare(a, b);
      assert.equal((await b.do<Record<string, number>>('deck_names'))['Shared::renamed'], shared);
      assert.ok((await a.do<string>('deck_json', { id: own })).includes('"reviewLimit": 0'));
    },
  },
  {
    name: 'notetypes added, renamed and restyled reach the other device, field and template options included',
    async run(stage) {
      let shared = 0;
      const [a, b] = await stage.twoDevices(async (device) => {
        shared = await device.do<number>('add_notetype', { name: 'Shared', fields: ['F', 'G', 'H'], templates: 2 });
      });
      await a.do('add_notetype', { name: 'Ünder A', fields: ['Größe', 'x'], templates: 4 });
      await a.do('add_notes', { notetype: 'Ünder A', count: 3, prefix: 'a' });
      await a.do('patch_notetype', {
        id: shared,
        patch_json: '{"name": "Renamed", "css": ".card { color: red }", "flds.0": {"font": "Courier", "size": 33, "rtl": true,'
          + ' "sticky": true, "description": "ü", "plainText": true, "collapsed": true, "excludeFromSearch": true, "name": "F renamed"},'
          + ' "tmpls.1": {"bqfmt": "{{G}}", "bafmt": "x", "bfont": "Arial", "bsize": 9, "name": "T renamed"}}',
      });
      await b.do('add_notetype', { name: 'Own cloze', fields: ['Text', 'Extra'], cloze: true });
      await b.do('add_notes', { notetype: 'Own cloze', fields: ['{{c1::a}} {{c2::b}}', ''] });
      await stage.settleAndCompare(a, b);
      assert.equal((await b.do<Record<string, number>>('notetype_names'))['Renamed'], shared);
      assert.ok((await b.do<string>('notetype_json', { id: shared })).includes('"F renamed"'));
    },
  },
  {
    name: 'presets with FSRS, easy days and limits of their own reach the other device',
    async run(stage) {
      let [deckA, deckB, preset] = [0, 0, 0];
      const [a, b] = await stage.twoDevices(async (device) => {
        deckA = await device.do<number>('add_deck', { name: 'With options' });
        deckB = await device.do<number>('add_deck', { name: 'With others' });
        preset = await device.do<number>('add_preset', { name: 'Shared preset' });
        await device.do('add_notes', { count: 4, deck: 'With options' });
      });
      const params = [0.1, 1.2, 3.5, 16.1, 7.1, 0.5, 1.4, 0.004, 1.5, 0.1, 1, 1.9, 0.1, 0.3, 2.3, 0.2, 3, 0.5, 0.6, 0.1, 0.15];
      await a.do('deck_options', { deck: deckA, name: 'FSRS', params, new_limit: 3 });
      await b.do('patch_preset', { id: preset, patch_json: '{"new.perDay": 7, "maxTaken": 99, "new.initialFactor": 1350, "lapse.mult": 0.35}' });
      await b.do('use_preset', { deck: deckB, preset });
      await stage.settleAndCompare(a, b);
      const options = JSON.parse(await b.do<string>('deck_json', { id: deckA })) as { conf: number };
      const shown = JSON.parse(await b.do<string>('preset_json', { id: options.conf })) as { name: string; fsrsParams6: number[] };
      assert.equal(shown.name, 'FSRS');
      assert.equal(shown.fsrsParams6.length, params.length);
    },
  },
  {
    name: 'tags of both devices are joined, in any script; one that is spelled in another case is the same tag',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      const ids = await a.do<Ids>('find_notes');
      await a.do('add_tags', { ids: ids.slice(0, 3), tags: 'both Größe::ä İstanbul only-a' });
      await b.do('add_tags', { ids: ids.slice(3), tags: 'both größe::Ö only-b 日本::x' });
      await stage.settleAndCompare(a, b);
      await a.do('add_tags', { ids: ids.slice(0, 1), tags: 'Äpfel ẞ Twice' });
      await b.do('add_tags', { ids: ids.slice(3, 4), tags: 'äpfel ß TWICE' });
      await stage.settle(a, b);
      const fresh = await stage.device();
      await fresh.download();
      for (const device of [a, b, fresh]) {
        const found = (await device.do<string[]>('all_tags')).filter((tag) => /^(äpfel|ß|twice)$/iu.test(tag));
        assert.equal(found.length, 3, `${device.name}: ${found.join()}`);
      }
    },
  },
  {
    name: 'a renamed or removed tag changes the notes everywhere; the bare name stays where it was, since tags are only ever added',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      const ids = await a.do<Ids>('find_notes');
      await a.do('add_tags', { ids, tags: 'old other::deep' });
      await stage.settleAndCompare(a, b);
      await a.do('rename_tag', { old: 'old', new: 'renamed::a' });
      await b.do('edit_note', { id: ids[0], tags: [], later: 10 });
      await stage.settle(a, b);
      for (const device of [a, b]) {
        assert.deepEqual(await device.do('find_notes', { query: 'tag:old' }), []);
        assert.equal((await device.do<Ids>('find_notes', { query: 'tag:renamed::a' })).length, 4);
        assert.deepEqual((await device.do<{ tags: string[] }>('note', { id: ids[0] })).tags, []);
      }
      const fresh = await stage.device();
      await fresh.download();
      const tags = await fresh.do<string[]>('all_tags');
      assert.ok(tags.includes('old') && tags.includes('renamed::a'), tags.join());
    },
  },
  {
    name: 'config reaches the other device, with numbers as they were; of two changes the one synced first stays',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      await stage.settle(a, b);
      await a.do('set_config', { key: 'test values', value_json: UNKNOWN });
      await a.do('set_config', { key: 'gone', value_json: '1' });
      const written = await a.do<string>('config_json', { key: 'test values' });
      await a.sync();
      assert.equal(await a.do('config_json', { key: 'test values' }), written, 'the newer side gets none back');
      await stage.settleAndCompare(a, b);
      assert.equal(await b.do('config_json', { key: 'test values' }), written);
      await b.do('remove_config', { key: 'gone' });
      await stage.settleAndCompare(b, a);
      assert.equal(await a.do('config_json', { key: 'gone' }), 'null');
      await b.do('set_config', { key: 'who', value_json: '"b"' });
      await a.do('set_config', { key: 'who', value_json: '"a"' });
      await stage.settleAndCompare(b, a);
      assert.equal(await a.do('config_json', { key: 'who' }), '"b"');
      assert.equal(await b.do('config_json', { key: 'who' }), '"b"');
    },
  },
  {
    name: 'reviews of both devices are joined',
    async run(stage) {
      const [a, b] = await stage.twoDevices(async (device) => {
        await device.do('add_notes', { count: 20, deck: 'One' });
        await device.do('add_notes', { count: 20, deck: 'Two' });
      });
      assert.equal((await a.do<Ids>('answer', { count: 8, deck: 'One' })).length, 8);
      assert.equal((await b.do<Ids>('answer', { count: 9, deck: 'Two' })).length, 9);
      await stage.settleAndCompare(a, b);
      assert.equal((await a.do<{ revlog: number }>('counts')).revlog, 17);
      await b.do('answer', { count: 4, deck: 'One' });
      await stage.settleAndCompare(b, a);
    },
  },
  {
    name: 'a filtered deck, built on one device and emptied on the other',
    async run(stage) {
      const [a, b] = await stage.twoDevices((device) => device.do('add_notes', { count: 12, deck: 'Home' }) as Promise<void>);
      const filtered = await a.do<number>('add_filtered_deck', { name: 'Filtered ü', search: 'deck:Home', limit: 5 });
      await stage.settleAndCompare(a, b);
      const away = await b.do<Ids>('find_cards', { query: '"deck:Filtered ü"' });
      assert.equal(away.length, 5);
      await b.do('answer', { count: 2, deck: 'Filtered ü' });
      await b.do('empty_filtered_deck', { id: filtered });
      await stage.settleAndCompare(b, a);
      assert.deepEqual(await a.do('find_cards', { query: '"deck:Filtered ü"' }), []);
      await a.do('rebuild_filtered_deck', { id: filtered });
      await b.do('remove_decks', { ids: [filtered] });
      await stage.settle(b, a);
      assert.deepEqual((await b.do<{ did: number }>('card', { id: away[0] })).did, (await a.do<{ did: number }>('card', { id: away[0] })).did);
    },
  },
  {
    name: 'ids of 64 bits and keys that nobody knows survive the way through the server, up, across and down',
    async run(stage) {
      let [notetype, deck, preset] = [0, 0, 0];
      const patch = async (device: Device): Promise<void> => {
        await device.do('patch_notetype', {
          id: notetype,
          patch_json: `{"xUnknown": ${UNKNOWN}, "flds.0": {"xUnknown": ${UNKNOWN}, "id": -7290854878769846350},`
            + ` "tmpls.0": {"xUnknown": ${UNKNOWN}, "id": 9007199254740993}}`,
        });
        await device.do('patch_deck', { id: deck, patch_json: `{"xUnknown": ${UNKNOWN}}` });
        await device.do('patch_preset', { id: preset, patch_json: `{"xUnknown": ${UNKNOWN}, "new.xUnknown": ${UNKNOWN}}` });
      };
      const add = async (device: Device, name: string): Promise<void> => {
        notetype = await device.do<number>('add_notetype', { name });
        deck = await device.do<number>('add_deck', { name });
        preset = await device.do<number>('add_preset', { name });
        await patch(device);
      };
      const [a, b] = await stage.twoDevices((device) => add(device, 'uploaded'));
      await stage.compare(b, b);
      await patch(b);
      await stage.settleAndCompare(b, a);
      await add(a, 'synced');
      await stage.settleAndCompare(a, b);
      const json = await b.do<string>('notetype_json', { id: notetype });
      for (const text of ['"id": -7290854878769846350', '"id": 9007199254740993', '"bigger": 18446744073709551615', '"one": 1.0', '"tiny": 1e-07']) {
        assert.ok(json.includes(text), `${text} in ${json}`);
      }
    },
  },
  {
    name: 'a collection with 300 decks, a parent renamed on one device and children added on the other',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      for (let i = 0; i < 300; i++) await a.do('add_deck', { name: `Top ${i % 10}::Middle ${i % 30}::Leaf ${i}` });
      await stage.settleAndCompare(a, b);
      const names = await b.do<Record<string, number>>('deck_names');
      assert.ok(Object.keys(names).length > 300);
      await b.do('rename_deck', { id: names['Top 3'], name: 'Top ß' });
      await a.do('add_deck', { name: 'Top 4::New::Child' });
      await stage.settleAndCompare(b, a);
      assert.ok((await a.do<Record<string, number>>('deck_names'))['Top ß::Middle 3::Leaf 3']);
    },
  },
];
