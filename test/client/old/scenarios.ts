/** What an old release and the newest Anki do on one account. One column of the table of docs/compatibility.md each. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { ClientError, type AnkiDevices, type Device } from '../devices.ts';
import type { MountedServer } from '../mounts.ts';
import { EXCUSES } from './excused.ts';
import { RELEASES, type Release } from './releases.ts';

export interface OldScenario {
  /** The table's column. */
  column: string;
  /** A sentence of behaviour. */
  name: string;
  run(pair: Pair): Promise<void>;
}

/** One account with a device of an old release, and one or more of the newest. */
export class Pair {
  readonly release: Release;
  readonly server: MountedServer;
  readonly user: string;
  readonly password: string;
  readonly folder: string;
  readonly oldDevices: AnkiDevices;
  readonly newDevices: AnkiDevices;
  #opened = 0;
  #devices: Device[] = [];

  constructor(given: Pick<Pair, 'release' | 'server' | 'user' | 'password' | 'folder' | 'oldDevices' | 'newDevices'>) {
    this.release = given.release;
    this.server = given.server;
    this.user = given.user;
    this.password = given.password;
    this.folder = given.folder;
    this.oldDevices = given.oldDevices;
    this.newDevices = given.newDevices;
  }

  async old(): Promise<Device> {
    return this.#signedIn(this.oldDevices, 'old');
  }

  async newest(): Promise<Device> {
    return this.#signedIn(this.newDevices, 'new');
  }

  async strange(): Promise<Device> {
    return this.#open(this.oldDevices, 'strange');
  }

  /** A device of each, which agree: the first one uploaded, the second one downloaded. */
  async agreed(first: 'old' | 'newest', fill: (device: Device) => Promise<void> = async () => {}): Promise<{ old: Device; newest: Device }> {
    const [old, newest] = [await this.old(), await this.newest()];
    const [up, down] = first === 'old' ? [old, newest] : [newest, old];
    await up.do('add_notes', { count: 5, prefix: 'from the start', tags: ['start'] });
    await fill(up);
    // 2.1.28 takes no change of the same second, and tests are quick
    for (const table of ['notes', 'cards']) await up.do('sql', { query: `update ${table} set mod = mod - 10` });
    assert.match((await up.sync()).required, /^FULL_/);
    await up.upload();
    assert.match((await down.sync()).required, /^FULL_/);
    await down.download();
    return { old, newest };
  }

  async sync(...devices: Device[]): Promise<void> {
    for (const device of devices) {
      assert.equal((await device.sync()).required, 'NO_CHANGES', `${device.name} was asked for a one-way sync`);
    }
  }

  /** Table by table, with the newest Anki's eyes; the old release hands over its file as it closes it. */
  async compare(old: Device, newest: Device): Promise<void> {
    const name = `${this.user}-file${++this.#opened}`;
    const path = join(this.folder, name, 'exported.anki2');
    await old.do('export', { path });
    const copy = await this.newDevices.copyOf(path, name, join(this.folder, name));
    const position = RELEASES.indexOf(this.release);
    const holds = (until: string): boolean => position <= RELEASES.findIndex(({ version }) => version === until);
    const excused = EXCUSES.filter(({ until }) => holds(until)).map(({ what }) => what);
    const also = excused.filter((what) => typeof what === 'string');
    const lines = (await this.newDevices.do('', 'compare', { left: name, right: newest.name, kind: 'devices', also })) as string[];
    await copy.close();
    const found = lines.filter((line) => !excused.some((what) => typeof what !== 'string' && what.test(line)));
    assert.equal(found.length, 0, `the old device and the new one differ:\n${found.join('\n')}`);
  }

  async close(): Promise<void> {
    for (const device of this.#devices) await device.close().catch(() => {});
  }

  async #signedIn(devices: AnkiDevices, kind: string): Promise<Device> {
    const device = await this.#open(devices, kind);
    await device.login(this.user, this.password, this.server.endpoint);
    return device;
  }

  async #open(devices: AnkiDevices, kind: string): Promise<Device> {
    const name = `${this.user}-${kind}${++this.#opened}`;
    const device = await devices.device(name, join(this.folder, name));
    this.#devices.push(device);
    return device;
  }
}

const refused = (error: unknown): boolean => error instanceof ClientError && error.kind === 'AUTH';

/** Texts that an encoding on the way would spoil, and enough notes for a second chunk. */
async function fill(device: Device): Promise<void> {
  await device.do('add_notes', { count: 260, deck: 'Größe::Ünder', prefix: 'Übung 日本語 😀', tags: ['ä::ö', 'plain'] });
}

