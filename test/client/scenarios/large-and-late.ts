/** Many objects, clocks that are off, syncs that were given up, servers that restart. */
import assert from 'node:assert/strict';
import { ClockProxy } from '../clock-proxy.ts';
import type { Device } from '../devices.ts';
import type { Scenario } from '../stage.ts';
import type { RawClient } from '../raw.ts';

type Ids = number[];

/** A sync by hand, up to and with a note that the server has taken; nobody finishes it. */
async function beginSync(raw: RawClient, device: Device, noteId: number): Promise<void> {
  const { usn } = (await raw.post('meta', { v: 11, cv: 'test' })).json() as { usn: number };
  const basic = (await device.do<Record<string, number>>('notetype_names'))['Basic'];
  const steps: [string, object][] = [
    ['start', { minUsn: usn, lnewer: false }],
    ['applyGraves', { chunk: { cards: [], decks: [], notes: await device.do<Ids>('find_notes', { query: 'tag:start' }) } }],
    ['applyChanges', { changes: { models: [], decks: [[], []], tags: ['abandoned'] } }],
    ['chunk', {}],
    ['applyChunk', { chunk: { done: false, notes: [[noteId, `guid ${noteId}`, basic, 1, usn, '', 'abandoned\x1fx', '', '', 0, '']] } }],
  ];
  for (const [method, body] of steps) {
    const response = await raw.post(method, body);
    assert.equal(response.status, 200, `${method}: ${response.text()}`);
  }
}

