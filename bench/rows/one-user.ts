/** Normal syncs of one user with a middling collection: nothing new, an ordinary day, many notes both ways. */
import { percentile } from '../figures.ts';
import { inTurn, uploadTo, withServers, type Run } from '../run.ts';
import type { ServerProcess } from '../server-process.ts';
import type { User } from '../user.ts';

const MANY = 5_000;

export async function oneUser(run: Run): Promise<void> {
  await withServers(run, 'one-user', ['ada'], async (users) => {
    for (const [ada] of users.values()) await uploadTo(run, ada!, 'M');

    run.say('no-change sync, and 20 reviews');
    await nothingNew(run, users, '');
    await inTurn(run, run.quick ? 10 : 40, async (server, time) => {
      const millis = await users.get(server)![0]!.daily()();
      // the very first ones open files
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

    run.say('the same after some thousands of requests');
    const warmUps = run.quick ? 50 : 500;
    for (const [ada] of users.values()) {
      for (let i = 0; i < warmUps; i++) await ada!.daily()();
      for (let i = 0; i < warmUps * 4; i++) await ada!.nothingNew();
    }
    await nothingNew(run, users, ', at work');
    await inTurn(run, run.quick ? 10 : 40, async (server) => {
      run.figures.add('20 reviews on M, at work', 'ms', server, await users.get(server)![0]!.daily()());
    });
  });
}

async function nothingNew(run: Run, users: Map<ServerProcess, User[]>, suffix: string): Promise<void> {
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
    run.figures.add(`no-change sync${suffix}, p50`, 'ms', server, percentile(waits, 50));
    run.figures.add(`no-change sync${suffix}, p99`, 'ms', server, percentile(waits, 99));
    run.figures.add(`no-change sync${suffix}, CPU`, 'ms', server, (server.cpuMillis() - cpu) / each);
  });
}
