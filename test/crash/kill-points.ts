/** Plays a story again and again, and ends the server at the first, second, third … operation on its files; then looks, and goes on. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeUsers, replaceFolder } from './data-folder.ts';
import { Control, readOperations, type Operation } from './operations.ts';
import { Replay } from './replay.ts';
import { differing, fileState, filesBelow, findings, isSame, stateOf, type State } from './state.ts';
import type { Scene, Step, Story } from './stories.ts';
import { watchedServer, type WatchedServer } from './watched-process.ts';

export interface KillOptions {
  /** At most so many points, evenly spread; all, if left out. */
  most?: number;
  /** Shifts which points are taken, and which writes are cut in their middle. */
  seed?: number;
  /** Each write is tried twice: before it, and in its middle. */
  both?: boolean;
  /** The checkout whose server runs. */
  root?: string;
}

export interface Tried {
  /** Operations of the story: at each of them the folder was looked at. */
  operations: number;
  /** At how many of them a server was ended, started again, and met by its client. */
  killed: number;
}

/** A run without a crash: what there is to end at, and the states that there may be. */
interface Reference {
  operations: Operation[];
  /** How many steps were answered when the operation began. */
  answered: number[];
  /** Before the first step, and after each. */
  states: State[];
  /** After the client went on. */
  last: State;
}

interface Point {
  number: number;
  within: boolean;
}

/** Two users take turns: while the server runs for the next point, the user of the last one goes on. */
const USERS = ['ada', 'bob'] as const;

/** @throws AssertionError with the operation at which something went wrong */
export async function tryKillPoints(story: Story, options: KillOptions = {}): Promise<Tried> {
  const place = await Place.make(story, options.root);
  try {
    const reference = await place.reference();
    if (reference.operations.length === 0) throw new Error('no operation was seen');
    const points = pointsOf(reference.operations, options);
    let last: { name: string; at: string } | undefined;
    for (const [index, point] of [...points, undefined].entries()) {
      const name = USERS[index % 2]!;
      if (point !== undefined) place.prepare(name);
      const at = point === undefined ? 'the end' : described(point, reference.operations, place.base);
      last = await place.play({ name, point, at, last, reference });
    }
    return { operations: reference.operations.length, killed: new Set(points.map(({ number }) => number)).size };
  } finally {
    await place.remove();
  }
}

export function pointsOf(operations: Operation[], { most = Infinity, seed = 0, both = false }: KillOptions): Point[] {
  const every = Math.max(1, operations.length / most);
  const points: Point[] = [];
  for (let i = 0; i < operations.length / every; i++) {
    const index = Math.min(operations.length - 1, Math.floor(i * every + (seed % Math.max(1, Math.floor(every)))));
    const { number, kind } = operations[index]!;
    const isWrite = kind === 'write';
    if (both || !isWrite || (index + seed) % 2 === 0) points.push({ number, within: false });
    if (isWrite && (both || (index + seed) % 2 === 1)) points.push({ number, within: true });
  }
  return points;
}

