/** Devices of one user, as far as a sync server can tell them from Anki: they hold notes, and do what Anki does with each answer. */
import type { IncomingMessage } from 'node:http';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import Database from 'better-sqlite3';
import type { RawClient, RawRequest } from '../client/raw.ts';
import type { Answer, Client, Dice, Move } from './worlds.ts';

/** By note id: its `mod`, a number that no other edit has. So the later edit is the newer one, on whatever device it was made. */
export type Notes = ReadonlyMap<number, number>;

/** What the server holds, as far as a device could find out. */
export interface World {
  scm: number;
  usn: number;
  notes: Notes;
  /** The usn under which each note is kept. */
  usns: ReadonlyMap<number, number>;
  /** The one running sync: by whom, and what it has brought so far. */
  running: Running | null;
  /** Downloads on the way, by device. */
  sent: ReadonlyMap<string, { notes: Notes; usn: number }>;
}

interface Running {
  session: string;
  minUsn: number;
  /** Another device uploaded between `meta` and `start`: this one goes on with another collection than the one it looked at. */
  astray: boolean;
  notes: Notes;
  removed: readonly number[];
}

export function keyOf({ scm, usn, notes, usns, running, sent }: World): string {
  const list = (each: Notes): unknown[] => [...each].sort(([one], [other]) => one - other);
  return JSON.stringify([scm, usn, list(notes), list(usns), running && [running.session, running.astray, list(running.notes), running.removed],
    [...sent].map(([name, each]) => [name, list(each.notes), each.usn])]);
}

/** What all devices of a user share: ids and stamps that nobody used yet. */
export interface Stamps {
  last: number;
}

/** Of a fresh collection. */
export interface Counts {
  notetype: number;
  rest: [models: number, decks: number, presets: number];
}

export class Device {
  readonly name: string;
  readonly client: RawClient;
  #stamps: Stamps;
  #dice: Dice;
  #template: Buffer;
  #counts: Counts;
  /** Everything, with what is not yet sent. */
  notes = new Map<number, number>();
  #pending = new Set<number>();
  #graves: number[] = [];
  /** Deleted by nobody but this device, and changed by no other. */
  #own = new Set<number>();
  #usn = 0;
  #scm = 0;
  #sessions = 0;

  constructor(name: string, client: RawClient, shared: { stamps: Stamps; dice: Dice; template: Buffer; counts: Counts }) {
    this.name = name;
    this.client = client;
    this.#stamps = shared.stamps;
    this.#dice = shared.dice;
    this.#template = shared.template;
    this.#counts = shared.counts;
  }

  /** Some edits and syncs in a row, as a person with this device makes them. */
  *life(rounds: number): Client<World> {
    for (let round = 0; round < rounds; round += 1) {
      this.edit();
      const what = this.#dice(12);
      if (what === 0) yield* this.#garbage();
      else if (what === 1) yield* this.#abort();
      else if (what === 2) yield* this.#upload();
      else if (what === 3) yield* this.#download();
      else yield* this.sync({ leaves: what === 4 });
    }
  }

