/** What every row of the benchmark gets to work with. */
import type { CollectionSize, Collections } from './collections.ts';
import type { Figures } from './figures.ts';
import type { ServerProcess } from './server-process.ts';
import { User } from './user.ts';

export interface Run {
  readonly servers: readonly ServerProcess[];
  readonly collections: Collections;
  readonly figures: Figures;
  readonly quick: boolean;
  say(text: string): void;
}

/** Starts every server with these users, signed in, and stops them when `work` has ended. */
export async function withServers(
  run: Run,
  folder: string,
  names: readonly string[],
  work: (users: Map<ServerProcess, User[]>) => Promise<void>,
): Promise<void> {
  const users = new Map<ServerProcess, User[]>();
  try {
    for (const server of run.servers) {
      const mine = names.map((name) => new User(name, server.port));
      await server.start(folder, mine);
      for (const user of mine) await user.signIn();
      users.set(server, mine);
    }
    await work(users);
  } finally {
    for (const server of run.servers) await server.stop();
  }
}

/** Server by server, as often as said, the order turned each time (A B, B A …): noise of the machine meets both. */
export async function inTurn(run: Run, times: number, work: (server: ServerProcess, time: number) => Promise<void>): Promise<void> {
  for (let time = 0; time < times; time++) {
    for (const server of time % 2 === 0 ? run.servers : run.servers.toReversed()) await work(server, time);
  }
}

export async function uploadTo(run: Run, user: User, size: CollectionSize): Promise<void> {
  const { packed, facts } = run.collections[size];
  await user.upload(packed, facts);
}
