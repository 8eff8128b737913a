/** One machine with ever more users, each of whom syncs once. */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { keptCollection } from '../collections.ts';
import type { ServerProcess } from '../server-process.ts';
import { User } from '../user.ts';
import type { Curve, Point } from './curve.ts';

const AT_ONCE = 8;

export async function usersCurve(server: ServerProcess, sizes: readonly number[], say: (text: string) => void): Promise<Curve> {
  const { file, facts } = await keptCollection('tiny', { notes: 100 }, say);
  const points: Point[] = [];
  for (const size of sizes) {
    say(`${size} users`);
    const users = Array.from({ length: size }, (_, i) => new User(`user${i}`, server.port));
    const folder = `users-${size}`;
    for (const user of users) {
      const home = join(server.scratch, folder, user.name);
      mkdirSync(home, { recursive: true });
      copyFileSync(file, join(home, 'collection.anki2'));
      user.knows(facts);
    }
    const startMillis = await server.start(folder, users);
    await inParallel(users, (user) => user.signIn());
    const cpu = server.cpuMillis();
    const begun = performance.now();
    await inParallel(users, async (user) => void (await user.daily()()));
    const millis = (performance.now() - begun) / size;
    await sleep(1000);
    points.push({
      size,
      costs: {
        'start, ms': startMillis,
        'ms a sync': millis,
        'CPU ms a sync': (server.cpuMillis() - cpu) / size,
        'memory, MiB': server.residentMiB(),
        'open files': server.openFiles(),
      },
    });
    await server.stop();
  }
  return { title: `Users, each synced once, ${AT_ONCE} at a time`, of: 'users', points };
}

async function inParallel(users: readonly User[], work: (user: User) => Promise<void>): Promise<void> {
  const left = users.values();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const user of left) await work(user);
  }));
}