  edit(): void {
    for (let edits = this.#dice(4); edits > 0; edits -= 1) {
      const stamp = (this.#stamps.last += 1);
      const known = [...this.notes.keys()];
      const own = known.filter((id) => this.#own.has(id));
      const shared = known.filter((id) => id % 2 === 0);
      const what = this.#dice(4);
      if (what === 0 && own.length > 0) {
        const id = own[this.#dice(own.length)]!;
        this.notes.delete(id);
        this.#own.delete(id);
        this.#pending.delete(id);
        this.#graves.push(id);
      } else if (what === 1 && shared.length > 0) {
        const id = shared[this.#dice(shared.length)]!;
        this.notes.set(id, stamp);
        this.#pending.add(id);
      } else {
        // even: anybody may change it; odd: only this device, which may delete it
        const id = 2 * stamp + this.#dice(2);
        if (id % 2 === 1) this.#own.add(id);
        this.notes.set(id, stamp);
        this.#pending.add(id);
      }
    }
  }

  /**
   * What Anki does when its sync button is pressed; `leaves` somewhere on the way, for a device that walks out of reach. `plainly`
   * takes the server's collection where only one can be kept.
   */
  *sync({ leaves = false, plainly = false } = {}): Client<World> {
    const client = this.client.withSession(`${this.name}-${(this.#sessions += 1)}`);
    const session = client.sessionKey;
    const step = (method: string, body: object, taken: (world: World) => World = (world) => world): Move<World> => ({
      name: `${session} ${method}`,
      run: () => client.post(method, body),
      apply: (world, { status }) => (world.running?.session === session ? (status === 200 ? taken(world) : null) : status === 409 ? world : null),
    });
    const gone = (): boolean => leaves && this.#dice(5) === 0;

    const meta: Answer = yield {
      name: `${session} meta`,
      run: () => client.post('meta', { v: 11, cv: 'test' }),
      apply: (world, answer) => {
        if (answer.status !== 200) return null;
        const { usn, scm } = JSON.parse(answer.body.toString()) as { usn: number; scm: number };
        return usn === world.usn && (world.scm === 0 || scm === world.scm) ? { ...world, scm, running: null } : null;
      },
    };
    const { usn, scm } = JSON.parse(meta.body.toString()) as { usn: number; scm: number };
    if (scm !== this.#scm) {
      if (!plainly && this.#dice(3) === 0) yield* this.#upload();
      else yield* this.#download(plainly);
      return;
    }
    const fresh = { session, minUsn: this.#usn, notes: new Map(), removed: [] };
    const started: Answer = yield {
      name: `${session} start`,
      run: () => client.post('start', { minUsn: this.#usn, lnewer: false }),
      apply: (world, { status }) => (status === 200 ? { ...world, running: { ...fresh, astray: world.scm !== scm } } : null),
    };
    // what a sync that fails has changed here is rolled back here too
    const notes = new Map(this.notes);
    const pending = new Set(this.#pending);
    for (const id of (JSON.parse(started.body.toString()) as { notes: number[] }).notes) {
      notes.delete(id);
      pending.delete(id);
    }
    if (gone()) return;

    const graves = [...this.#graves];
    const removed = yield step('applyGraves', { chunk: { notes: graves, cards: graves, decks: [] } },
      (world) => ({ ...world, running: { ...world.running!, removed: graves } }));
    if (removed.status !== 200) return;
    const changed = yield step('applyChanges', { changes: { models: [], decks: [[], []], tags: [] } });
    if (changed.status !== 200) return;
    for (let done = false; !done; ) {
      const answer: Answer = yield step('chunk', {});
      if (answer.status !== 200) return;
      const chunk = JSON.parse(answer.body.toString()) as { done: boolean; notes?: [number, string, number, number][] };
      for (const [id, , , mod] of chunk.notes ?? []) {
        if (pending.has(id) && notes.get(id)! > mod) continue;
        notes.set(id, mod);
        pending.delete(id);
      }
      done = chunk.done;
    }
    if (gone()) return;
    const rest = [...pending];
    do {
      const ids = rest.splice(0, 1 + this.#dice(3));
      const chunk = { done: rest.length === 0, ...this.#rows(ids, notes, usn) };
      const sent = new Map(ids.map((id) => [id, notes.get(id)!]));
      const taken = (world: World): World => ({ ...world, running: { ...world.running!, notes: new Map([...world.running!.notes, ...sent]) } });
      if (gone()) {
        yield* this.#leaveWithin(client, 'applyChunk', { chunk });
        return;
      }
      const answer: Answer = this.#dice(4) === 0
        ? yield* this.#slowly(client, 'sync/applyChunk', zstdCompressSync(JSON.stringify({ chunk })), step('applyChunk', {}, taken))
        : yield step('applyChunk', { chunk }, taken);
      if (answer.status !== 200) return;
    } while (rest.length > 0);

    const sane: Answer = yield {
      ...step('sanityCheck2', { client: [[0, 0, 0], notes.size, notes.size, 0, 0, ...this.#counts.rest] }),
      apply: (world, { status, body }) => {
        if (world.running?.session !== session) return status === 409 ? world : null;
        const sound = status === 200 && (JSON.parse(body.toString()) as { status: string }).status === 'ok';
        if (sound) return world;
        return status === 200 && world.running.astray ? { ...world, running: null } : null;
      },
    };
    if (sane.status !== 200 || sane.text().includes('bad')) return;
    const finished: Answer = yield {
      ...step('finish', {}),
      apply: (world, { status }) => {
        if (world.running?.session !== session) return status === 409 ? world : null;
        const all = finish(world);
        // nobody gets half a sync: whoever finished holds exactly what the server holds
        return status === 200 && (world.running.astray || sameNotes(all.notes, notes)) ? all : null;
      },
    };
    if (finished.status !== 200) return;
    this.notes = notes;
    this.#pending = new Set();
    this.#graves = [];
    this.#usn = usn + 1;
  }

  *#abort(): Client<World> {
    yield {
      name: `${this.name} abort`,
      run: () => this.client.post('abort'),
      apply: (world, { status }) => (status === 200 ? { ...world, running: null } : null),
    };
  }

  /** An upload that is refused leaves alone whatever runs. */
  *#garbage(): Client<World> {
    yield {
      name: `${this.name} upload of garbage`,
      run: () => this.client.post('upload', Buffer.from('no collection')),
      apply: (world, answer) => (answer.status === 200 && /corrupt/.test(answer.text()) ? world : null),
    };
  }

  *#upload(): Client<World> {
    const scm = 1_700_000_000_000 + (this.#stamps.last += 1);
    const notes = new Map(this.notes);
    const whole: Move<World> = {
      name: `${this.name} upload`,
      run: () => this.client.post('upload', this.#file(scm)),
      apply: (world, answer) =>
        answer.status === 200 && answer.text() === 'OK' ? { ...world, scm, usn: 0, notes, usns: new Map(), running: null } : null,
    };
    const packed = zstdCompressSync(this.#file(scm));
    const answer: Answer = this.#dice(2) === 0 ? yield whole : yield* this.#slowly(this.client, 'sync/upload', packed, whole);
    if (answer.status !== 200) return;
    this.#scm = scm;
    this.#usn = 0;
    this.#pending = new Set();
    this.#graves = [];
  }

  /** Headers and the file's first bytes are one move, its end another: whatever happens in between, the file is as of the first. */
  *#download(plainly = false): Client<World> {
    let response: IncomingMessage;
    yield {
      name: `${this.name} download begins`,
      run: async () => {
        response = await this.client.sendUnread('POST', 'sync/download', {});
        response.pause();
        return { status: response.statusCode ?? 0, body: Buffer.alloc(0), text: () => '' };
      },
      apply: (world, { status }) => {
        const usn = world.usn + 1;
        const sent = new Map(world.sent).set(this.name, { notes: world.notes, usn });
        return status === 200 ? { ...world, usn, running: null, sent } : null;
      },
    };
    if (!plainly && this.#dice(6) === 0) {
      yield {
        name: `${this.name} leaves the download`,
        run: async () => (response.destroy(), { status: 0, body: Buffer.alloc(0), text: () => '' }),
        apply: (world) => ({ ...world, sent: without(world.sent, this.name) }),
      };
      return;
    }
    let got: ReturnType<typeof read>;
    yield {
      name: `${this.name} takes the download`,
      run: async () => {
        const wire = Buffer.concat(await response.toArray() as Buffer[]);
        got = read(zstdDecompressSync(wire));
        return { status: 200, body: wire, text: () => `usn ${got.usn}, notes ${JSON.stringify([...got.notes])}` };
      },
      apply: (world) => {
        const wanted = world.sent.get(this.name)!;
        return wanted.usn === got.usn && sameNotes(wanted.notes, got.notes) ? { ...world, sent: without(world.sent, this.name) } : null;
      },
    };
    this.notes = got!.notes;
    this.#usn = got!.usn;
    this.#scm = got!.scm;
    this.#pending = new Set();
    this.#graves = [];
    this.#own = new Set([...this.#own].filter((id) => this.notes.has(id)));
  }

  /** The same request in two parts, with others in between. It takes effect with the second. */
  *#slowly(client: RawClient, path: string, wire: Buffer, whole: Move<World>): Generator<Move<World>, Answer, Answer> {
    let request: RawRequest;
    yield {
      name: `${whole.name} begins`,
      run: async () => {
        request = client.open(path);
        await request.write(wire.subarray(0, wire.length >> 1));
        return { status: 0, body: Buffer.alloc(0), text: () => '' };
      },
      apply: (world) => world,
    };
    return yield {
      name: `${whole.name} ends`,
      run: async () => {
        await request.write(wire.subarray(wire.length >> 1));
        request.end();
        return request.response;
      },
      apply: whole.apply,
    };
  }

  /** The connection ends in the middle of a request: it has no effect, and the sync that runs goes on. */
  *#leaveWithin(client: RawClient, method: string, body: object): Client<World> {
    yield {
      name: `${client.sessionKey} ${method}, cut`,
      run: async () => {
        const wire = zstdCompressSync(JSON.stringify(body));
        const request = client.open(`sync/${method}`);
        request.request.on('error', () => {});
        await request.write(wire.subarray(0, wire.length >> 1));
        request.destroy();
        return { status: 0, body: Buffer.alloc(0), text: () => '' };
      },
      apply: (world) => world,
    };
  }

  #rows(ids: readonly number[], notes: Notes, usn: number): { notes: unknown[]; cards: unknown[] } {
    return {
      notes: ids.map((id) => [id, `guid${id}`, this.#counts.notetype, notes.get(id), usn, '', `front ${id}\x1f${notes.get(id)}`, '', '', 0, '']),
      cards: ids.map((id) => [id, id, 1, 0, notes.get(id), usn, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, '']),
    };
  }

  #file(scm: number): Buffer {
    const db = new Database(this.#template);
    db.exec('DELETE FROM notes; DELETE FROM cards; DELETE FROM graves');
    db.prepare('UPDATE col SET usn = 0, scm = ?').run(scm);
    const { notes, cards } = this.#rows([...this.notes.keys()], this.notes, 0) as { notes: unknown[][]; cards: unknown[][] };
    for (const row of notes) db.prepare(`INSERT INTO notes VALUES (${row.map(() => '?')})`).run(row);
    for (const row of cards) db.prepare(`INSERT INTO cards VALUES (${row.map(() => '?')})`).run(row);
    const bytes = db.serialize();
    db.close();
    return bytes;
  }
}

/** What the server holds once the running sync is finished: a note that it has itself since the device's last sync stays if it is newer. */
function finish(world: World): World {
  const { minUsn, removed, notes: brought } = world.running!;
  const notes = new Map(world.notes);
  const usns = new Map(world.usns);
  for (const id of removed) notes.delete(id);
  for (const [id, mod] of brought) {
    const ours = notes.get(id);
    if (ours !== undefined && (usns.get(id) ?? 0) >= minUsn && ours >= mod) continue;
    notes.set(id, mod);
    usns.set(id, world.usn);
  }
  return { ...world, usn: world.usn + 1, notes, usns, running: null };
}

export function sameNotes(one: Notes, other: Notes): boolean {
  return one.size === other.size && [...one].every(([id, mod]) => other.get(id) === mod);
}

/** What is in the bytes of a collection, which must be sound. */
export function read(bytes: Buffer): { notes: Map<number, number>; usn: number; scm: number } {
  const db = new Database(bytes);
  try {
    if (db.pragma('integrity_check', { simple: true }) !== 'ok') throw new Error('the file is damaged');
    const notes = db.prepare('SELECT id, mod FROM notes').raw().all() as [number, number][];
    const cards = db.prepare('SELECT nid, mod FROM cards ORDER BY id').raw().all() as [number, number][];
    if (JSON.stringify(cards) !== JSON.stringify(notes)) throw new Error('notes and cards do not fit');
    const [usn, scm] = db.prepare('SELECT usn, scm FROM col').raw().get() as [number, number];
    return { notes: new Map(notes), usn, scm };
  } finally {
    db.close();
  }
}

function without<V>(map: ReadonlyMap<string, V>, name: string): Map<string, V> {
  return new Map([...map].filter(([each]) => each !== name));
}
