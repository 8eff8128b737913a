/** A collection as Anki 2.0 left it, with what its JSON had of its own, sent in a form and opened by newer clients. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import Database from 'better-sqlite3';
import { contentType, pythonForm, PYTHON_BOUNDARY } from '../protocol/forms.ts';
import { AnkiDevices } from './devices.ts';
import { standalone, type MountedServer } from './mounts.ts';
import { RELEASES, startDevices } from './old/releases.ts';
import { Pair } from './old/scenarios.ts';
import { RawClient } from './raw.ts';
import { PythonMissing } from '../oracle/anki-python.ts';

const SCHEMA = `
CREATE TABLE col (id integer primary key, crt integer not null, mod integer not null, scm integer not null, ver integer not null,
  dty integer not null, usn integer not null, ls integer not null, conf text not null, models text not null, decks text not null,
  dconf text not null, tags text not null);
CREATE TABLE notes (id integer primary key, guid text not null, mid integer not null, mod integer not null, usn integer not null,
  tags text not null, flds text not null, sfld integer not null, csum integer not null, flags integer not null, data text not null);
CREATE TABLE cards (id integer primary key, nid integer not null, did integer not null, ord integer not null, mod integer not null,
  usn integer not null, type integer not null, queue integer not null, due integer not null, ivl integer not null, factor integer not null,
  reps integer not null, lapses integer not null, left integer not null, odue integer not null, odid integer not null, flags integer not null,
  data text not null);
CREATE TABLE revlog (id integer primary key, cid integer not null, usn integer not null, ease integer not null, ivl integer not null,
  lastIvl integer not null, factor integer not null, time integer not null, type integer not null);
CREATE TABLE graves (usn integer not null, oid integer not null, type integer not null);
CREATE INDEX ix_notes_usn on notes (usn);
CREATE INDEX ix_cards_usn on cards (usn);
CREATE INDEX ix_revlog_usn on revlog (usn);
CREATE INDEX ix_cards_nid on cards (nid);
CREATE INDEX ix_cards_sched on cards (did, queue, due);
CREATE INDEX ix_revlog_cid on revlog (cid);
CREATE INDEX ix_notes_csum on notes (csum);
`;

const MODEL = 1342697561419;
const DECK = 1342697562000;
const FILTERED = 1342697563000;

const CONF = {
  activeDecks: [1], curDeck: 1, newSpread: 0, collapseTime: 1200, timeLim: 0, estTimes: true, dueCounts: true, curModel: `${MODEL}`, nextPos: 3,
  sortType: 'noteFld', sortBackwards: false, addToCur: true, newBury: true,
};
const DAYS = { newToday: [0, 0], revToday: [0, 0], lrnToday: [0, 0], timeToday: [0, 0] };
const NORMAL = { ...DAYS, conf: 1, usn: 0, desc: '', dyn: 0, collapsed: false, extendNew: 10, extendRev: 50 };
const DECKS = {
  1: { ...NORMAL, id: 1, name: 'Default', mod: '1342697561' },
  1342697561999: { ...NORMAL, id: 1342697561999, name: 'Größe', mod: 1342697561 },
  [DECK]: { ...NORMAL, id: DECK, name: 'Größe::Ünder', mod: 1342697562, browserCollapsed: true },
  [FILTERED]: {
    ...DAYS, id: FILTERED, name: 'Cram', mod: 1342697563, usn: 0, desc: '', dyn: 1, collapsed: false, resched: true, return: true, separate: true,
    delays: null, terms: [['deck:Default', 100, 0]],
  },
};
const FIELD = { sticky: false, rtl: false, font: 'Arial', size: 20, media: [] };
const MODELS = {
  [MODEL]: {
    id: `${MODEL}`, name: 'Basic-2.0', type: 0, mod: 1342697561, usn: 0, sortf: 0, did: 1, css: '.card { color: black; }', vers: [], tags: ['old'],
    latexPre: '\\documentclass{article}', latexPost: '\\end{document}', req: [[0, 'all', [0]]],
    flds: ['Front', 'Back'].map((name, ord) => ({ ...FIELD, name, ord })),
    tmpls: [{ name: 'Forward', ord: 0, qfmt: '{{Front}}', afmt: '{{Back}}', bqfmt: '', bafmt: '', did: null }],
  },
};
const DCONF = {
  1: {
    id: 1, name: 'Default', mod: 0, usn: 0, maxTaken: 60, timer: 0, autoplay: true, replayq: true,
    new: { delays: [1, 10], ints: [1, 4, 7], initialFactor: 2500, separate: true, order: 1, perDay: 20, bury: true },
    lapse: { delays: [10], mult: 0, minInt: 1, leechFails: 8, leechAction: 0 },
    rev: { perDay: 100, ease4: 1.3, fuzz: 0.05, minSpace: 1, ivlFct: 1, maxIvl: 36500, bury: true },
  },
};

function makeCollection(path: string): void {
  const db = new Database(path);
  db.pragma('foreign_keys = OFF');
  db.exec(SCHEMA);
  db.prepare('INSERT INTO col VALUES (1, ?, ?, ?, 11, 0, 0, 0, ?, ?, ?, ?, ?)').run(
    1342656000, 1342697570000, 1342697561000,
    ...[CONF, MODELS, DECKS, DCONF, { old: 0, 'ä::ö': 0 }].map((value) => JSON.stringify(value)),
  );
  const note = db.prepare('INSERT INTO notes VALUES (?, ?, ?, 1342697570, 0, ?, ?, ?, 0, 0, ?)');
  const card = db.prepare('INSERT INTO cards VALUES (?, ?, ?, 0, 1342697570, 0, ?, ?, ?, ?, 2500, ?, 0, 0, 0, 0, 0, ?)');
  note.run(1342697570001, 'aB1', MODEL, ' old ä::ö ', 'eins\u001fone', 'eins', '');
  note.run(1342697570002, 'aB2', MODEL, '', '7\u001fsieben', 7, '');
  card.run(1342697571001, 1342697570001, DECK, 2, 2, 300.0, 12, 3, '');
  card.run(1342697571002, 1342697570002, 1, 0, 0, 1.5, 0, 0, '');
  db.prepare('INSERT INTO revlog VALUES (1342697580001, 1342697571001, 0, 3, 12, 4, 2500, 5000, 1)').run();
  const grave = db.prepare('INSERT INTO graves VALUES (0, 1342690000000, 0)');
  grave.run();
  grave.run();
  db.close();
}

const user = 'twenty';
const password = 'secret';
let folder: string;
let server: MountedServer;
let newDevices: AnkiDevices;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anki-2.0-'));
  server = await standalone.start({ users: { [user]: password } });
  newDevices = await AnkiDevices.start();
});
after(async () => {
  await newDevices?.end();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

it("a collection of Anki 2.0 is taken, and today's Anki finds nothing to repair in it", async () => {
  const path = join(folder, 'collection.anki2');
  makeCollection(path);
  const raw = new RawClient(server.endpoint);
  await raw.hostKey(user, password);
  const form = pythonForm({ k: raw.key, v: 'ankidesktop,2.0.52,lin', c: '1' }, gzipSync(await readFile(path)));
  const headers = { 'content-type': contentType(PYTHON_BOUNDARY) };
  const response = await raw.send('POST', 'sync/upload', form, { syncHeader: null, packed: true, headers });
  assert.equal(response.text(), 'OK');

  const device = await newDevices.device('today', join(folder, 'today'));
  await device.login(user, password, server.endpoint);
  assert.equal((await device.sync()).required, 'FULL_DOWNLOAD');
  await device.download();
  const integrity = await device.do<{ message: string }>('integrity');
  // as for any card reviewed before 2025; the `due` of 1.5 was mended by the server
  assert.deepEqual(integrity.message.replaceAll(/[\u2068\u2069]/g, '').split('\n'), ['Added last review time to 1 card.', 'Database rebuilt and optimized.']);
  const { fields, tags } = await device.do<{ fields: string[]; tags: string[] }>('note', { id: 1342697570001 });
  assert.deepEqual({ fields, tags }, { fields: ['eins', 'one'], tags: ['old', 'ä::ö'] });
  const names = await device.do<Record<string, number>>('deck_names');
  assert.deepEqual([names['Größe::Ünder'], names['Cram']], [DECK, FILTERED]);
  await device.close();
});

for (const version of ['2.1.26', '2.1.44']) {
  it(`Anki ${version} downloads it, and syncs what it adds with today's`, async (context) => {
    const release = RELEASES.find((each) => each.version === version)!;
    let oldDevices: AnkiDevices;
    try {
      oldDevices = await startDevices(release, server.endpoint);
    } catch (error) {
      if (error instanceof PythonMissing) return context.skip(error.message);
      throw error;
    }
    const pair = new Pair({ release, server, user, password, folder: join(folder, version), oldDevices, newDevices });
    try {
      const [old, newest] = [await pair.old(), await pair.newest()];
      for (const device of [old, newest]) {
        assert.match((await device.sync()).required, /^FULL_/);
        await device.download();
      }
      await old.do('add_notes', { notetype: 'Basic-2.0', deck: 'Größe::Ünder', prefix: version });
      await old.do('edit_note', { id: 1342697570001, fields: [`eins ${version}`, 'one'] });
      await pair.sync(old, newest, old);
      assert.equal((await newest.do<{ fields: string[] }>('note', { id: 1342697570001 })).fields[0], `eins ${version}`);
      assert.deepEqual(await old.do('find_notes'), await newest.do('find_notes'));
    } finally {
      await pair.close();
      await oldDevices.end();
    }
  });
}
