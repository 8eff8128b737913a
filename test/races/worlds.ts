/**
 * Moves of several clients in every order, held against a model. What is under way at the same time may have taken effect in
 * any order, so the model is not one state but all that fit what was answered so far: the possible worlds. A server is right
 * as long as there is one.
 */
import assert from 'node:assert/strict';

export interface Move<World> {
  /** For the trace of a failure. */
  name: string;
  run(): Promise<Answer>;
  /** The world after this move, or null where it cannot have been answered so in this world. */
  apply(world: World, answer: Answer): World | null;
}

export interface Answer {
  status: number;
  /** Unpacked. */
  body: Buffer;
  /** What the server calls it, for the trace. */
  text(): string;
}

/** What one client does, move by move; each gets its answer back. */
export type Client<World> = Generator<Move<World>, void, Answer>;

/** The same numbers for the same seed (mulberry32), from 0 up to but not including `below`. */
export type Dice = (below: number) => number;

export function diceOf(seed: number): Dice {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

export class Play<World> {
  worlds: World[];
  readonly trace: string[] = [];
  /** How many moves were made while another one was under way. */
  together = 0;
  #keyOf: (world: World) => string;

  constructor(world: World, keyOf: (world: World) => string) {
    this.worlds = [world];
    this.#keyOf = keyOf;
  }

  /** Lets the clients go on until all are done: one at a time mostly, sometimes two or three at once. */
  async play(clients: readonly Client<World>[], dice: Dice): Promise<void> {
    const next = new Map(clients.map((client) => [client, client.next()]));
    for (;;) {
      const ready = [...next].filter(([, { done }]) => done !== true).map(([client]) => client);
      if (ready.length === 0) return;
      const count = dice(3) === 0 ? Math.min(ready.length, 2 + dice(2)) : 1;
      const chosen = shuffled(ready, dice).slice(0, count);
      const answers = await this.#make(chosen.map((client) => (next.get(client) as IteratorYieldResult<Move<World>>).value));
      chosen.forEach((client, index) => next.set(client, client.next(answers[index]!)));
    }
  }

  async #make(moves: Move<World>[]): Promise<Answer[]> {
    const answers = await Promise.all(moves.map((move) => move.run()));
    if (moves.length > 1) this.together += moves.length;
    this.trace.push(moves.map((move, index) => `${move.name} → ${answers[index]!.status} ${answers[index]!.text().slice(0, 60)}`).join('  ||  '));
    const after = new Map<string, World>();
    for (const world of this.worlds) {
      for (const order of ordersOf(moves.length)) {
        let each: World | null = world;
        for (const index of order) each = each && moves[index]!.apply(each, answers[index]!);
        if (each !== null) after.set(this.#keyOf(each), each);
      }
    }
    assert.ok(after.size > 0, `in no order could it be answered so:\n${this.trace.join('\n')}\nfrom ${this.worlds.map(this.#keyOf).join(' or ')}`);
    this.worlds = [...after.values()];
    return answers;
  }
}

export function shuffled<T>(list: readonly T[], dice: Dice): T[] {
  const left = [...list];
  return Array.from(list, () => left.splice(dice(left.length), 1)[0]!);
}

function ordersOf(count: number): number[][] {
  if (count === 0) return [[]];
  return ordersOf(count - 1).flatMap((order) => Array.from({ length: count }, (_, at) => order.toSpliced(at, 0, count - 1)));
}
