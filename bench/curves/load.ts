/** Ever more syncs at once, of users who have a collection of ordinary size. */
import { keptCollection } from '../collections.ts';
import { percentile } from '../figures.ts';
import type { ServerProcess } from '../server-process.ts';
import { User } from '../user.ts';
import { closedLoop } from '../rows/many-users.ts';
import type { Curve, Point } from './curve.ts';

const MILLIS = 4000;

export async function loadCurve(server: ServerProcess, sizes: readonly number[], say: (text: string) => void): Promise<Curve> {
  const { packed, facts } = await keptCollection('T', { notes: 2_000 }, say);
  const users = Array.from({ length: Math.max(...sizes) }, (_, i) => new User(`user${i}`, server.port));
  const points: Point[] = [];
  await server.start('load', users);
  for (const user of users) {
    await user.signIn();
    await user.upload(packed, facts);
  }
  for (const size of sizes) {
    say(`${size} syncs at once`);
    await closedLoop(users, size, { millis: 500 });
    server.resetPeak();
    const cpu = server.cpuMillis();
    const begun = performance.now();
    const waits = await closedLoop(users, size, { millis: MILLIS });
    const millis = performance.now() - begun;
    points.push({
      size,
      costs: {
        'syncs a second': (waits.length * 1000) / millis,
        'CPU ms a sync': (server.cpuMillis() - cpu) / waits.length,
        'p50, ms': percentile(waits, 50),
        'p99, ms': percentile(waits, 99),
        'peak memory, MiB': server.peakMiB(),
        'open files': server.openFiles(),
      },
    });
  }
  await server.stop();
  return { title: 'Syncs at once', of: 'at once', points };
}
