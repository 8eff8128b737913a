/** `anki-sync` as a process whose file operations are counted, and which may end at any of them. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RawClient } from '../client/raw.ts';
import { watched, type Watch } from './operations.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface Watched extends Watch {
  /** Of the checkout or the build whose `lib/bin` runs. Default: this checkout. */
  root?: string;
  env?: Record<string, string>;
  /** On standard input. */
  input?: string;
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Everything that was printed. */
  output: string;
}

export interface WatchedProcess {
  child: ChildProcess;
  ended: Promise<Ended>;
  output(): string;
}

export async function watchedProcess(args: string[], { root = ROOT, env = {}, input = '', ...watch }: Watched): Promise<WatchedProcess> {
  const bin = ['bin.js', 'bin.ts'].map((name) => join(root, 'lib', name)).find((path) => existsSync(path))!;
  const child = spawn(process.execPath, [bin, ...args], {
    env: { PATH: process.env['PATH'], ...env, ...(await watched(watch)) },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, output }) as Ended);
  return { child, ended, output: () => output };
}

export interface WatchedServer extends WatchedProcess {
  url: string;
  /** A user by host key, with a session key of its own. */
  client(key: string): RawClient;
  /** SIGTERM, and the end of the process. */
  stop(): Promise<Ended>;
  kill(): Promise<Ended>;
}

let sessions = 0;

/** Undefined if it ended before it listened, as it was told to. */
export async function watchedServer(base: string, options: Omit<Watched, 'folder'> & { port?: number }): Promise<WatchedServer | undefined> {
  const { port = 0, ...rest } = options;
  const running = await watchedProcess(['serve', '--base', base, '--host', '127.0.0.1', '--port', String(port)], { folder: base, ...rest });
  const { child, ended } = running;
  const listening = new Promise<void>((resolve) => {
    child.stdout!.on('data', () => {
      if (/^listening on /m.test(running.output())) resolve();
    });
  });
  await Promise.race([listening, ended]);
  const found = /^listening on \S+ port (\d+)/m.exec(running.output());
  if (found === null) return undefined;
  const url = `http://127.0.0.1:${found[1]}/`;
  const end = (signal: NodeJS.Signals): Promise<Ended> => {
    child.kill(signal);
    return ended;
  };
  return {
    ...running,
    url,
    client: (key) => new RawClient(url, { key, sessionKey: `session ${++sessions}` }),
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}
