/** The server as a process of its own, from its sources: to be measured, and to be killed at the worst moment. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { RawClient } from '../client/raw.ts';

const BIN = fileURLToPath(new URL('../../lib/bin.ts', import.meta.url));
const PASSWORD = 'the right password';

export interface ServerProcess extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** Resolves with the exit code, null when a signal ended it. */
  readonly ended: Promise<number | null>;
  /** Lines of the log so far. */
  readonly lines: readonly string[];
  /** A user of the environment, signed in, with a session key. */
  user(name: string): Promise<RawClient>;
  /** Resolves with the first line, also of those before, that fits. */
  line(fits: RegExp): Promise<string>;
  /** Ends the process at once, as a loss of power would. */
  kill(): Promise<void>;
  /** Ends it in the ordinary way; answers the exit code. */
  stop(): Promise<number | null>;
}

/** `ada` and `bob` may sign in. */
export async function serverProcess(base: string, nodeArgs: string[] = []): Promise<ServerProcess> {
  const child = spawn(process.execPath, [...nodeArgs, BIN, 'serve', '--base', base, '--host', '127.0.0.1', '--port', '0'], {
    env: { SYNC_USER1: `ada:${PASSWORD}`, SYNC_USER2: `bob:${PASSWORD}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => {
      lines.push(line);
      for (const look of waiting) look();
    });
  }
  const line = (fits: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const ended = (): void => {
        waiting.delete(look);
        reject(new Error(`the server ended before it said ${fits}:\n${lines.join('\n')}`));
      };
      const look = (): void => {
        const found = lines.find((text) => fits.test(text));
        if (found === undefined) return;
        waiting.delete(look);
        child.off('exit', ended);
        resolve(found);
      };
      child.once('exit', ended);
      waiting.add(look);
      look();
    });
  const stop = async (): Promise<number | null> => end(child, 'SIGTERM');
  let port: string;
  try {
    port = /port (\d+)/.exec(await line(/^listening on /))![1]!;
  } catch (error) {
    await end(child, 'SIGKILL');
    throw error;
  }
  const url = `http://127.0.0.1:${port}/`;
  return {
    url,
    pid: child.pid!,
    ended,
    lines,
    async user(name) {
      const client = new RawClient(url, { sessionKey: `session of ${name}` });
      await client.hostKey(name, PASSWORD);
      return client;
    },
    line,
    kill: async () => void (await end(child, 'SIGKILL')),
    stop,
    [Symbol.asyncDispose]: async () => void (await end(child, 'SIGKILL')),
  };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }
  return child.exitCode;
}

/** The most memory that the process ever held, in bytes: VmHWM, of Linux. */
export function peakBytes(pid: number): number {
  return memoryBytes(pid, 'VmHWM');
}

export function residentBytes(pid: number): number {
  return memoryBytes(pid, 'VmRSS');
}

function memoryBytes(pid: number, name: string): number {
  const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1];
  return Number(kib) * 1024;
}
