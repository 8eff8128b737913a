/** The servers that the same scenarios run against: the official one, ours standalone, ours in an Express app at a subpath. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ankiEnvironment, ankiPython } from '../oracle/anki-python.ts';
import type { Framework } from './framework-app.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface MountOptions {
  /** Login name to password. Plain names only: the folder has the same one. */
  users: Record<string, string>;
  maxPayloadMegs?: number;
  /** Where the data folder is made; default the system's folder for temporary files. */
  within?: string;
  /** Further variables, for ours standalone. */
  env?: Record<string, string>;
}

export interface MountedServer {
  /** What a person types into Anki's preferences; ends in a slash. The same after a restart. */
  endpoint: string;
  /** The folder with one folder per user. */
  base: string;
  /** Where the server keeps a user's collection: read copies only. */
  collectionFile(user: string): string;
  mediaIndexFile(user: string): string;
  /** Ends the process in the ordinary way and starts it again on the same data. */
  restart(): Promise<void>;
  /** Kills the process without a warning and starts it again on the same data. */
  crash(): Promise<void>;
  /** Ends the process and removes the data. */
  stop(): Promise<void>;
  /** What the running process has printed. */
  output(): string;
}

export interface Mount {
  name: string;
  official?: true;
  start(options: MountOptions): Promise<MountedServer>;
}

/** `python -m anki.syncserver`. */
export const official: Mount = {
  name: 'the official server',
  official: true,
  start: (options) =>
    startServer('/', options, async (base, port) => ({
      command: await ankiPython(),
      args: ['-m', 'anki.syncserver'],
      env: ankiEnvironment({ ...syncEnvironment(options, base, port), RUST_LOG: 'anki=warn' }),
    })),
};

/** Ours from the command line, configured as the official one is. */
export const standalone: Mount = standaloneAt();

/** The same, of another copy of the project. */
export function standaloneAt(root = ROOT): Mount {
  return {
    name: 'standalone',
    start: (options) =>
      startServer('/', options, async (base, port) => ({
        command: process.execPath,
        args: [join(root, 'lib/bin.ts'), 'serve'],
        env: ankiEnvironment({ ...syncEnvironment(options, base, port), ...options.env }),
      })),
  };
}

/** Ours inside an Express app, at /anki/. */
export const express: Mount = {
  name: 'in Express at /anki/',
  start: (options) =>
    startServer('/anki/', options, async (base, port) => ({
      command: process.execPath,
      args: [join(ROOT, 'test/client/express-app.ts'), JSON.stringify({ base, port, ...options })],
      env: ankiEnvironment(),
    })),
};

/** Ours inside an application of another framework, at /anki/. */
export const frameworks: Readonly<Record<Framework, Mount>> = {
  express4: inFramework('express4', 'in Express 4 at /anki/'),
  connect: inFramework('connect', 'in connect at /anki/'),
  fastify: inFramework('fastify', 'in Fastify at /anki/'),
  koa: inFramework('koa', 'in Koa at /anki/'),
  hono: inFramework('hono', 'in Hono at /anki/'),
  fetch: inFramework('fetch', 'as a fetch handler at /anki/'),
};

function inFramework(framework: Framework, name: string): Mount {
  return {
    name,
    start: (options) =>
      startServer('/anki/', options, async (base, port) => ({
        command: process.execPath,
        args: [join(ROOT, 'test/client/framework-app.ts'), JSON.stringify({ framework, base, port, ...options })],
        env: ankiEnvironment(),
      })),
  };
}

function syncEnvironment(options: MountOptions, base: string, port: number): Record<string, string> {
  const users = Object.entries(options.users).map(([name, password], i) => [`SYNC_USER${i + 1}`, `${name}:${password}`]);
  return {
    SYNC_BASE: base,
    SYNC_HOST: '127.0.0.1',
    SYNC_PORT: String(port),
    ...Object.fromEntries(users) as Record<string, string>,
    ...(options.maxPayloadMegs === undefined ? {} : { MAX_SYNC_PAYLOAD_MEGS: String(options.maxPayloadMegs) }),
  };
}

interface Launch {
  command: string;
  args: string[];
  env: NodeJS.ProcessEnv;
}

async function startServer(
  path: string,
  { within = tmpdir() }: MountOptions,
  launch: (base: string, port: number) => Promise<Launch>,
): Promise<MountedServer> {
  const base = await mkdtemp(join(within, 'sync-base-'));
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  let running = await startProcess(await launch(base, port), origin).catch(async (error: unknown) => {
    await rm(base, { recursive: true, force: true });
    throw error;
  });
  const again = async (signal: NodeJS.Signals): Promise<void> => {
    await running.end(signal);
    running = await startProcess(await launch(base, port), origin);
  };
  return {
    endpoint: `${origin}${path}`,
    base,
    collectionFile: (user) => join(base, user, 'collection.anki2'),
    mediaIndexFile: (user) => join(base, user, 'media.db'),
    restart: () => again('SIGTERM'),
    crash: () => again('SIGKILL'),
    stop: async () => {
      await running.end('SIGTERM');
      await rm(base, { recursive: true, force: true });
    },
    output: () => running.output(),
  };
}

interface RunningProcess {
  end(signal: NodeJS.Signals): Promise<void>;
  output(): string;
}

async function startProcess(launch: Launch, origin: string): Promise<RunningProcess> {
  const child = spawn(launch.command, launch.args, { env: launch.env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const keep = (text: string): void => void (output = (output + text).slice(-20_000));
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  const process: RunningProcess = { end: (signal) => endProcess(child, signal), output: () => output };
  const failed = new Promise<never>((_resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`the server ended with ${code ?? signal} before it was ready\n${output}`)));
  });
  failed.catch(() => {});
  await Promise.race([failed, healthy(origin)]).catch(async (error: unknown) => {
    await process.end('SIGKILL');
    throw error;
  });
  return process;
}

/** Nothing tells of a foreign server being ready, so it is asked until it says so. */
async function healthy(origin: string): Promise<void> {
  for (let attempt = 0; attempt < 1500; attempt++) {
    const status = await fetch(`${origin}/health`).then((response) => response.status, () => 0);
    if (status === 200) return;
    await sleep(20);
  }
  throw new Error(`no /health at ${origin} within 30 seconds`);
}

async function endProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill(signal);
  const ended = await Promise.race([exit.then(() => true), sleep(10_000, false, { ref: false })]);
  if (ended) return;
  child.kill('SIGKILL');
  await exit;
  throw new Error(`the server did not end within 10 seconds of ${signal}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
