/** Sends the requests of a seed over several connections, judges each answer, and looks at what the server holds in between. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkDataFolder } from '../../lib/check/data-folder.ts';
import type { LogEntry } from '../../lib/options.ts';
import { writeCollection } from '../engine/collections.ts';
import { newRows } from './bodies.ts';
import { BLOCK_SIZE, build, caseAt, caseText, isOutside, stateOfBlock, type FuzzCase } from './cases.ts';
import { METHODS, type Envelope, type Method } from './draft.ts';
import { Random } from './random.ts';
import { judge } from './rules.ts';
import { bring, STATES, type State } from './states.ts';
import { PASSWORD_MARK, SYNC_IDLE_MILLIS, Target, type Held } from './target.ts';
import { FuzzUser, NotAccepted } from './user.ts';
import { Connection, Unanswered, type WireAnswer } from './wire.ts';

export interface FuzzOptions {
  seed: number;
  /** Rounded up to whole blocks. */
  requests: number;
  /** Only these of them, by their numbers. */
  only?: readonly number[];
  /** Sources of the server, if not those beside this file. */
  root?: string;
  lanes?: number;
  /** Ends the run after so many failures. Default 5. */
  maxFailures?: number;
  /** How much what the server holds may grow after the first quarter. */
  growth?: Partial<Held>;
  /** Called each time some thousand requests were sent, while others go on: a real client syncs. */
  meanwhile?: (target: Target) => Promise<void>;
  meanwhileEvery?: number;
  progress?: (sent: number) => void;
  /** In place of the mutations of a case: to find those that matter. */
  reduce?: (one: FuzzCase) => FuzzCase;
}

export interface Failure {
  /** Seed and number of the request, if it is one request's. */
  at?: { seed: number; index: number };
  text: string;
  /** Its first bytes. */
  wire?: string;
}

export interface FuzzReport {
  seed: number;
  /** Requests of the table; `setup` are those in between, all valid. */
  sent: number;
  setup: number;
  /** With a valid key, to the method they are meant for. */
  inside: number;
  /** `inside`, by method, state and envelope. */
  cells: Map<string, number>;
  statuses: Map<number, number>;
  failures: Failure[];
  /** Collections that were replaced because what had been accepted left them unfit for a sync. */
  resets: number;
  held: { quarter: Held; end: Held } | undefined;
  millis: number;
}

/** Measured in runs of 20,000: nothing, nothing, 100 MiB and 11. What leaks at each request comes to many times that. */
const GROWTH: Held = { heapBytes: 12 * 2 ** 20, outsideBytes: 24 * 2 ** 20, residentBytes: 160 * 2 ** 20, handles: 40 };
const ALL_CODES_OF_DEFECTS = ['INTERNAL', 'THREAD_LOST', 'COLLECTION_DAMAGED', 'BODY_ALREADY_READ'];
const BLOCKS_PER_COLLECTION = 12;

export function cellOf(method: Method, state: State, envelope: Envelope): string {
  return `${method} | ${state} | ${envelope}`;
}

export function emptyCells(report: FuzzReport): string[] {
  const all = METHODS.flatMap((method) => STATES.flatMap((state) => (['header', 'form'] as const).map((envelope) => cellOf(method, state, envelope))));
  return all.filter((cell) => !report.cells.has(cell));
}

