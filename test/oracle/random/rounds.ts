/** Plays plans against the official server and against ours, and compares what comes out. */
import { constants } from 'node:fs';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AnkiDevices } from '../../client/devices.ts';
import { official, standaloneAt } from '../../client/mounts.ts';
import type { Mount, MountedServer } from '../../client/mounts.ts';
import { ANKI_VERSION } from '../anki-python.ts';
import { makePlan } from './plan.ts';
import type { Plan, Step } from './plan.ts';

const PLAYER = fileURLToPath(new URL('player.py', import.meta.url));
/** Each round has a user of its own; a server is started again with new ones when all are used. */
const USERS = 20;
/** Nothing here has to survive anything: where there is memory to be had as a folder, no disk is waited for. */
const MEMORY_FOLDER = '/dev/shm';

export interface Played {
  /** Tables in which the devices still differ from each other in the end, on the official server. */
  unalike: number;
  /** What each step ended with. */
  outcomes: (string | null)[];
}

export interface RoundResult {
  seed: number;
  plan: Plan;
  /** Empty if all is equal. Each sentence has the official side first. */
  differences: string[];
  official: Played;
}

export class Oracle {
  readonly #folder: string;
  readonly #players: AnkiDevices;
  readonly #official: Users;
  #ours: Users;
  readonly #kept = new Map<string, Played>();
  #rounds = 0;

  private constructor(folder: string, players: AnkiDevices, root?: string) {
    this.#folder = folder;
    this.#players = players;
    this.#official = new Users(official, folder);
    this.#ours = new Users(standaloneAt(root), folder);
  }

  /** `root` of the project whose server is tried; default this one. */
  static async start(root?: string): Promise<Oracle> {
    const usable = await access(MEMORY_FOLDER, constants.W_OK).then(() => true, () => false);
    const folder = await mkdtemp(join(usable ? MEMORY_FOLDER : tmpdir(), 'anki-oracle-'));
    return new Oracle(folder, await AnkiDevices.start({ version: ANKI_VERSION, program: [PLAYER], env: {} }), root);
  }

  /** From now on, `ours` is the server of another copy of the project; rounds of the official server are kept. */
  async changeOurs(root?: string): Promise<void> {
    await this.#ours.stop();
    this.#ours = new Users(standaloneAt(root), this.#folder);
  }

  round(seed: number, options: { keep?: boolean } = {}): Promise<RoundResult> {
    return this.play(makePlan(seed), options);
  }

  /** `keep`: the official side is remembered for the next time this seed is played. */
  async play(plan: Plan, options: { keep?: boolean } = {}): Promise<RoundResult> {
    const left = `official ${plan.seed}${options.keep === true ? '' : ` ${this.#rounds}`}`;
    const right = `ours ${this.#rounds}`;
    let played = this.#kept.get(left);
    if (played === undefined) {
      played = await this.#side(this.#official, plan, left);
      if (options.keep === true) this.#kept.set(left, played);
    }
    await this.#side(this.#ours, plan, right);
    const differences = (await this.#players.do('', 'compare', { left, right })) as string[];
    await this.#players.do('', 'forget', { names: options.keep === true ? [right] : [left, right] });
    return { seed: plan.seed, plan, differences, official: played };
  }

  async #side(users: Users, plan: Plan, keep: string): Promise<Played> {
    const { server, user, password } = await users.next();
    const folder = join(this.#folder, `round-${++this.#rounds}`);
    return (await this.#players.do('', 'play', {
      folder,
      endpoint: server.endpoint,
      user,
      password,
      plan,
      collection: server.collectionFile(user),
      media: server.mediaIndexFile(user),
      keep,
    })) as Played;
  }

  /** Takes steps out of a plan as long as it still ends in a difference. */
  async shrink(plan: Plan, onProgress?: (steps: number) => void): Promise<RoundResult> {
    let best = await this.play(plan);
    if (best.differences.length === 0) return best;
    for (let size = Math.max(1, Math.floor(best.plan.steps.length / 4)); size >= 1; size = Math.floor(size / 2)) {
      for (let from = best.plan.steps.length - size; from >= 0; from -= size) {
        const gone = (_value: unknown, i: number): boolean => i < from || i >= from + size;
        const shorter: Plan = { ...best.plan, steps: best.plan.steps.filter(gone), numbers: best.plan.numbers.filter(gone) };
        const result = await this.play(shorter);
        if (result.differences.length > 0) best = result;
        onProgress?.(best.plan.steps.length);
      }
    }
    return best;
  }

  async stop(): Promise<void> {
    await this.#players.end();
    await Promise.all([this.#official.stop(), this.#ours.stop()]);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

export function stepText(step: Step): string {
  return `${step.device} ${step.do} ${step.secs === undefined ? '' : `@${step.secs} `}${JSON.stringify(step.args ?? {})}`;
}

/** A server with users that nobody has used yet. */
class Users {
  readonly #mount: Mount;
  #server: MountedServer | undefined;
  readonly #folder: string;
  #used = 0;

  constructor(mount: Mount, folder: string) {
    this.#mount = mount;
    this.#folder = folder;
  }

  async next(): Promise<{ server: MountedServer; user: string; password: string }> {
    if (this.#server === undefined || this.#used === USERS) {
      await this.stop();
      this.#used = 0;
      this.#server = await this.#mount.start({ within: this.#folder, users: Object.fromEntries(Array.from({ length: USERS }, (_value, i) => [`u${i + 1}`, `p${i + 1}`])) });
    }
    this.#used++;
    return { server: this.#server, user: `u${this.#used}`, password: `p${this.#used}` };
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
    this.#server = undefined;
  }
}