export const largeAndLate: Scenario[] = [
  {
    name: '2,000 notes go up in chunks, 2,000 others come down, and are edited and removed the same way',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      const fromA = await a.do<Ids>('add_notes', { count: 2000, prefix: 'a', deck: 'Many', tags: ['many'] });
      const fromB = await b.do<Ids>('add_notes', { count: 2000, prefix: 'b', notetype: 'Basic (and reversed card)' });
      await stage.settleAndCompare(a, b);
      assert.equal((await b.do<{ notes: number }>('counts')).notes, 4005);
      await a.do('edit_notes', { ids: fromB.slice(0, 600), text: 'edited by a' });
      await b.do('remove_notes', { ids: fromA.slice(0, 700) });
      await stage.settleAndCompare(b, a);
      assert.equal((await b.do<Ids>('find_notes', { query: '"edited by a*"' })).length, 600);
      assert.equal((await a.do<{ notes: number }>('counts')).notes, 3305);
    },
  },
  {
    name: 'a device whose clock is 10 minutes off is told so and changes nothing; within 5 minutes it syncs',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      await stage.settle(b, a);
      await a.do('add_notes', { count: 2, prefix: 'late' });
      const unsent = await a.stamps();
      const proxy = await ClockProxy.start(stage.server.endpoint);
      try {
        for (const seconds of [600, -600]) {
          proxy.offsetSecs = seconds;
          await a.do('set_key', { key: a.key, endpoint: proxy.endpoint });
          await assert.rejects(a.sync(), (error: Error) => /clock/i.test(error.message));
        }
        assert.deepEqual(await a.stamps(), unsent);
        await b.sync();
        assert.equal((await b.do<{ notes: number }>('counts')).notes, 5);
        proxy.offsetSecs = 280;
        assert.equal((await a.sync()).required, 'NO_CHANGES');
      } finally {
        await proxy.stop();
      }
      await a.do('set_key', { key: a.key, endpoint: stage.server.endpoint });
      await stage.settleAndCompare(a, b);
    },
  },
  {
    name: 'what a device wrote while its clock was 10 minutes off, fast or slow, arrives and stays in order afterwards',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      await stage.settle(a, b);
      const [note, other] = (await a.do<Ids>('find_notes')) as [number, number];
      const change = async (device: Device, name: string, id: number): Promise<void> => {
        await device.do('add_notes', { count: 2, prefix: name, deck: name, tags: [name] });
        await device.do('edit_note', { id, fields: [name, 'edited'] });
        await device.do('add_notetype', { name });
        await device.do('add_preset', { name });
        await device.do('answer', { count: 2, deck: name });
        await device.do('set_config', { key: 'clock', value_json: JSON.stringify(name) });
      };
      await change(a, 'fast', note);
      await a.do('shift_clock', { seconds: 600 });
      await change(b, 'right', note);
      await stage.settleAndCompare(a, b);
      assert.equal((await b.do<{ fields: string[] }>('note', { id: note })).fields[0], 'fast', 'its stamp is the later one');
      await change(a, 'slow', other);
      await a.do('shift_clock', { seconds: -600 });
      await change(b, 'right again', other);
      await stage.settleAndCompare(a, b);
      assert.equal((await a.do<{ fields: string[] }>('note', { id: other })).fields[0], 'right again');
      // and the ordinary next sync is ordinary
      await b.do('add_notes', { count: 1, prefix: 'next' });
      await stage.settleAndCompare(b, a);
    },
  },
  {
    name: 'a sync that was begun and never finished leaves no trace, and the next one goes through',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      await stage.settle(a, b);
      const abandoned = stage.raw(a, 'abandoned');
      await beginSync(abandoned, a, 1_600_000_000_001);
      await a.do('add_notes', { count: 2, prefix: 'good' });
      await stage.settleAndCompare(a, b);
      // the abandoned one is told that it was taken over, and cannot finish
      assert.equal((await abandoned.post('finish')).status, 409);
      // one that only fetches takes over as well
      await beginSync(stage.raw(b, 'again'), b, 1_600_000_000_002);
      await stage.settleAndCompare(b, a);
      assert.equal((await b.do<Ids>('find_notes', { query: 'abandoned' })).length, 0);
      assert.equal((await b.do<Ids>('find_notes', { query: 'tag:start' })).length, 5);
    },
  },
  {
    name: 'a download or an upload in the middle of a sync ends that sync',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      await stage.settle(a, b);
      const abandoned = stage.raw(a, 'abandoned');
      await beginSync(abandoned, a, 1_600_000_000_001);
      await b.download();
      assert.equal((await abandoned.post('finish')).status, 409);
      await stage.settleAndCompare(a, b);
      await beginSync(abandoned, a, 1_600_000_000_001);
      await a.upload();
      assert.equal((await abandoned.post('finish')).status, 409);
      await b.download();
      await stage.settleAndCompare(a, b);
    },
  },
  {
    name: 'a sync that asked for meta before another device finished loses nothing of either',
    notOfficial: 'it keeps such rows under the usn of that older meta, so the other device never asks for them and fails its sanity check',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      await stage.settle(b, a);
      const late = stage.raw(b, 'late');
      const { usn } = (await late.post('meta', { v: 11, cv: 'test' })).json() as { usn: number };
      await a.do('add_notes', { count: 1, prefix: 'in between' });
      await a.sync();
      const started = await late.post('start', { minUsn: usn, lnewer: true });
      if (started.status === 200) {
        const [note, card] = [1_600_000_000_003, 1_600_000_000_004];
        const basic = (await b.do<Record<string, number>>('notetype_names'))['Basic'];
        const { crt } = await b.stamps();
        const conf = JSON.parse(await b.do<string>('all_config_json')) as object;
        const chunk = {
          done: true,
          revlog: [[1_600_000_000_005, card, usn, 3, 1, 1, 2500, 1000, 0]],
          cards: [[card, note, 1, 0, 1_600_000_000, usn, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, '']],
          notes: [[note, 'a guid of its own', basic, 1_600_000_000, usn, '', 'late\x1fx', '', '', 0, '']],
        };
        const counts = await a.do<Record<string, number>>('sanity_counts');
        const steps: [string, object][] = [
          ['applyChanges', { changes: { models: [], decks: [[], []], tags: ['late'], conf, crt } }],
          ['chunk', {}],
          ['applyChunk', { chunk }],
          ['sanityCheck2', {
            client: [[0, 0, 0], counts.cards! + 1, counts.notes! + 1, counts.revlog! + 1, 0, counts.notetypes, counts.decks, counts.presets],
          }],
          ['finish', {}],
        ];
        for (const [method, body] of steps) {
          const response = await late.post(method, body);
          assert.equal(response.status, 200, `${method}: ${response.text()}`);
          if (method === 'sanityCheck2') assert.equal(response.json().status, 'ok', response.text());
        }
      } else {
        // told to try again is as good
        assert.equal(started.status, 409);
      }
      await stage.settle(a, b);
      await stage.compare(a, a);
      const found = await a.do<Ids>('find_notes', { query: 'late' });
      assert.equal(found.length, started.status === 200 ? 1 : 0);
      assert.equal((await b.do<Ids>('find_notes', { query: '"in between*"' })).length, 1);
    },
  },
  {
    name: 'two devices that sync at the same moment: at worst one is told of the other, and nothing is lost',
    notOfficial: 'as above: now and then one of them asks for meta just before the other one finishes',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      for (let round = 0; round < 4; round++) {
        await a.do('add_notes', { count: 40, prefix: `a ${round}`, tags: ['both'] });
        await b.do('add_notes', { count: 40, prefix: `b ${round}`, tags: ['both'] });
        for (const outcome of await Promise.allSettled([a.sync(), b.sync()])) {
          if (outcome.status === 'fulfilled') assert.equal(outcome.value.required, 'NO_CHANGES');
          else assert.match(String(outcome.reason), /Only one copy of Anki can sync/);
        }
      }
      // a device keeps its rows under the usn of its own meta, whatever the server had to give them
      stage.excuse('notes.usn', 'cards.usn', 'revlog.usn', 'decks.usn', 'notetypes.usn');
      await stage.settleAndCompare(a, b);
      assert.equal((await a.do<Ids>('find_notes', { query: 'tag:both' })).length, 320);
    },
  },
];

/** On a server of their own: it ends and starts again under the devices. */
export const restarts: Scenario[] = [
  {
    name: 'after a restart of the server devices are still signed in and go on; a sync in the middle is forgotten',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      await a.do('media_write', { files: [{ name: 'before.txt', text: 'before' }] });
      await a.sync({ media: true });
      await a.do('add_notes', { count: 3, prefix: 'before' });
      await stage.server.restart();
      await a.do('add_notes', { count: 3, prefix: 'after' });
      await stage.settleAndCompare(a, b);
      await beginSync(stage.raw(a, 'abandoned'), a, 1_600_000_000_001);
      await stage.server.crash();
      assert.equal((await stage.raw(a, 'abandoned').post('finish')).status, 409);
      await b.do('add_notes', { count: 1, prefix: 'after the crash' });
      await b.sync({ media: true });
      await stage.settleAndCompare(b, a);
      await stage.compareMedia(['before.txt'], a, b);
    },
  },
];
