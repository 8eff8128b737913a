/** Devices of one user that put, replace, delete and fetch media of a few names, and what a server may answer them. */
import { createHash } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import type { RawClient, RawRequest } from '../client/raw.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { readZip } from '../media/read-zip.ts';
import { shuffled, type Answer, type Client, type Dice, type Move } from './worlds.ts';

export interface MediaWorld {
  usn: number;
  /** By name; without a content where it was deleted. */
  files: ReadonlyMap<string, { usn: number; content: string | null }>;
}

const NAMES = ['a.txt', 'b.txt', 'c.txt', 'ä.txt', 'd.txt'];

export function keyOf({ usn, files }: MediaWorld): string {
  return JSON.stringify([usn, [...files].sort(([one], [other]) => (one < other ? -1 : 1))]);
}

export class MediaDevice {
  readonly name: string;
  readonly client: RawClient;
  #dice: Dice;

  constructor(name: string, client: RawClient, dice: Dice) {
    this.name = name;
    this.client = client;
    this.#dice = dice;
  }

  *life(moves: number): Client<MediaWorld> {
    for (let count = 0; count < moves; count += 1) {
      const what = this.#dice(8);
      if (what < 4) yield* this.#upload();
      else if (what < 6) yield this.#download(shuffled(NAMES, this.#dice).slice(0, 1 + this.#dice(2)));
      else if (what === 6) yield this.#changes();
      else yield this.#sanity();
    }
  }

  /** What the server holds in the end, down to the bytes. */
  *lookAround(): Client<MediaWorld> {
    yield this.#changes();
    for (const name of NAMES) yield this.#download([name]);
  }

  #changes(): Move<MediaWorld> {
    return {
      name: `${this.name} mediaChanges`,
      run: () => this.client.msync('mediaChanges', { lastUsn: 0 }),
      apply: (world, answer) => {
        const wanted = [...world.files].map(([name, { usn, content }]) => [name, usn, content === null ? '' : sha1(content)]);
        const { data } = JSON.parse(answer.text()) as { data: unknown[] };
        return JSON.stringify(data.toSorted(byText)) === JSON.stringify(wanted.toSorted(byText)) ? world : null;
      },
    };
  }

  *#upload(): Client<MediaWorld> {
    // few contents, so that the same file comes twice
    const changes = shuffled(NAMES, this.#dice).slice(0, 1 + this.#dice(3))
      .map((name): [string, string | null] => [name, this.#dice(4) === 0 ? null : `content ${this.#dice(6)}`]);
    const whole: Move<MediaWorld> = {
      name: `${this.name} uploads ${JSON.stringify(changes)}`,
      run: () => this.client.msync('uploadChanges', uploadZip(changes)),
      apply: (world, answer) => {
        const files = new Map(world.files);
        let { usn } = world;
        for (const [name, content] of changes) {
          if ((files.get(name)?.content ?? null) !== content) files.set(name, { usn: (usn += 1), content });
        }
        return answer.text() === JSON.stringify({ data: [changes.length, usn], err: '' }) ? { usn, files } : null;
      },
    };
    if (this.#dice(3) !== 0) {
      yield whole;
      return;
    }
    const wire = zstdCompressSync(uploadZip(changes));
    let request: RawRequest;
    yield {
      name: `${whole.name}, its beginning`,
      run: async () => {
        request = this.client.open('msync/uploadChanges');
        request.request.on('error', () => {});
        await request.write(wire.subarray(0, wire.length >> 1));
        return { status: 0, body: Buffer.alloc(0), text: () => '' };
      },
      apply: (world) => world,
    };
    if (this.#dice(4) === 0) {
      request!.destroy();
      return;
    }
    yield {
      ...whole,
      run: async (): Promise<Answer> => {
        await request.write(wire.subarray(wire.length >> 1));
        request.end();
        return request.response;
      },
    };
  }

  #download(names: readonly string[]): Move<MediaWorld> {
    let got: string[] | null = null;
    return {
      name: `${this.name} downloads ${names.join(', ')}`,
      run: async () => {
        const answer = await this.client.msync('downloadFiles', { files: names });
        if (answer.status !== 200) return answer;
        const { contents } = await readZip(answer.body);
        got = names.map((name) => contents[name]?.toString() ?? 'missing');
        return answer;
      },
      apply: (world, answer) => {
        const contents = names.map((name) => world.files.get(name)?.content ?? null);
        if (contents.includes(null)) return answer.status === 409 ? world : null;
        return JSON.stringify(got) === JSON.stringify(contents) ? world : null;
      },
    };
  }

  #sanity(): Move<MediaWorld> {
    const local = this.#dice(NAMES.length + 1);
    return {
      name: `${this.name} mediaSanity ${local}`,
      run: () => this.client.msync('mediaSanity', { local }),
      apply: (world, answer) => {
        const count = [...world.files.values()].filter(({ content }) => content !== null).length;
        return (JSON.parse(answer.text()) as { data: string }).data === (count === local ? 'OK' : 'mediaSanity') ? world : null;
      },
    };
  }
}

/** Other users, who need the place: this one's collection and media are closed and settled, and opened again. */
export function* passersBy<World>(clients: readonly RawClient[], dice: Dice, moves: number): Client<World> {
  for (let count = 0; count < moves; count += 1) {
    const client = clients[dice(clients.length)]!;
    yield {
      name: 'somebody else',
      run: () => client.msync('mediaSanity', { local: 0 }),
      apply: (world, { status }) => (status === 200 ? world : null),
    };
  }
}

function sha1(content: string): string {
  return createHash('sha1').update(content).digest('hex');
}

function byText(one: unknown, other: unknown): number {
  return JSON.stringify(one) < JSON.stringify(other) ? -1 : 1;
}
