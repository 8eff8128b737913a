/**
 * What the steps of a sync cost in a user's thread: no HTTP, no packing, no second process. For profiles, and for curves over
 * the size of a collection.
 *
 *   node bench/steps.ts [--notes 20000,1000000] [--decks 10,5000] [--only daily,cold,morning,up,down,upload] [--times 20] [--root checkout]
 *   node --cpu-prof bench/steps.ts --only up
 *
 * daily: 20 reviews, with a deck and the config. cold: the same on a collection that was closed. morning: the same as the first sync of a day, when buried cards come back. up: 5,000 notes and cards. down: 5,000 notes.
 * upload: the check of the whole collection as an upload, as the lane's thread does it. Medians in milliseconds.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { Sessions } from '../lib/engine/session.ts';
import type { JsonStep } from '../lib/engine/calls.ts';
import { schedulerDay } from '../lib/schema/scheduler-day.ts';
import type { prepareUpload } from '../lib/storage/sqlite/anki2.ts';
import { basicNotetypeId, cardId, deckId, generateCollection, noteId } from './generated-collection.ts';

const { values } = parseArgs({
  options: {
    notes: { type: 'string', default: '20000' },
    decks: { type: 'string', default: '10' },
    only: { type: 'string', default: 'daily,cold,morning,up,down' },
    times: { type: 'string', default: '20' },
    root: { type: 'string', default: join(import.meta.dirname, '..') },
  },
});

const USER = { userId: '1', folder: 'u' };
const HABITS = ['daily', 'cold', 'morning', 'up', 'down', 'upload'] as const;
type Habit = (typeof HABITS)[number];

/** A user with a generated collection, and the client's side of its syncs. */
class Client {
  readonly folder = mkdtempSync(join(tmpdir(), 'bench-steps-'));
  readonly size: { notes: number; decks: number };
  #sessions: Sessions | undefined;
  #prepareUpload: typeof prepareUpload | undefined;
  #notetype = 0;
  #usn = 1;
  #syncs = 0;
  /** Cards, notes, revlog, graves, notetypes, decks, deck configs. */
  #counts: number[] = [];
  #millis: Record<string, number> = {};

  constructor(size: { notes: number; decks: number }) {
    this.size = size;
  }

