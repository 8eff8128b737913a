/** What a scenario plays on: a user of its own on a running server, and as many devices as it likes. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { AnkiDevices, Device } from './devices.ts';
import type { MountedServer } from './mounts.ts';
import { RawClient } from './raw.ts';

export interface Scenario {
  /** A sentence of behaviour. */
  name: string;
  /** Why the official server does not do this: the scenario is only played against ours. */
  notOfficial?: string;
  /** What is still wrong with ours: the scenario is played, and may fail. */
  todo?: string;
  run(stage: Stage): Promise<void>;
}

export class Stage {
  readonly server: MountedServer;
  readonly user: string;
  readonly password: string;
  readonly #processes: AnkiDevices;
  readonly #folder: string;
  readonly #devices: Device[] = [];
  #excused: string[] = [];
  #opened = 0;

  constructor(server: MountedServer, user: string, password: string, processes: AnkiDevices, folder: string) {
    this.server = server;
    this.user = user;
    this.password = password;
    this.#processes = processes;
    this.#folder = folder;
  }

  /** A device with a fresh collection, signed in. */
  async device(): Promise<Device> {
    const device = await this.strangeDevice();
    await device.login(this.user, this.password, this.server.endpoint);
    return device;
  }

  /** A device with a fresh collection, not signed in. */
  async strangeDevice(): Promise<Device> {
    const name = this.#nextName();
    const device = await this.#processes.device(name, join(this.#folder, name));
    this.#devices.push(device);
    return device;
  }

  /** Two devices that agree: `fill` made the first one's collection, the second one downloaded it. */
  async twoDevices(fill?: (device: Device) => Promise<void>): Promise<[Device, Device]> {
    const [a, b] = [await this.device(), await this.device()];
    await a.do('add_notes', { count: 5, prefix: 'from the start', tags: ['start'] });
    await fill?.(a);
    assert.equal((await a.sync()).required, 'FULL_UPLOAD');
    await a.upload();
    assert.equal((await b.sync()).required, 'FULL_DOWNLOAD');
    await b.download();
    return [a, b];
  }

  /** "table.column"s that may differ in this scenario, beside those that dump.py names with their reasons. */
  excuse(...columns: string[]): void {
    this.#excused.push(...columns);
  }

  /** The protocol without Anki, signed in by a device's key. */
  raw(device: Device, sessionKey: string): RawClient {
    return new RawClient(this.server.endpoint, { key: device.key, sessionKey });
  }

  /** Syncs until each of the devices has what every other one has sent. */
  async settle(...devices: Device[]): Promise<void> {
    for (const device of [...devices, ...devices.slice(0, -1)]) {
      const { required } = await device.sync();
      assert.equal(required, 'NO_CHANGES', `${device.name} was asked for a one-way sync`);
    }
  }

  /**
   * Settles, then compares table by table: each device with each other, the one that synced last with the server's own file,
   * and that file with what a new device downloads.
   */
  async settleAndCompare(...devices: Device[]): Promise<void> {
    await this.settle(...devices);
    // after the rounds of `settle`, the last but one was the last to sync
    await this.compare(devices.length > 1 ? devices.at(-2)! : devices[0]!, ...devices);
  }

  /** Like `settleAndCompare` for devices that are settled already; `last` is the one that synced last. */
  async compare(last: Device, ...devices: Device[]): Promise<void> {
    const found: string[] = [];
    const difference = async (left: Device, right: Device, kind: 'server' | 'devices' | 'download'): Promise<void> => {
      const names = { left: left.name, right: right.name };
      const lines = (await this.#processes.do('', 'compare', { ...names, kind, also: this.#excused })) as string[];
      found.push(...lines.map((line) => `${left.name} | ${right.name}: ${line}`));
    };
    for (const device of devices) if (device !== last) await difference(device, last, 'devices');
    const servers = await this.serverCopy();
    await difference(last, servers, 'server');
    const before = await servers.stamps();
    const fresh = await this.device();
    await fresh.download();
    await difference(servers, fresh, 'download');
    // so that whoever synced before asks again
    const after = await fresh.stamps();
    if (after.usn !== before.usn + 1 || after.mod <= before.mod) {
      found.push(`a download took usn ${before.usn} to ${after.usn}, mod ${before.mod} to ${after.mod}`);
    }
    const integrity = await fresh.do<{ ok: boolean; message: string }>('integrity');
    if (!integrity.ok) found.push(`a check of the downloaded collection says: ${integrity.message}`);
    assert.equal(found.length, 0, `the collections differ:\n${found.join('\n')}`);
    await fresh.close();
    await servers.close();
  }

  /** Every device's media folder holds exactly `names`, with the same bytes, and so do the server's index and a new device. */
  async compareMedia(names: string[], ...devices: Device[]): Promise<void> {
    const fresh = await this.device();
    await fresh.syncMedia();
    const expected = await devices[0]!.mediaFiles();
    assert.deepEqual(Object.keys(expected).sort(), [...names].sort());
    for (const device of [...devices, fresh]) assert.deepEqual(await device.mediaFiles(), expected, `media of ${device.name}`);
    const index = await this.#processes.do('', 'media_index', {
      path: this.server.mediaIndexFile(this.user),
      folder: join(this.#folder, this.#nextName()),
    });
    assert.deepEqual(index, expected, "the server's index");
    await fresh.close();
  }

  async close(): Promise<void> {
    for (const device of this.#devices) await device.close().catch(() => {});
  }

  /** The server's own file, opened by Anki as a copy. */
  async serverCopy(): Promise<Device> {
    const name = this.#nextName();
    const copy = await this.#processes.copyOf(this.server.collectionFile(this.user), `server-${name}`, join(this.#folder, name));
    this.#devices.push(copy);
    return copy;
  }

  #nextName(): string {
    this.#opened++;
    return `${this.user}-${String.fromCharCode(96 + this.#opened)}`;
  }
}