export const OLD_SCENARIOS: readonly OldScenario[] = [
  {
    column: 'sign-in',
    name: 'a right password signs in; a wrong one and a strange key are told as such',
    async run(pair) {
      const device = await pair.strange();
      const { endpoint } = pair.server;
      await assert.rejects(device.login(pair.user, `${pair.password}x`, endpoint), refused);
      await device.do('set_key', { key: '0'.repeat(40), endpoint });
      await assert.rejects(device.sync(), refused);
      assert.ok((await device.login(pair.user, pair.password, endpoint)).length > 8);
      await device.sync();
    },
  },
  {
    column: 'upload',
    name: 'what it uploads is what the newest Anki downloads',
    async run(pair) {
      const { old, newest } = await pair.agreed('old', async (device) => {
        await fill(device);
        await device.do('answer', { count: 3, deck: 'Größe::Ünder' });
      });
      await pair.compare(old, newest);
    },
  },
  {
    column: 'download',
    name: 'what the newest Anki uploaded is what it downloads',
    async run(pair) {
      const { old, newest } = await pair.agreed('newest', async (device) => {
        await fill(device);
        await device.do('answer', { count: 3, deck: 'Größe::Ünder' });
      });
      await pair.compare(old, newest);
    },
  },
  {
    column: 'normal sync',
    name: 'notes, reviews, decks, tags and deletions go both ways',
    async run(pair) {
      const { old, newest } = await pair.agreed('newest', fill);
      const ids = await old.do<number[]>('find_notes');
      const edit = async (device: Device, from: number): Promise<void> => {
        const name = device === old ? 'old' : 'new';
        await device.do('add_notes', { count: 4, deck: `From ${name} ß`, prefix: name, tags: [`tag-${name}`] });
        await device.do('edit_note', { id: ids[from], fields: [`edited ${name}`, 'b'], tags: ['edited', `ö-${name}`] });
        await device.do('remove_notes', { ids: ids.slice(from + 1, from + 3) });
        await device.do('answer', { count: 4, deck: device === old ? 'Größe::Ünder' : 'Default' });
        const decks = await device.do<Record<string, number>>('deck_names');
        await device.do('rename_deck', { id: decks[`From ${name} ß`], name: `Renamed ${name} ß` });
      };
      await edit(old, 10);
      await pair.sync(old, newest);
      await edit(newest, 20);
      await pair.sync(newest, old, newest);
      const oldDecks = await old.do<Record<string, number>>('deck_names');
      assert.ok(oldDecks['Renamed new ß'] && oldDecks['Renamed old ß']);
      await pair.compare(old, newest);
    },
  },
  {
    column: 'conflict',
    name: 'of two edits of one note the later one wins on both, whoever syncs first',
    async run(pair) {
      const { old, newest } = await pair.agreed('newest');
      const [first, second] = await old.do<number[]>('find_notes');
      await old.do('edit_note', { id: first, fields: ['old is later', ''], later: 3 });
      await newest.do('edit_note', { id: first, fields: ['new is earlier', ''] });
      await old.do('edit_note', { id: second, fields: ['old is earlier', ''] });
      await newest.do('edit_note', { id: second, fields: ['new is later', ''], later: 3 });
      await pair.sync(old, newest, old, newest);
      for (const device of [old, newest]) {
        assert.equal((await device.do<{ fields: string[] }>('note', { id: first })).fields[0], 'old is later', device.name);
        assert.equal((await device.do<{ fields: string[] }>('note', { id: second })).fields[0], 'new is later', device.name);
      }
      await pair.compare(old, newest);
    },
  },
  {
    column: 'failed check',
    name: 'a device that has silently lost a card does not spoil the others',
    async run(pair) {
      const { old, newest } = await pair.agreed('newest');
      const before = await newest.do('sanity_counts');
      await old.do('sql', { query: 'delete from cards where id = (select max(id) from cards)' });
      await old.do('add_notes', { count: 1, prefix: 'must not get through' });
      // either an error, or the advice of a one-way sync
      const outcome = await old.sync().then(({ required }) => required, (error: unknown) => String(error));
      assert.notEqual(outcome, 'NO_CHANGES');
      await pair.sync(newest);
      assert.deepEqual(await newest.do('sanity_counts'), before);
      const again = await pair.old();
      assert.match((await again.sync()).required, /^FULL_/);
      await again.download();
      assert.deepEqual(await again.do('find_notes'), await newest.do('find_notes'));
    },
  },
  {
    column: 'media',
    name: 'files and deletions go both ways',
    async run(pair) {
      const [old, newest] = [await pair.old(), await pair.newest()];
      const texts = { 'ünï 日本.txt': 'from the old one', 'gone.txt': 'soon gone' };
      for (const [name, text] of Object.entries(texts)) await old.do('media_write', { name, text });
      await old.syncMedia();
      await newest.syncMedia();
      assert.deepEqual(Object.keys(await newest.mediaFiles()).sort(), Object.keys(texts).sort());
      await newest.do('media_trash', { names: ['gone.txt'] });
      await newest.do('media_write', { files: [{ name: 'new.txt', text: 'from the new one' }] });
      await newest.syncMedia();
      await old.syncMedia();
      assert.deepEqual(await old.do('media_files'), { 'ünï 日本.txt': 'from the old one', 'new.txt': 'from the new one' });
      await old.do('media_delete', { name: 'new.txt' });
      await old.syncMedia();
      await newest.syncMedia();
      assert.deepEqual(Object.keys(await newest.mediaFiles()), ['ünï 日本.txt']);
    },
  },
];
