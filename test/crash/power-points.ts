/** Plays a story once, writes down what it does to files, and takes the power away at every point of that record. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { copyDatabase } from '../../lib/storage/sqlite/database-copy.ts';
import { makeUsers, replaceFolder } from './data-folder.ts';
import { chanceOf, DiskModel, signatureOf, writeFolder, type Order, type Survival } from './disk-model.ts';
import { readOperations, type Operation } from './operations.ts';
import { differing, fileState, findings, isSame, stateOf, type State } from './state.ts';
import type { Scene, Story } from './stories.ts';
import { watchedServer, type WatchedServer } from './watched-process.ts';

export interface PowerOptions {
  /** Of the operations that are neither answers nor fsyncs, at most so many are cut points; all, if left out. */
  most?: number;
  seed?: number;
  /** At how many of the disks a server is started, and the client goes on. */
  goOn?: number;
  /** The checkout whose server runs. */
  root?: string;
}

export interface PowerTried {
  /** Points at which the power went. */
  cuts: number;
  /** Different disks that it left. */
  disks: number;
  /** Of them, those that a server started from. */
  wentOn: number;
}

const NAME = 'ada';

/** One disk in so many is also looked at as `anki-sync check --deep` does, which takes most of the time. */
const THOROUGH = 4;

/** What may be lost: for each order of names, the worst and the best, and chance. */
const LOSSES: readonly { order: Order; names: 'none' | 'all' | 'chance'; data: 'none' | 'all' | 'chance' }[] = [
  { order: 'posix', names: 'none', data: 'none' },
  { order: 'posix', names: 'all', data: 'none' },
  { order: 'posix', names: 'none', data: 'all' },
  { order: 'posix', names: 'chance', data: 'chance' },
  { order: 'journal', names: 'none', data: 'none' },
  { order: 'journal', names: 'chance', data: 'none' },
  { order: 'journal', names: 'chance', data: 'chance' },
];

export interface Disk {
  at: string;
  /** Steps that were answered. */
  answered: number;
  found: ReturnType<DiskModel['survivors']>;
}

/** A story that was played: its record, and what was there after each step. */
interface Record extends Done {
  states: State[];
  keys: string[][];
  /** After the client went on. */
  last: State;
}

/** @throws AssertionError with the point at which something was lost */
export async function tryPowerLoss(story: Story, { most = Infinity, seed = 1, goOn = 0, root }: PowerOptions = {}): Promise<PowerTried> {
  const place = await PowerPlace.make(story, root);
  try {
    const record = await place.record();
    const { cuts, disks } = disksOf(place.base, record, { most, seed });
    for (const [index, disk] of disks.entries()) await place.look(disk, record, index % THOROUGH === 0);
    const chosen = disks.filter((_disk, index) => index % Math.max(1, Math.floor(disks.length / Math.max(1, goOn))) === 0).slice(0, goOn);
    for (const disk of chosen) await place.goOn(disk, record);
    return { cuts, disks: disks.length, wentOn: chosen.length };
  } finally {
    place.remove();
  }
}

/** What was done to a folder, and what the folder was. */
export interface Done {
  models: Models;
  operations: Operation[];
  /** For each record, how many steps were answered when it was over. */
  answered: number[];
}

export type Models = { [order in Order]: DiskModel };

/** To be called before anything is done to the folder. */
export function modelsOf(folder: string): Models {
  return { posix: new DiskModel(folder, 'posix'), journal: new DiskModel(folder, 'journal') };
}

/** Every different disk that a loss of power leaves. */
export function disksOf(
  folder: string,
  { models, operations, answered }: Done,
  { most = Infinity, seed = 1 }: { most?: number; seed?: number },
): { cuts: number; disks: Disk[] } {
  const plain = operations.filter(({ kind }) => !isPoint(kind)).length;
  const every = Math.max(1, plain / most);
  const seen = new Set<string>();
  const disks: Disk[] = [];
  const chance = chanceOf(seed);
  let cuts = 0;
  let passed = 0;
  let due = chance(Math.ceil(every));
  for (const [index, operation] of operations.entries()) {
    for (const model of Object.values(models)) model.apply(operation);
    if (!isPoint(operation.kind) && passed++ < due && index < operations.length - 1) continue;
    if (!isPoint(operation.kind)) due += every;
    cuts += 1;
    for (const { order, names, data } of LOSSES) {
      const survival = (which: 'none' | 'all' | 'chance'): Survival => (which === 'chance' ? seed * 1_000_003 + index * 31 + chance(1000) : which);
      const found = models[order].survivors(survival(names), survival(data));
      const signature = `${answered[index]} ${signatureOf(found)}`;
      if (seen.has(signature)) continue;
      seen.add(signature);
      disks.push({ at: `${described(operation, index, folder)} (${order}: of names ${names}, of data ${data})`, answered: answered[index]!, found });
    }
  }
  return { cuts, disks };
}

/** In memory, where there is room for it: disks are made and looked at by the thousand, and what they are made on needs no fsync. */
export function scratchFolder(): string {
  const memory = '/dev/shm';
  const { bavail, bsize } = existsSync(memory) ? statfsSync(memory) : { bavail: 0, bsize: 0 };
  return realpathSync(mkdtempSync(join(bavail * bsize > 50_000_000 ? memory : tmpdir(), 'power-')));
}

function isPoint(kind: Operation['kind']): boolean {
  return kind === 'answer' || kind === 'sync' || kind === 'datasync';
}

