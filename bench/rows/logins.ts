/** Logins by password, and what a no-change sync waits meanwhile. */
import { percentile } from '../figures.ts';
import { inTurn, uploadTo, withServers, type Run } from '../run.ts';
import type { User } from '../user.ts';

const AT_ONCE = 4;

export async function logins(run: Run): Promise<void> {
  await withServers(run, 'logins', ['ada', ...Array.from({ length: AT_ONCE }, (_, i) => `other${i}`)], async (users) => {
    run.say('logins, and no-change syncs meanwhile');
    for (const [ada] of users.values()) await uploadTo(run, ada!, 'S');
    await inTurn(run, run.quick ? 2 : 5, async (server) => {
      const [ada, ...others] = users.get(server)! as [User, ...User[]];
      const endsAt = performance.now() + (run.quick ? 1500 : 3000);
      let done = 0;
      const waits: number[] = [];
      const begun = performance.now();
      await Promise.all([
        ...others.map(async (other) => {
          for (; performance.now() < endsAt; done++) await other.signIn();
        }),
        (async () => {
          while (performance.now() < endsAt) {
            const asked = performance.now();
            await ada.nothingNew();
            waits.push(performance.now() - asked);
          }
        })(),
      ]);
      run.figures.add(`logins, ${AT_ONCE} at a time`, 'per second', server, (done * 1000) / (performance.now() - begun));
      run.figures.add(`no-change sync while ${AT_ONCE} log in, p95`, 'ms', server, percentile(waits, 95));
    });
  });
}