  async open(): Promise<void> {
    const { notes, decks } = this.size;
    const path = join(this.folder, USER.folder, 'collection.anki2');
    mkdirSync(join(this.folder, USER.folder));
    generateCollection(path, { notes, decks });
    this.#notetype = basicNotetypeId(path);
    const lib = async (file: string): Promise<Record<string, new (options?: unknown) => never>> =>
      import(pathToFileURL(join(values.root, 'lib', file)).href) as never;
    const { Sessions } = await lib('engine/session.ts');
    const { SqliteCollectionStore } = await lib('storage/sqlite/collection.ts');
    const { MemoryMediaStore, MemoryMediaFiles } = await lib('storage/memory/media.ts');
    this.#prepareUpload = (await lib('storage/sqlite/anki2.ts')).prepareUpload as never;
    this.#sessions = new Sessions!({
      collections: new SqliteCollectionStore!({ base: this.folder }),
      media: new MemoryMediaStore!(),
      mediaFiles: new MemoryMediaFiles!(),
    });
    this.#counts = [notes * 2, notes, notes * 10, 0, 6, decks + 1, 1];
  }

  async close(): Promise<void> {
    await this.#sessions?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** @returns milliseconds by step, and of all. */
  async sync(habit: Habit): Promise<Record<string, number>> {
    this.#millis = {};
    const n = ++this.#syncs;
    if (habit === 'daily' || habit === 'cold' || habit === 'morning') {
      if (habit === 'cold') await this.#sessions!.run({ step: 'release', user: USER });
      const changes = this.#dailyChanges(n, habit !== 'morning');
      await this.#session({ lnewer: true, changes, chunks: [this.#reviews(n)], added: [0, 0, 20] });
    }
    if (habit === 'up') await this.#session({ lnewer: true, chunks: this.#newNotes(n), added: [5000, 5000, 0] });
    if (habit === 'upload') await this.#upload();
    if (habit === 'down') {
      const since = this.#usn;
      const edited = range(20).map((c) => ({ done: false, notes: range(250).map((i) => this.#note(noteId((c * 250 + i) % this.size.notes), n)) }));
      await this.#session({ lnewer: true, chunks: edited, added: [] });
      this.#millis = {};
      await this.#session({ lnewer: false, since, chunks: [], added: [] });
    }
    const { cpu, ...steps } = this.#millis;
    return { ...steps, all: Object.values(steps).reduce((sum, millis) => sum + millis, 0), cpu: cpu! };
  }

  async #session(sync: { lnewer: boolean; since?: number; changes?: object; chunks: object[]; added: number[] }): Promise<void> {
    const key = `s${this.#usn}`;
    await this.#step('meta', key, { v: 11, cv: 'bench' });
    await this.#step('start', key, { minUsn: sync.since ?? this.#usn, lnewer: sync.lnewer, graves: null });
    await this.#step('applyChanges', key, { changes: { models: [], decks: [[], []], tags: [], ...sync.changes } });
    for (let done = false; !done; ) done = (await this.#step('chunk', key, {})).includes('"done":true');
    for (const chunk of [...sync.chunks, { done: true }]) await this.#step('applyChunk', key, { chunk });
    this.#counts = this.#counts.map((count, index) => count + (sync.added[index] ?? 0));
    const answer = await this.#step('sanityCheck2', key, { client: [[0, 0, 0], ...this.#counts] });
    if (!answer.includes('"status":"ok"')) throw new Error(answer);
    await this.#step('finish', key, {});
    this.#usn += 1;
  }

  async #upload(): Promise<void> {
    await this.#sessions!.run({ step: 'release', user: USER });
    const path = join(this.folder, 'upload.anki2');
    copyFileSync(join(this.folder, USER.folder, 'collection.anki2'), path);
    const verdict = await this.#timed('prepareUpload', () => this.#prepareUpload!(path));
    if (verdict.verdict !== 'ok') throw new Error(JSON.stringify(verdict));
    rmSync(path);
  }

  async #step(step: JsonStep, sessionKey: string, body: object): Promise<string> {
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    const { answer } = await this.#timed(step, () => this.#sessions!.run({ step, user: USER, sessionKey, body: bytes }));
    if (answer.kind !== 'bytes') throw new Error('a file');
    return Buffer.from(answer.data as string).toString();
  }

  async #timed<T>(what: string, work: () => T | Promise<T>): Promise<T> {
    const cpu = process.cpuUsage();
    const started = performance.now();
    const result = await work();
    this.#millis[what] = (this.#millis[what] ?? 0) + performance.now() - started;
    const { user, system } = process.cpuUsage(cpu);
    this.#millis['cpu'] = (this.#millis['cpu'] ?? 0) + (user + system) / 1000;
    return result;
  }

  /** The config says what the next sync finds. */
  #dailyChanges(n: number, unburied: boolean): object {
    const deck = {
      id: this.size.decks > 0 ? deckId(0) : 1, mod: secs(), name: this.size.decks > 0 ? 'Deck 0' : 'Default', usn: this.#usn,
      lrnToday: [0, 0], revToday: [n, 20], newToday: [0, 0], timeToday: [n, 140000], collapsed: true, browserCollapsed: true, desc: '',
      dyn: 0, conf: 1, extendNew: 0, extendRev: 0,
    };
    const conf = { activeDecks: [1], addToCur: true, creationOffset: -60, localOffset: -60, curDeck: 1, schedVer: 2, sched2021: true, rollover: 4, nextPos: n };
    const lastUnburied = schedulerDay({ creationSecs: 1_600_000_000, nowSecs: secs(), config: conf });
    return { decks: [[deck], []], conf: unburied ? { ...conf, lastUnburied } : conf, crt: 1_600_000_000 };
  }

  #reviews(n: number): object {
    const ids = range(20).map((i) => cardId((n * 7919 + i * 104_729) % this.size.notes, i % 2));
    return {
      done: false,
      cards: ids.map((id) => [
        id, id - (id % 10), 1, id % 10, secs(), this.#usn, 2, 2, 300, 40, 2500, 9, 0, 0, 0, 0, 0, '{"pos":5,"s":31.25,"d":5.25,"dr":0.9}',
      ]),
      revlog: ids.map((id, i) => [1_900_000_000_000 + n * 1000 + i * 13, id, this.#usn, 3, 40, 37, 2500, 7123, 1]),
    };
  }

  #newNotes(n: number): object[] {
    return range(40).map((c) => {
      const ids = range(125).map((i) => 1_950_000_000_000 + n * 20_000 + (c * 125 + i) * 3);
      return {
        done: false,
        cards: ids.map((id) => [id + 1, id, 1, 0, secs(), this.#usn, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, '{}']),
        notes: ids.map((id) => this.#note(id, n)),
      };
    });
  }

  #note(id: number, n: number): unknown[] {
    const back = `<div>${'some words of a back side, which is longer, '.repeat(1 + (id % 7))}</div><b>and a bold end</b><br>${n}`;
    return [id, `g${id}`, this.#notetype, secs(), this.#usn, ' tag1 ', `The front of note ${id}?\x1f${back}`, '', '', 0, ''];
  }
}

const secs = (): number => Math.floor(Date.now() / 1000);
const range = (length: number): number[] => Array.from({ length }, (_, n) => n);

function median(numbers: number[]): number {
  return numbers.sort((a, b) => a - b)[numbers.length >> 1] ?? NaN;
}

const numbers = (text: string): number[] => text.split(',').map(Number);

for (const notes of numbers(values.notes)) {
  for (const decks of numbers(values.decks)) {
    const client = new Client({ notes, decks });
    try {
      await client.open();
      for (const habit of HABITS.filter((habit) => values.only.split(',').includes(habit))) {
        const times = ['up', 'down', 'upload'].includes(habit) ? Math.ceil(Number(values.times) / 4) : Number(values.times);
        const runs: Record<string, number>[] = [];
        for (let n = 0; n < times + 2; n++) {
          const run = await client.sync(habit);
          if (n >= 2) runs.push(run);
        }
        const medians = Object.keys(runs[0]!).map((step) => `${step} ${median(runs.map((run) => run[step]!)).toFixed(2)}`);
        console.log(`${notes} notes, ${decks} decks, ${habit}: ${medians.join('  ')}`);
      }
    } finally {
      await client.close();
    }
  }
}
