/** Normal syncs of one user with a middling collection: nothing new, an ordinary day, many notes both ways. */
import { percentile } from '../figures.ts';
import { inTurn, uploadTo, withServers, type Run } from '../run.ts';
import type { ServerProcess } from '../server-process.ts';

const MANY = 5_000;

export async function oneUser(run: Run): Promise<void> {
  await withServers(run, 'one-user', ['ada'], async (users) => {
    for (const [ada] of users.values()) await uploadTo(run, ada!, 'M');

    run.say('no-change sync');
    const each = run.quick ? 60 : 200;
    await inTurn(run, run.quick ? 3 : 5, async (server) => {
      const [ada] = users.get(server)!;
      const waits: number[] = [];
      const cpu = server.cpuMillis();
      for (let i = 0; i < each; i++) {
        const begun = performance.now();
        await ada!.nothingNew();
        waits.push(performance.now() - begun);
      }
      run.figures.add('no-change sync, p50', 'ms', server, percentile(waits, 50));
      run.figures.add('no-change sync, p99', 'ms', server, percentile(waits, 99));
      run.figures.add('no-change sync, CPU', 'ms', server, (server.cpuMillis() - cpu) / each);
    });

    run.say('20 reviews on M');
    await inTurn(run, run.quick ? 10 : 40, async (server, time) => {
      const millis = await users.get(server)![0]!.daily()();
      // the first ones still warm up
      if (time >= 2) run.figures.add('20 reviews on M', 'ms', server, millis);
    });

    run.say(`${MANY} notes and cards up and down`);
    await inTurn(run, run.quick ? 2 : 5, async (server) => {
      server.resetPeak();
      run.figures.add(`${MANY} notes and cards up`, 'ms', server, await users.get(server)![0]!.manyNew(MANY)());
      run.figures.add(`${MANY} notes and cards up: peak memory`, 'MiB', server, server.peakMiB());
    });
    const before = new Map<ServerProcess, number>();
    for (const [server, [ada]] of users) {
      before.set(server, ada!.usn);
      await ada!.manyChanged(MANY)();
    }
    await inTurn(run, run.quick ? 2 : 5, async (server) => {
      const [ada] = users.get(server)!;
      run.figures.add(`${MANY} notes down`, 'ms', server, await ada!.fetchSince(before.get(server)!, MANY)());
    });
  });
}
