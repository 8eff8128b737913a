/** A person who syncs two devices while others attack the server. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AnkiDevices, type Device } from '../client/devices.ts';
import { PASSWORD, type Target } from './target.ts';

export class RealClient {
  readonly #folder = mkdtempSync(join(tmpdir(), 'anki-fuzz-devices-'));
  readonly #devices: AnkiDevices;
  #pair: [Device, Device] | undefined;
  /** Times that both were synced. */
  syncs = 0;

  private constructor(devices: AnkiDevices) {
    this.#devices = devices;
  }

  static async start(): Promise<RealClient> {
    return new RealClient(await AnkiDevices.start());
  }

  /** New notes and a media file on one device arrive at the other, and both have every card that was ever made. */
  async sync(target: Target): Promise<void> {
    const [desktop, phone] = (this.#pair ??= await this.#begin(target));
    this.syncs++;
    await desktop.do('add_notes', { count: 3, prefix: `round ${this.syncs}` });
    await desktop.do('media_write', { files: [{ name: `round ${this.syncs}.txt`, text: `${this.syncs}` }] });
    for (const device of [desktop, phone]) assert.equal((await device.sync({ media: true })).required, 'NO_CHANGES');
    for (const device of [desktop, phone]) {
      const { cards } = await device.do<{ cards: number }>('sanity_counts');
      assert.equal(cards, 5 + 3 * this.syncs, `cards of ${device.name}`);
      assert.equal(Object.keys(await device.mediaFiles()).length, this.syncs, `media of ${device.name}`);
    }
  }

  async end(): Promise<void> {
    await this.#devices.end();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #begin(target: Target): Promise<[Device, Device]> {
    const endpoint = `http://127.0.0.1:${target.port}/`;
    const pair: Device[] = [];
    for (const name of ['desktop', 'phone']) {
      const device = await this.#devices.device(name, join(this.#folder, name));
      await device.login('real person', PASSWORD, endpoint);
      pair.push(device);
    }
    const [desktop, phone] = pair as [Device, Device];
    await desktop.do('add_notes', { count: 5, prefix: 'from the start' });
    assert.equal((await desktop.sync()).required, 'FULL_UPLOAD');
    await desktop.upload();
    assert.equal((await phone.sync()).required, 'FULL_DOWNLOAD');
    await phone.download();
    return [desktop, phone];
  }
}
