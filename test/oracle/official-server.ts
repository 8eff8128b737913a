/** The official sync server (`python -m anki.syncserver`) as a child process, to compare answers with. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ankiEnvironment, ankiPython } from './anki-python.ts';

export interface OfficialServer {
  /** With a trailing slash, as in Anki's preferences. */
  url: string;
  /** The data folder: `<base>/<user>/collection.anki2`. */
  base: string;
  /** Ends the process, and removes the data folder unless it was given. */
  stop(): Promise<void>;
}

export interface OfficialServerOptions {
  /** Password by name. */
  users: Record<string, string>;
  /** An existing data folder, which stays. Default: a new temporary one. */
  base?: string;
  /** Default: any free one. */
  port?: number;
  /** Further environment, such as MAX_SYNC_PAYLOAD_MEGS. */
  env?: Record<string, string>;
  /** Of the PyPI package `anki`; default the newest that the tests know. */
  version?: string;
}

const START_MILLIS = 60_000;

/** Resolves once `/health` answers. A port that another process took in between is replaced by the next. */
export async function startOfficialServer(options: OfficialServerOptions): Promise<OfficialServer> {
  const python = await ankiPython(options.version);
  const base = options.base ?? (await mkdtemp(join(tmpdir(), 'anki-official-')));
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await startOnFreePort(python, base, options);
      } catch (error) {
        if (attempt === 3) throw error;
      }
    }
  } catch (error) {
    if (options.base === undefined) await rm(base, { recursive: true, force: true });
    throw error;
  }
}

async function startOnFreePort(python: string, base: string, options: OfficialServerOptions): Promise<OfficialServer> {
  const port = options.port ?? (await freePort());
  const users = Object.fromEntries(Object.entries(options.users).map(([name, password], i) => [`SYNC_USER${i + 1}`, `${name}:${password}`]));
  const child = spawn(python, ['-m', 'anki.syncserver'], {
    env: ankiEnvironment({ SYNC_BASE: base, SYNC_HOST: '127.0.0.1', SYNC_PORT: String(port), RUST_LOG: 'error', ...users, ...options.env }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (printed = (printed + text).slice(-4000)));
  }
  const closed = once(child, 'close');
  closed.catch(() => {});
  // a test process that ends early must not leave a server behind
  const killNow = (): void => void child.kill('SIGKILL');
  process.once('exit', killNow);
  const end = async (): Promise<void> => {
    process.off('exit', killNow);
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await closed.catch(() => {});
  };
  const url = `http://127.0.0.1:${port}/`;
  const giveUpAt = Date.now() + START_MILLIS;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > giveUpAt) {
      await end();
      throw new Error(`the official server did not start\n${printed}`);
    }
    if (await fetch(`${url}health`).then((response) => response.ok, () => false)) break;
    await sleep(50);
  }
  return {
    url,
    base,
    async stop() {
      await end();
      if (options.base === undefined) await rm(base, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