export function described({ number, within }: Point, operations: Operation[], base: string): string {
  const { kind, path, path2, length } = operations[number - 1]!;
  const short = (name: string): string => name.replace(base, '').replace(/^\//, '');
  const what = `${kind} ${short(path)}${path2 === '' ? '' : ` → ${short(path2)}`}${kind === 'write' ? ` (${length} bytes)` : ''}`;
  return `${within ? 'in the middle of' : 'before'} operation ${number}: ${what}`;
}

class Place {
  readonly base: string;
  readonly #story: Story;
  readonly #root: string | undefined;
  readonly #folder: string;
  readonly #spare: string;
  readonly #before: string;
  readonly #keys: Map<string, string>;
  readonly #control: Control;
  #server: WatchedServer | undefined;

  static async make(story: Story, root: string | undefined): Promise<Place> {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'kill-')));
    const base = join(folder, 'base');
    const keys = await makeUsers(base, [...USERS, 'eve']);
    const place = new Place(story, root, folder, keys);
    await story.before?.(place.#before, place.#spare);
    return place;
  }

  private constructor(story: Story, root: string | undefined, folder: string, keys: Map<string, string>) {
    this.#story = story;
    this.#root = root;
    this.#folder = folder;
    this.base = join(folder, 'base');
    this.#spare = join(folder, 'spare');
    this.#before = join(folder, 'before');
    this.#keys = keys;
    this.#control = new Control(join(folder, 'control'));
  }

  async remove(): Promise<void> {
    // one that still runs when something was found
    await this.#server?.kill();
    this.#control.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Puts a user's folder back to what it was before the story. */
  prepare(name: string): void {
    rmSync(join(this.base, name), { recursive: true, force: true });
    if (existsSync(this.#before)) replaceFolder(this.#before, join(this.base, name));
  }

  /** The story without a crash, written down; then done again from the record, with a look at the folder before each operation. */
  async reference(): Promise<Reference> {
    const log = join(this.#folder, 'log');
    this.prepare('ada');
    const states = [this.#state('ada')];
    let server = await this.#serve(log);
    const scene = this.#scene(server, 'ada');
    const replay = new Replay(this.base, join(this.#folder, 'replayed'));
    const from = statSync(log).size;
    this.#control.count();
    const steps = this.#story.steps(scene, this.#spare);
    // of the answer to each step, in the log
    const answers: number[] = [];
    for (const { run } of steps) {
      await run();
      states.push(this.#state('ada'));
      const records = readOperations(log, from);
      const answer = records.findLastIndex(({ kind }) => kind === 'answer');
      answers.push(answer > (answers.at(-1) ?? -1) ? answer : records.length);
    }
    // a copy that was sent is removed when its last byte is
    for (let look = 0; look < 800 && filesBelow(join(this.base, '.anki-sync', 'staging')).size > 0; look++) await sleep(25);
    // the server goes on writing by its clock, for instance when devices were last seen
    let expected: Map<string, string>;
    let seen: number;
    do {
      seen = readOperations(log, from).length;
      expected = filesBelow(this.base);
    } while (readOperations(log, from).length > seen);
    this.#control.off();
    const records = readOperations(log, from).slice(0, seen);
    const operations: Operation[] = [];
    const answered: number[] = [];
    for (const [index, record] of records.entries()) {
      if (record.number === 0) continue;
      operations.push(record);
      answered.push(answers.filter((answer) => answer < index).length);
    }
    await this.#lookAtEach(operations, answered, steps, states, replay);
    const found = filesBelow(replay.folder);
    // the looks themselves lock the folder
    for (const files of [expected, found]) for (const path of files.keys()) if (/-shm$|^\.anki-sync\/(lock\.db|server\.json|control)/.test(path)) files.delete(path);
    assert.deepEqual(found, expected, 'the record does not lead to the same files');
    if (server.child.exitCode !== null) server = await this.#serve();
    await this.#story.again(this.#scene(server, 'ada'), this.#spare);
    const last = this.#state('ada', true);
    await server.stop();
    return { operations, answered, states, last };
  }

  async #lookAtEach(operations: Operation[], answered: number[], steps: Step[], states: State[], replay: Replay): Promise<void> {
    for (const [index, operation] of operations.entries()) {
      const within = operation.kind === 'write' && index % 2 === 1;
      const at = described({ number: operation.number, within }, operations, this.base);
      if (within) replay.apply(operation, true);
      await this.#look(replay.folder, 'ada', answered[index]!, steps, at, states);
      await this.#check(replay.folder, at);
      replay.apply(operation);
    }
  }

  /** Lets the last point's user go on, then ends the server at the next point, and looks. */
  async play(round: { name: string; point: Point | undefined; at: string; last: { name: string; at: string } | undefined; reference: Reference }): Promise<{ name: string; at: string }> {
    const { name, point, at, last, reference } = round;
    const server = await this.#serve();
    try {
      if (last !== undefined) await this.#goOn(server, last, reference);
      if (point === undefined) {
        const { code, output } = await server.stop();
        assert.equal(code, 0, output);
        await this.#check(this.base, `after ${last?.at}`);
        return { name, at };
      }
      this.#control.kill(point.number, point.within);
      const steps = this.#story.steps(this.#scene(server, name), this.#spare);
      const answered = await this.#stepsUntilEnd(server, steps, at);
      await this.#look(this.base, name, answered, steps, at, reference.states);
      const notes = await this.#check(this.base, at);
      if (last !== undefined) assert.deepEqual(notes.filter((note) => note.startsWith(`${last.name}: left over`)), [], `left over after ${last.at}`);
      return { name, at };
    } finally {
      this.#control.off();
      if (server.child.exitCode === null && server.child.signalCode === null) await server.kill();
    }
  }

  /** The same client again: its sync goes through, and ends as it always does. */
  async #goOn(server: WatchedServer, { name, at }: { name: string; at: string }, { last }: Reference): Promise<void> {
    if (this.#story.replaces === true) {
      await server.client(this.#keys.get(name)!).post('meta', { v: 11, cv: 'test' });
      this.#expectNoLinkedSnapshot(name, at);
    }
    try {
      await this.#story.again(this.#scene(server, name), this.#spare);
    } catch (error) {
      throw new assert.AssertionError({ message: `the client could not go on after the server ended ${at}: ${(error as Error).message}\n${server.output()}` });
    }
    const found = this.#state(name, true);
    assert.ok(isSame(found, last), `another end than usual after the server ended ${at}: ${differing(found, last).join(', ')} differ`);
    const staged = (): string[] => [
      ...filesBelow(join(this.base, '.anki-sync', 'staging')).keys(),
      ...filesBelow(join(this.base, name, '.anki-sync-media', 'incoming')).keys(),
    ];
    // a copy that was sent is removed when its last byte is
    for (let look = 0; look < 800 && staged().length > 0; look++) await sleep(25);
    assert.deepEqual(staged(), [], `left over after the server ended ${at}`);
  }

  async #stepsUntilEnd(server: WatchedServer, steps: Step[], at: string): Promise<number> {
    let answered = 0;
    for (const { name, run } of steps) {
      try {
        await run();
        answered += 1;
      } catch (error) {
        const ended = await Promise.race([server.ended, sleep(3000, undefined, { ref: false })]);
        if (ended?.signal === 'SIGKILL') return answered;
        throw new assert.AssertionError({ message: `${name} failed though the server still ran, ${at}: ${(error as Error).message}\n${server.output()}` });
      }
    }
    // fewer operations than in the reference: nothing to end at, and all is done
    if (server.child.exitCode === null && server.child.signalCode === null) await server.kill();
    return answered;
  }

  /** `anki-sync check` finds nothing; answers what else it has to say. */
  async #check(base: string, at: string): Promise<string[]> {
    const { problems, notes } = await findings(base);
    const told = this.#story.unindexed === true ? problems.filter((problem) => !problem.includes('index media.db is missing')) : problems;
    assert.deepEqual(told, [], at);
    return notes;
  }

  async #look(base: string, name: string, answered: number, steps: Step[], at: string, states: State[]): Promise<void> {
    const told = answered === 0 ? 'nothing was answered' : `${steps[answered - 1]!.name} was answered`;
    let state: State;
    try {
      state = this.#state(name, false, base);
    } catch (error) {
      throw new assert.AssertionError({ message: `damaged when the server ended ${at} (${told}): ${(error as Error).message}` });
    }
    const allowed = states.slice(answered, answered + 2);
    if (!allowed.some((each) => isSame(each, state))) {
      const differences = allowed.map((each) => differing(each, state).join(', ')).join(' | ');
      assert.fail(`neither before nor after when the server ended ${at} (${told}): ${differences} differ`);
    }
    if (this.#story.replaces === true && !isSame(state, states[0]!)) {
      const kept = this.#snapshots(name, base).map((path) => fileState(path, join(this.#folder, 'look')));
      const collection = Object.fromEntries(Object.entries(states[0]!).filter(([key]) => !key.startsWith('media')));
      assert.ok(kept.some((each) => isSame(each, collection)), `what was replaced is lost when the server ended ${at}`);
    }
  }

  /** One that is the collection in use itself would change with it. */
  #expectNoLinkedSnapshot(name: string, at: string): void {
    const live = statSync(join(this.base, name, 'collection.anki2'), { throwIfNoEntry: false })?.ino;
    for (const path of this.#snapshots(name)) assert.notEqual(statSync(path).ino, live, `a snapshot is the collection in use, after the server ended ${at}`);
  }

  #snapshots(name: string, base = this.base): string[] {
    const folder = join(base, name, '.snapshots');
    return existsSync(folder) ? readdirSync(folder).map((file) => join(folder, file)) : [];
  }

  #state(name: string, loose = false, base = this.base): State {
    const home = join(base, name);
    const scratch = join(this.#folder, 'look');
    if (!existsSync(home)) mkdirSync(home);
    const { timeless = false, unindexed = false } = this.#story;
    return stateOf(home, scratch, { loose, timeless, unindexed });
  }

  #scene(server: WatchedServer, name: string): Scene {
    return { server, client: server.client(this.#keys.get(name)!), name, home: join(this.base, name) };
  }

  async #serve(log?: string): Promise<WatchedServer> {
    this.#control.off();
    const server = await watchedServer(this.base, { control: this.#control, ...(log === undefined ? {} : { log }), ...(this.#root === undefined ? {} : { root: this.#root }) });
    if (server === undefined) throw new Error('the server did not start');
    this.#server = server;
    return server;
  }
}
