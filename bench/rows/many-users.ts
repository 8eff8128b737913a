/** Fifty users with an ordinary day each, also while another uploads a large collection; start-up, and memory afterwards. */
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from '../figures.ts';
import { inTurn, uploadTo, withServers, type Run } from '../run.ts';
import type { User } from '../user.ts';

const USERS = 50;
const OTHERS = 8;
const OTHERS_PAUSE_MILLIS = 200;
const WARM_UP_MILLIS = 500;

export async function manyUsers(run: Run): Promise<void> {
  const names = [...Array.from({ length: USERS }, (_, i) => `user${i + 1}`), 'heavy'];
  await withServers(run, 'many-users', names, async (users) => {
    run.say(`${USERS} users upload a small collection each`);
    for (const mine of users.values()) for (const user of mine.slice(0, USERS)) await uploadTo(run, user, 'T');

    run.say('start-up, and memory after everybody synced once');
    for (const server of run.servers) await server.stop();
    await inTurn(run, run.quick ? 1 : 3, async (server) => {
      const mine = users.get(server)!;
      run.figures.add(`start with ${names.length} users`, 'ms', server, await server.start('many-users', mine));
      for (const user of mine.slice(0, USERS)) await user.daily()();
      await sleep(500);
      run.figures.add(`memory after ${USERS} users synced`, 'MiB', server, server.residentMiB());
      run.figures.add(`open files after ${USERS} users synced`, 'files', server, server.openFiles());
      await server.stop();
    });
    for (const server of run.servers) await server.start('many-users', users.get(server)!);

    for (const atOnce of [1, 8, 32]) {
      run.say(`${USERS} users, ${atOnce} at a time`);
      await inTurn(run, run.quick ? 1 : 4, async (server) => {
        const mine = users.get(server)!.slice(0, USERS);
        await closedLoop(mine, atOnce, { millis: WARM_UP_MILLIS });
        const millis = run.quick ? 1500 : 3000;
        const begun = performance.now();
        const waits = await closedLoop(mine, atOnce, { millis });
        run.figures.add(`${USERS} users, ${atOnce} at a time`, 'per second', server, (waits.length * 1000) / (performance.now() - begun));
        run.figures.add(`${USERS} users, ${atOnce} at a time: p99`, 'ms', server, percentile(waits, 99));
      });
    }

    const size = run.quick ? 'M' : 'L';
    run.say(`${OTHERS} users sync while another uploads ${size}`);
    await inTurn(run, 1, async (server) => {
      const mine = users.get(server)!;
      const uploaded = new AbortController();
      const upload = uploadTo(run, mine[USERS]!, size).finally(() => uploaded.abort());
      const waits = await closedLoop(mine.slice(0, OTHERS), OTHERS, { until: uploaded.signal, pauseMillis: OTHERS_PAUSE_MILLIS });
      await upload;
      run.figures.add(`${OTHERS} users while one uploads ${size}: p99`, 'ms', server, percentile(waits, 99));
      run.figures.add(`${OTHERS} users while one uploads ${size}: longest`, 'ms', server, Math.max(...waits));
    });
  });
}

export interface LoopEnd {
  millis?: number;
  until?: AbortSignal;
  /** Between two syncs of one of those at once. */
  pauseMillis?: number;
}

/** `atOnce` of the users sync at any time, each again and again. Answers the milliseconds of every sync. */
export async function closedLoop(users: readonly User[], atOnce: number, { millis = Infinity, until, pauseMillis = 0 }: LoopEnd): Promise<number[]> {
  const idle = users.slice();
  const waits: number[] = [];
  const endsAt = performance.now() + millis;
  const over = (): boolean => performance.now() >= endsAt || until?.aborted === true;
  await Promise.all(
    Array.from({ length: atOnce }, async (_, i) => {
      if (pauseMillis > 0) await sleep((pauseMillis * i) / atOnce);
      while (!over()) {
        const user = idle.shift()!;
        waits.push(await user.daily()());
        idle.push(user);
        if (pauseMillis > 0) await sleep(pauseMillis);
      }
    }),
  );
  return waits;
}
