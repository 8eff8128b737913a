/**
 * The whole server in this process, behind node:http on a free port, with a data folder of its own. Any name signs in
 * with `PASSWORD`, so that a test can have as many users as it likes and no hash is computed.
 */
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expressSync } from '../../adapters/express/index.ts';
import type { LogEntry, SyncServerOptions } from '../../lib/options.ts';
import { createSyncServer, type SyncServer } from '../../lib/server.ts';
import { RawClient } from '../client/raw.ts';

export const PASSWORD = 'the right password';

export interface RunningServer extends AsyncDisposable {
  readonly server: SyncServer;
  /** The data folder. */
  readonly base: string;
  /** With a trailing slash, as in Anki's preferences. */
  readonly url: string;
  /** Every line that the server logged. */
  readonly log: LogEntry[];
  /** A user nobody has seen yet, signed in, with a session key. */
  newUser(): Promise<RawClient>;
  /** A user by name, signed in, with a session key. */
  user(name: string): Promise<RawClient>;
  /** Bodies being received and files being sent, by their paths below the data folder: none between requests. */
  stagedFiles(): string[];
  /** Closes the server and its port. The data folder stays until `stop`. */
  close(): Promise<void>;
  /** Closes everything, and removes the data folder unless it was given. */
  stop(): Promise<void>;
}

/** `base` may be given to start again on what another server left. */
export async function runningServer(options: SyncServerOptions = {}): Promise<RunningServer> {
  const base = options.base ?? (await mkdtemp(join(tmpdir(), 'anki-sync-server-')));
  const log: LogEntry[] = [];
  const server = createSyncServer({
    threads: 1,
    authenticator: ({ password }) => password === PASSWORD,
    log: (entry) => log.push(entry),
    ...options,
    base,
  });
  await server.ready;
  const http = createServer(expressSync(server));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/`;
  let users = 0;
  let sessions = 0;

  const user = async (name: string): Promise<RawClient> => {
    const client = new RawClient(url, { sessionKey: `session${++sessions}` });
    await client.hostKey(name, PASSWORD);
    return client;
  };
  const close = async (): Promise<void> => {
    await server.close();
    await closed(http);
  };
  const stop = async (): Promise<void> => {
    await close();
    if (options.base === undefined) await rm(base, { recursive: true, force: true });
  };
  return {
    server,
    base,
    url,
    log,
    newUser: () => user(`user${++users}`),
    user,
    stagedFiles: () => stagedFilesIn(base),
    close,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function closed(http: Server): Promise<void> {
  if (!http.listening) return;
  const done = once(http, 'close');
  http.close();
  http.closeAllConnections();
  await done;
}

function stagedFilesIn(base: string): string[] {
  if (!existsSync(base)) return [];
  return readdirSync(base, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(base.length + 1))
    .filter((path) => /(^|\/)(\.anki-sync\/staging|\.anki-sync-media\/incoming)\//.test(path));
}
