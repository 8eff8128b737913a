/** The comparison that all scenarios rest on: it must notice a change in each table, and excuse only what it names. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AnkiDevices } from './devices.ts';
import type { Device } from './devices.ts';

const CHANGES: [what: string, sql: string][] = [
  ['the text of a note', "update notes set flds = flds || 'x' where id = (select min(id) from notes)"],
  ['the sort field of a note', "update notes set sfld = 'other' where id = (select min(id) from notes)"],
  ['the checksum of a note', 'update notes set csum = csum + 1 where id = (select max(id) from notes)'],
  ['the usn of a note', 'update notes set usn = usn + 1 where id = (select max(id) from notes)'],
  ['the data of a card', 'update cards set data = \'{"cd":"1"}\' where id = (select min(id) from cards)'],
  ['a card too few', 'delete from cards where id = (select max(id) from cards)'],
  ['a review', 'update revlog set ivl = ivl + 1'],
  ['a deletion', 'insert into graves (oid, type, usn) values (1, 1, -1)'],
  ['the stamp of a deck', 'update decks set mtime_secs = mtime_secs + 1 where id = 1'],
  ['the body of a deck', "update decks set kind = x'0a021801' where id = 1"],
  ['the stamp of a preset', 'update deck_config set mtime_secs = mtime_secs + 1'],
  ['the body of a preset', "update deck_config set config = substr(config, 1, length(config)) || x'4805'"],
  ['the stamp of a notetype', 'update notetypes set mtime_secs = mtime_secs + 1 where id = (select min(id) from notetypes)'],
  ['a field of a notetype', "update fields set config = config || x'2051' where ord = 0"],
  ['a template of a notetype', "update templates set config = config || x'3851' where ord = 0"],
  ['a tag too few', 'delete from tags'],
  ['a config value', "update config set val = '1.0' where key = 'nextPos'"],
  ['the time of creation', 'update col set crt = crt + 1'],
  ['the time of the schema', 'update col set scm = scm + 1'],
];

describe('the comparison of two collections', () => {
  let all: AnkiDevices;
  let folder: string;
  let first: Device;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'anki-dump-'));
    all = await AnkiDevices.start();
    first = await all.device('first', join(folder, 'first'));
    await first.do('add_notes', { count: 3, tags: ['tagged'] });
    await first.do('answer', { count: 1 });
  });

  after(async () => {
    await all?.end();
    await rm(folder, { recursive: true, force: true });
  });

  const differences = (other: Device, kind: string): Promise<unknown> => all.do('', 'compare', { left: 'first', right: other.name, kind });
  let copies = 0;
  const copy = (): Promise<Device> => {
    copies++;
    return all.copyOf(join(folder, 'first', 'collection.anki2'), `copy ${copies}`, join(folder, `copy ${copies}`));
  };

  it('finds nothing between a collection and its copy', async () => {
    const other = await copy();
    for (const kind of ['server', 'devices', 'download']) assert.deepEqual(await differences(other, kind), []);
  });

  for (const [what, sql] of CHANGES) {
    it(`finds ${what}`, async () => {
      const other = await copy();
      await other.do('sql', { query: sql });
      for (const kind of ['server', 'devices', 'download']) assert.notDeepEqual(await differences(other, kind), [], kind);
    });
  }

  it('excuses the stamps that each side keeps for itself', async () => {
    const other = await copy();
    for (const sql of ['update col set ls = ls + 1', 'update config set usn = usn + 1, mtime_secs = 5']) await other.do('sql', { query: sql });
    assert.deepEqual(await differences(other, 'server'), []);
    await other.do('sql', { query: 'update col set mod = mod + 1, usn = usn + 1' });
    assert.deepEqual(await differences(other, 'devices'), []);
    assert.notDeepEqual(await differences(other, 'server'), []);
  });
});