export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const folder = mkdtempSync(join(fastFolder(), 'anki-sync-fuzz-'));
  try {
    return await new Fuzzer(options, folder).run();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** In memory where there is enough of it: otherwise most of the time goes by waiting for a disk. */
function fastFolder(): string {
  const memory = '/dev/shm';
  if (!existsSync(memory)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  return bavail * bsize > 4 * 2 ** 30 ? memory : tmpdir();
}

class Fuzzer {
  readonly #options: FuzzOptions;
  readonly #folder: string;
  readonly #report: FuzzReport;
  readonly #collection: Buffer;
  readonly #keys: string[] = [];
  #target!: Target;
  #users: FuzzUser[] = [];
  #nextMeanwhile: number;
  /** The request that was sent last, of whatever lane. */
  #wire: { index: number; bytes: Buffer } | undefined;
  #meanwhile: Promise<void> = Promise.resolve();

  constructor(options: FuzzOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
    const path = join(folder, 'made.anki2');
    writeCollection(path, 40_000);
    this.#collection = readFileSync(path);
    this.#nextMeanwhile = options.meanwhileEvery ?? 4000;
    this.#report = {
      seed: options.seed, sent: 0, setup: 0, inside: 0, cells: new Map(), statuses: new Map(), failures: [], resets: 0, held: undefined, millis: 0,
    };
  }

  async run(): Promise<FuzzReport> {
    const { root, requests, only } = this.#options;
    const report = this.#report;
    const startedMillis = performance.now();
    const base = join(this.#folder, 'data', 'base');
    mkdirSync(base, { recursive: true });
    this.#target = await Target.start({ base, ...(root === undefined ? {} : { root }), log: (entry) => this.#readLog(entry) });
    try {
      await this.#openUsers();
      if (only !== undefined) {
        await this.#lane(0, blocksOf(only));
      } else {
        const blocks = Math.ceil(requests / BLOCK_SIZE);
        const quarter = Math.ceil(blocks / 4);
        await this.#lanes(0, quarter);
        const held = await this.#held();
        await this.#lanes(quarter, blocks);
        report.held = { quarter: held, end: await this.#held() };
        this.#compareHeld(report.held.quarter, report.held.end);
      }
      await this.#options.meanwhile?.(this.#target);
    } catch (error) {
      this.#fail(this.#target.ended ?? String((error as Error).stack ?? error));
    } finally {
      for (const user of this.#users) {
        user.connection.close();
        report.setup += user.requests;
      }
      await this.#target.flush().catch(() => {});
      await this.#target.stop();
    }
    const { ended } = this.#target;
    if (ended !== undefined && !/ended with 0\b/.test(ended)) this.#fail(ended);
    else await this.#checkData(base);
    report.millis = performance.now() - startedMillis;
    return report;
  }

  async #openUsers(): Promise<void> {
    const lanes = this.#options.lanes ?? 4;
    for (let i = 0; i < lanes; i++) {
      // the second one's keys get mixed up with the first one's
      for (const name of [`ada${i}`, `bob${i}`]) this.#users.push(await this.#user(name));
    }
  }

  async #user(name: string): Promise<FuzzUser> {
    const user = new FuzzUser(this.#target, name, this.#collection, join(this.#folder, 'scratch'));
    await user.reset();
    this.#keys.push(user.key);
    return user;
  }

  async #lanes(from: number, to: number): Promise<void> {
    let next = from;
    const blocks = (): number | undefined => (next < to ? next++ : undefined);
    const lanes = this.#options.lanes ?? 4;
    await Promise.all(Array.from({ length: lanes }, (_, i) => this.#lane(i, blocks)));
    await this.#meanwhile;
  }

  async #lane(lane: number, nextBlock: () => number | undefined): Promise<void> {
    const [user, bystander] = [this.#users[2 * lane]!, this.#users[2 * lane + 1]!];
    let done = 0;
    for (let block = nextBlock(); block !== undefined; block = nextBlock()) {
      if (this.#isOver()) return;
      if (++done % BLOCKS_PER_COLLECTION === 0) await this.#resetUser(user);
      const state = stateOfBlock(this.#options.seed, block);
      const whose = state === 'user removed' ? await this.#user(`gone${block}`) : user;
      try {
        await this.#block(block, whose, bystander);
      } finally {
        if (whose !== user) {
          whose.connection.close();
          this.#report.setup += whose.requests;
        }
      }
    }
  }

  async #block(block: number, user: FuzzUser, bystander: FuzzUser): Promise<void> {
    const { seed, only, reduce, progress, meanwhile } = this.#options;
    for (let index = block * BLOCK_SIZE; index < (block + 1) * BLOCK_SIZE; index++) {
      if (only !== undefined && !only.includes(index)) continue;
      if (this.#isOver()) return;
      const found = caseAt(seed, index);
      const one = reduce?.(found) ?? found;
      try {
        await this.#case(one, user, bystander);
      } catch (error) {
        this.#fail(messageOf(error), one);
        user.connection.close();
        if (one.state !== 'user removed') user.state = undefined;
      }
      this.#report.sent++;
      if (this.#report.sent % 1000 === 0) progress?.(this.#report.sent);
      if (meanwhile !== undefined && this.#report.sent >= this.#nextMeanwhile) {
        this.#nextMeanwhile += this.#options.meanwhileEvery ?? 4000;
        this.#meanwhile = this.#meanwhile.then(() => meanwhile(this.#target)).catch((error: unknown) => this.#fail(`a real client: ${String(error)}`));
      }
    }
  }

  async #case(one: FuzzCase, user: FuzzUser, bystander: FuzzUser): Promise<void> {
    if (user.state !== one.state) await this.#bring(user, one);
    const foreign = { key: bystander.key, sessionKey: bystander.sessionKey };
    const { name, key, sessionKey, usn, objects, collection, counts } = user;
    const request = build(one, { name, key, sessionKey, usn, objects, collection, counts, foreign });
    const before = {
      running: user.running ?? null, sessionKey, removed: one.state === 'user removed', copies: request.copies,
      malformed: request.malformed === true, headOnly: request.method === 'HEAD',
    };
    this.#wire = { index: one.index, bytes: request.bytes };
    const idleSinceMillis = user.sentMillis;
    user.sentMillis = performance.now();
    const answers = request.copies === 1 ? [await user.connection.send(request)] : await this.#atOnce(request, user);
    let running: string | null | undefined = before.running;
    let accepted = false;
    for (const answer of answers) {
      if (answer === null) continue;
      this.#count(one, answer, before.removed);
      const verdict = judge(one, answer, before, this.#keys);
      for (const fault of verdict.faults) this.#fail(fault, one);
      running = verdict.running;
      accepted ||= verdict.accepted;
      if (verdict.committed) user.atRest.committed();
      if (verdict.committed) user.counts = undefined;
    }
    if (before.removed) return;
    await this.#probe(one, user, running, performance.now() - idleSinceMillis);
    const changed = await user.atRest.look();
    if (changed !== null) this.#fail(`what is kept has changed: ${changed}`, one);
    if (accepted && running !== null && running === sessionKey && new Random(one.seed, one.index, 6).chance(25)) await this.#goOn(one, user);
    const harmless = ['hostKey', 'begin', 'mediaChanges', 'downloadFiles', 'mediaSanity'].includes(one.method) && request.copies === 1;
    if (running === undefined || running !== before.running || (accepted && !harmless)) user.state = undefined;
  }

  async #bring(user: FuzzUser, one: FuzzCase): Promise<void> {
    const random = (): Random => new Random(one.seed, one.index, 5);
    if (user.state === undefined && user.running !== null) user.running = undefined;
    user.state = undefined;
    for (let attempt = 0; ; attempt++) {
      try {
        // what was accepted may have raised it
        if (user.counts === undefined) await user.refresh();
        await bring(user, one.state, random());
        user.state = one.state;
        return;
      } catch (error) {
        if (attempt > 0 || error instanceof Unanswered || (error instanceof NotAccepted && error.status >= 500)) {
          throw new Error(`on the way to its state: ${messageOf(error)}`);
        }
        // a slow machine lets a sync expire within its setup; and clients may send what nobody can sync with any more
        this.#report.resets++;
        await user.reset();
      }
    }
  }

  async #resetUser(user: FuzzUser): Promise<void> {
    await user.reset().catch((error: unknown) => this.#fail(`a valid upload: ${messageOf(error)}`));
  }

  /** Whether the sync that should run does so, and the one that should not does not. */
  async #probe(one: FuzzCase, user: FuzzUser, running: string | null | undefined, idleMillis: number): Promise<void> {
    const before = user.running;
    user.running = running;
    if (running === undefined) return;
    const sentMillis = performance.now();
    const asked = running ?? before ?? user.sessionKey;
    const { status, text } = await user.ask('applyGraves', { chunk: { cards: [], notes: [], decks: [] } }, asked);
    const tookMillis = performance.now() - sentMillis;
    const expected = running === null ? 409 : 200;
    if (status === expected) return;
    user.state = undefined;
    user.running = undefined;
    const mayHaveExpired = running !== null && Math.max(idleMillis, tookMillis) > SYNC_IDLE_MILLIS * 0.6;
    if (status === 409 && mayHaveExpired) return;
    this.#fail(`after it, a step of the sync that ${running === null ? 'should have ended' : 'should go on'} is answered ${status} ${text.slice(0, 80)}`, one);
  }

  /** The rest of a sync in which something odd was accepted: nothing of it may be a failure of the server. */
  async #goOn(one: FuzzCase, user: FuzzUser): Promise<void> {
    const rest: [Method, unknown][] = [['chunk', {}], ['applyChunk', { chunk: { done: true, ...newRows(user, new Random(1)) } }], ['finish', {}], ['meta', { v: 11, cv: 'fuzz' }],
      ['start', { minUsn: 0, lnewer: false, graves: null }], ['applyChanges', { changes: { models: [], decks: [[], []], tags: [] } }], ['chunk', {}], ['abort', {}]];
    for (const [method, value] of rest) {
      const { status, text } = await user.ask(method, value);
      if (status >= 500) this.#fail(`after it, ${method} is answered ${status} ${text}`, one);
    }
    user.atRest.committed();
    user.running = null;
    user.state = undefined;
    user.counts = undefined;
  }

  async #atOnce(request: Parameters<Connection['send']>[0], user: FuzzUser): Promise<(WireAnswer | null)[]> {
    const connections = Array.from({ length: 12 }, () => new Connection(user.target.port));
    try {
      return await Promise.all(connections.map((connection) => connection.send(request)));
    } finally {
      for (const connection of connections) connection.close();
      // what was refused as too much at once must be taken again soon
      for (let attempt = 0; attempt < 50 && (await user.ask('mediaSanity', { local: 0 })).status === 503; attempt++) await sleep(100);
    }
  }

  #count(one: FuzzCase, { status }: WireAnswer, removed: boolean): void {
    const { cells, statuses } = this.#report;
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (isOutside(one) || (status === 403 && !removed && one.method !== 'hostKey')) return;
    this.#report.inside++;
    const cell = cellOf(one.method, one.state, one.envelope);
    cells.set(cell, (cells.get(cell) ?? 0) + 1);
  }

  #readLog(entry: LogEntry): void {
    const text = JSON.stringify(entry);
    if (text.includes(PASSWORD_MARK)) this.#fail(`the log has the password: ${text}`);
    if (this.#keys.some((key) => text.includes(key.slice(19)))) this.#fail(`the log has a host key: ${text}`);
    if (!ALL_CODES_OF_DEFECTS.includes(entry.code ?? '')) return;
    const index = new RegExp(`fuzz ${this.#options.seed}:(\\d+)`).exec(entry.client ?? '')?.[1];
    this.#fail(`${entry.request}: ${entry.code} ${entry.detail ?? ''}`.slice(0, 1500), index === undefined ? undefined : caseAt(this.#options.seed, Number(index)));
  }

  async #held(): Promise<Held> {
    for (const user of this.#users) user.connection.close();
    return this.#target.held();
  }

  #compareHeld(quarter: Held, end: Held): void {
    const growth = { ...GROWTH, ...this.#options.growth };
    for (const what of ['heapBytes', 'outsideBytes', 'residentBytes', 'handles'] as const) {
      if (end[what] <= quarter[what] + growth[what]) continue;
      this.#fail(`${what} grew from ${quarter[what]} after a quarter of the requests to ${end[what]}, which is more than ${growth[what]}`);
    }
  }

  /** Of the data folder that is left: sound, and with nothing that belongs to nobody. */
  async #checkData(base: string): Promise<void> {
    const left = readdirSync(base, { recursive: true, encoding: 'utf8' }).filter((path) => /\.anki-sync\/staging\/.|\.anki-sync-media\/(incoming|staged)\/./.test(path));
    if (left.length > 0) this.#fail(`afterwards, there are left: ${left.slice(0, 20).join(', ')}`);
    const others = readdirSync(join(base, '..')).filter((name) => name !== 'base');
    if (others.length > 0) this.#fail(`outside of the data folder there are: ${others.join(', ')}`);
    await checkDataFolder({
      base, deep: true, only: [], began: () => {},
      found: ({ level, about, text }) => {
        if (level === 'note' && !/left over/.test(text)) return;
        if (/^gone/.test(about ?? '')) return;
        this.#fail(`afterwards, ${about ?? 'the data folder'}: ${level}: ${text}`);
      },
    });
  }

  #isOver(): boolean {
    return this.#report.failures.length >= (this.#options.maxFailures ?? 5) || this.#target.ended !== undefined;
  }

  #fail(words: string, one?: FuzzCase): void {
    const { failures } = this.#report;
    if (failures.length > 50) return;
    if (one === undefined) {
      failures.push({ text: words });
      return;
    }
    const wire = this.#wire?.index === one.index ? JSON.stringify(this.#wire.bytes.toString('latin1', 0, 1200)) : undefined;
    failures.push({ at: { seed: one.seed, index: one.index }, text: `${caseText(one)}: ${words}`, ...(wire === undefined ? {} : { wire }) });
  }
}

function blocksOf(indexes: readonly number[]): () => number | undefined {
  const blocks = [...new Set(indexes.map((index) => Math.floor(index / BLOCK_SIZE)))];
  return () => blocks.shift();
}

function messageOf(error: unknown): string {
  return error instanceof NotAccepted || error instanceof Unanswered ? error.message : String((error as Error).stack ?? error);
}