function described({ kind, path, path2 }: Operation, index: number, base: string): string {
  const short = (name: string): string => name.replace(base, '').replace(/^\//, '');
  return `after record ${index}: ${kind} ${short(path)}${path2 === '' ? '' : ` → ${short(path2)}`}`;
}

class PowerPlace {
  readonly base: string;
  readonly #story: Story;
  readonly #root: string | undefined;
  readonly #folder: string;
  readonly #spare: string;
  readonly #key: string;

  static async make(story: Story, root: string | undefined): Promise<PowerPlace> {
    const folder = scratchFolder();
    const base = join(folder, 'base');
    const keys = await makeUsers(base, [NAME]);
    const place = new PowerPlace(story, root, folder, keys.get(NAME)!);
    await story.before?.(join(base, NAME), place.#spare);
    return place;
  }

  private constructor(story: Story, root: string | undefined, folder: string, key: string) {
    this.#story = story;
    this.#root = root;
    this.#folder = folder;
    this.base = join(folder, 'base');
    this.#spare = join(folder, 'spare');
    this.#key = key;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async record(): Promise<Record> {
    const log = join(this.#folder, 'log');
    const models = modelsOf(this.base);
    const states = [this.#state(this.base)];
    const keys = [this.#keys(this.base)];
    const server = await this.#serve(log);
    const answers: number[] = [];
    try {
      for (const { run } of this.#story.steps(this.#scene(server), this.#spare)) {
        await run();
        states.push(this.#state(this.base));
        keys.push(this.#keys(this.base));
        const records = readOperations(log);
        const answer = records.findLastIndex(({ kind }) => kind === 'answer');
        answers.push(answer > (answers.at(-1) ?? -1) ? answer : records.length - 1);
      }
    } finally {
      if (server.child.exitCode === null) await server.stop();
    }
    const operations = readOperations(log);
    const answered = operations.map((_operation, index) => answers.filter((answer) => answer <= index).length);
    const again = await this.#serve();
    let last: State;
    try {
      await this.#story.again(this.#scene(again), this.#spare);
      last = this.#state(this.base, true);
    } finally {
      await again.stop();
    }
    return { models, operations, answered, states, keys, last };
  }

  async look(disk: Disk, { states, keys }: Record, thorough: boolean): Promise<void> {
    const base = this.#write(disk);
    const at = `when the power went ${disk.at}, ${disk.answered} steps answered`;
    let state: State;
    try {
      state = this.#state(base);
    } catch (error) {
      throw new assert.AssertionError({ message: `damaged ${at}: ${(error as Error).message}` });
    }
    const allowed = states.slice(disk.answered, disk.answered + 2);
    if (!allowed.some((each) => isSame(each, state))) {
      assert.fail(`neither before nor after ${at}: ${allowed.map((each) => differing(each, state).join(', ')).join(' | ')} differ`);
    }
    const known = this.#keys(base);
    for (const key of keys[disk.answered]!) assert.ok(known.includes(key), `a host key is lost ${at}`);
    if (this.#story.replaces === true && !isSame(state, states[0]!)) {
      const collection = Object.fromEntries(Object.entries(states[0]!).filter(([key]) => !key.startsWith('media')));
      const kept = snapshotsIn(join(base, NAME)).some((path) => {
        try {
          return isSame(fileState(path, join(this.#folder, 'look')), collection);
        } catch {
          return false;
        }
      });
      assert.ok(kept, `what was replaced is lost ${at}`);
    }
    if (!thorough) return;
    const { problems } = await findings(base);
    const begunWith = /their index media\.db is missing/;
    assert.deepEqual(problems.filter((problem) => this.#story.unindexed !== true || !begunWith.test(problem)), [], at);
  }

  /** A server starts from the disk, and the same client goes on; it ends as without the loss. */
  async goOn(disk: Disk, { last }: Record): Promise<void> {
    const base = this.#write(disk);
    const at = `when the power went ${disk.at}`;
    replaceFolder(base, this.base);
    const server = await this.#serve();
    try {
      await this.#story.again(this.#scene(server), this.#spare);
      const state = this.#state(this.base, true);
      assert.ok(isSame(state, last), `another end than usual ${at}: ${differing(state, last).join(', ')} differ`);
    } catch (error) {
      throw new assert.AssertionError({ message: `the client could not go on ${at}: ${(error as Error).message}\n${server.output()}` });
    } finally {
      await server.stop();
    }
  }

  #write(disk: Disk): string {
    const base = join(this.#folder, 'disk');
    rmSync(base, { recursive: true, force: true });
    writeFolder(base, disk.found);
    return base;
  }

  #state(base: string, loose = false): State {
    const home = join(base, NAME);
    if (!existsSync(home)) return { collection: 'none', media: 'none' };
    const { timeless = false, unindexed = false } = this.#story;
    return stateOf(home, join(this.#folder, 'look'), { loose, timeless, unindexed });
  }

  #keys(base: string): string[] {
    const copy = join(this.#folder, 'users-copy');
    rmSync(copy, { force: true });
    copyDatabase(join(base, '.anki-sync', 'users.db'), copy);
    const db = new Database(copy, { readonly: true });
    try {
      return db.prepare('SELECT key_hash FROM host_keys').pluck().all() as string[];
    } finally {
      db.close();
    }
  }

  #scene(server: WatchedServer): Scene {
    return { server, client: server.client(this.#key), name: NAME, home: join(this.base, NAME) };
  }

  async #serve(log?: string): Promise<WatchedServer> {
    const server = await watchedServer(this.base, { ...(log === undefined ? {} : { log }), ...(this.#root === undefined ? {} : { root: this.#root }) });
    assert.ok(server !== undefined, 'the server did not start');
    return server;
  }
}

function snapshotsIn(home: string): string[] {
  const folder = join(home, '.snapshots');
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.anki2')).map((file) => join(folder, file)) : [];
}
