/** A gateway in front of the official server, for the scenarios of real clients. Whoever is `u1` at the gateway is `u1-there` behind it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startServer, type RunningServer } from '../cli/command.ts';
import { official, type Mount, type MountedServer } from '../client/mounts.ts';

export const behindGateway: Mount = {
  name: 'gateway',
  async start({ users, ...options }): Promise<MountedServer> {
    const there = await official.start({ ...options, users: mapped(users, (name, password) => [`${name}-there`, `canary ${password}`]) });
    const folder = await mkdtemp(join(tmpdir(), 'anki-sync-gateway-'));
    const usersFile = join(folder, 'users.json');
    await writeFile(usersFile, JSON.stringify(mapped(users, (name, password) => [name, { user: `${name}-there`, password: `canary ${password}` }])));
    const here = Object.fromEntries(Object.entries(users).map(([name, password], i) => [`SYNC_USER${i + 1}`, `${name}:${password}`]));
    const endings: (() => unknown)[] = [];
    let port = '0';
    const start = async (): Promise<RunningServer> => {
      const args = ['--host', '127.0.0.1', '--port', port, '--base', join(folder, 'data'), '--upstream', there.endpoint, '--upstream-users-file', usersFile];
      const running = await startServer({ after: (end: () => unknown) => void endings.push(end) } as TestContext, args, { env: here, command: 'gateway' });
      ({ port } = new URL(running.url));
      return running;
    };
    let running = await start();
    const again = async (signal: NodeJS.Signals): Promise<void> => {
      await running.stop(signal);
      await (signal === 'SIGTERM' ? there.restart() : there.crash());
      running = await start();
    };
    return {
      endpoint: running.url,
      base: there.base,
      collectionFile: (user) => there.collectionFile(`${user}-there`),
      mediaIndexFile: (user) => there.mediaIndexFile(`${user}-there`),
      restart: () => again('SIGTERM'),
      crash: () => again('SIGKILL'),
      stop: async () => {
        await running.stop();
        for (const end of endings) await end();
        await there.stop();
        await rm(folder, { recursive: true, force: true });
      },
      output: () => `${running.lines.join('\n')}\n${there.output()}`,
    };
  },
};

function mapped<T>(users: Record<string, string>, pair: (name: string, password: string) => [string, T]): Record<string, T> {
  return Object.fromEntries(Object.entries(users).map(([name, password]) => pair(name, password)));
}
