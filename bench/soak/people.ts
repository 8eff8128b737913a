/** People with two real devices each, who edit, review, delete and sync in random order, whatever happens to the server. */
import { join } from 'node:path';
import { ClientError, type AnkiDevices, type Device } from '../../test/client/devices.ts';
import { randomNumbers } from '../../test/engine/collections.ts';

export interface Person {
  name: string;
  devices: [Device, Device];
  /** One random act of one of the devices, and now and then a sync. */
  act(): Promise<void>;
  /** Syncs both until nothing is new. Throws when the devices differ in the end. */
  settle(): Promise<void>;
}

export interface Tally {
  acts: number;
  syncs: number;
  /** Syncs that met a server that was not there. */
  interrupted: number;
}

/** What a device says when the server is gone, goes away while it syncs, or says that it is about to go. Everything else is a failure. */
const SERVER_AWAY = /network|connect|connection|error sending request|timed out|incomplete|decod|body|server is being restarted/i;

export async function newPerson(
  all: AnkiDevices, name: string, password: string, endpoint: string, folder: string, seed: number, tally: Tally,
): Promise<Person> {
  const first = await all.device(`${name}-1`, join(folder, `${name}-1`));
  const second = await all.device(`${name}-2`, join(folder, `${name}-2`));
  const devices: [Device, Device] = [first, second];
  for (const device of devices) await device.login(name, password, endpoint);
  await first.do('add_notes', { count: 30 });
  await first.sync();
  await first.upload(0);
  await second.sync();
  await second.download(0);

  const next = randomNumbers(seed);
  let made = 0;
  const deckOf = (device: Device): string => `Deck of ${device.name}`;
  // what both devices change within one second stays different in Anki itself: so each only touches what it made
  const some = async (device: Device, command: 'find_notes' | 'find_cards', count: number): Promise<number[]> => {
    const ids = await device.do<number[]>(command, { query: `"deck:${deckOf(device)}*"` });
    return ids.length === 0 ? [] : [...new Set(Array.from({ length: count }, () => ids[next() % ids.length]!))];
  };
  const acts: ((device: Device) => Promise<unknown>)[] = [
    (device) => device.do('add_notes', { count: 1 + (next() % 8), deck: deckOf(device), prefix: `of ${device.name} ${++made}`, tags: [`t${next() % 5}`] }),
    async (device) => device.do('edit_notes', { ids: await some(device, 'find_notes', 3), text: `edited ${++made}` }),
    async (device) => device.do('remove_notes', { ids: await some(device, 'find_notes', 1) }),
    (device) => device.do('answer', { count: 5, deck: deckOf(device) }),
    async (device) => device.do('flag', { ids: await some(device, 'find_cards', 2), color: next() % 5 }),
    (device) => device.do('add_deck', { name: `${deckOf(device)}::${next() % 12}` }),
    async (device) => device.do('move_cards', { ids: await some(device, 'find_cards', 2), deck: `${deckOf(device)}::${next() % 12}` }),
    (device) => device.do('media_write', { files: [{ name: `${device.name}-${++made}.jpg`, bytes: 1 + (next() % 40_000) }] }),
    (device) => device.do('set_config', { key: `soak${next() % 3}`, value_json: String(made) }),
  ];
  const sync = async (device: Device): Promise<string> => {
    const { required } = await device.sync({ media: true });
    if (required !== 'NO_CHANGES') throw new Error(`${device.name} was asked for ${required}`);
    return required;
  };
  return {
    name,
    devices,
    async act() {
      const device = devices[next() % 2]!;
      if (next() % 3 > 0) {
        await acts[next() % acts.length]!(device);
        tally.acts++;
        return;
      }
      try {
        await sync(device);
        tally.syncs++;
      } catch (error) {
        if (!(error instanceof ClientError) || !SERVER_AWAY.test(error.message)) throw error;
        tally.interrupted++;
      }
    },
    async settle() {
      for (const device of [first, second, first, second]) await sync(device);
      const [one, other] = [await contents(first), await contents(second)];
      const differing = [...one.filter((row) => !other.includes(row)), ...other.filter((row) => !one.includes(row))];
      if (differing.length > 0) throw new Error(`the devices of ${name} differ in the end:\n${differing.slice(0, 20).join('\n')}`);
      for (const device of devices) {
        const { ok, message } = await device.do<{ ok: boolean; message: string }>('integrity');
        if (!ok) throw new Error(`${device.name}: ${message}`);
      }
    },
  };
}

/** Everything that both devices of a person must agree on, a line each. */
async function contents(device: Device): Promise<string[]> {
  const lines: string[] = [];
  for (const query of [
    "select 'note', id, guid, mod, tags, flds from notes order by id",
    "select 'card', id, nid, did, ord, mod, type, queue, due, ivl, reps, lapses, flags from cards order by id",
    "select 'review', id, cid, ease, ivl, time from revlog order by id",
    "select 'deck', name from decks order by name",
  ]) {
    for (const row of await device.do<unknown[]>('sql', { query })) lines.push(JSON.stringify(row));
  }
  for (const file of Object.entries(await device.mediaFiles())) lines.push(JSON.stringify(file));
  return lines;
}
