/** A server behind that answers as a test wishes, and a gateway of this process in front of it. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { expressSync } from '../../adapters/express/index.ts';
import { createGateway, type LogEntry, type SyncServer, type UpstreamOptions } from '../../lib/index.ts';
import { packed } from '../../lib/zstd.ts';
import { RawClient } from '../client/raw.ts';

export const PASSWORD = 'the right password';
export const THERE = { user: 'kim-there', password: 'canary-there-7731' };

export interface Seen {
  path: string;
  /** Of the anki-sync header, or empty. */
  key: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
  /** The port of the gateway's connection. */
  port: number | undefined;
}

export interface StandIn {
  url: string;
  /** Requests that were read to their end, but for sign-ins. */
  seen: Seen[];
  /** Keys that it gave: `canary-key-1`, `canary-key-2`, … */
  signIns: number;
  /** Default: 200 and `{}`. Called when the body is read, unless it reads the request itself (`readsItself`). */
  answer(req: IncomingMessage, res: ServerResponse, seen: Seen): unknown;
  readsItself: boolean;
}

export async function standIn(t: TestContext): Promise<StandIn> {
  const state: StandIn = { url: '', seen: [], signIns: 0, answer: (_req, res) => sendPacked(res, {}), readsItself: false };
  // idle connections are the gateway's to close
  const server = createServer({ keepAliveTimeout: 600_000 }, async (req, res) => {
    try {
      const path = req.url ?? '';
      if (path.endsWith('/sync/hostKey')) {
        req.resume();
        sendPacked(res, { key: `canary-key-${++state.signIns}` });
        return;
      }
      const header = req.headers['anki-sync'];
      const key = typeof header === 'string' ? (JSON.parse(header) as { k: string }).k : '';
      const seen: Seen = { path, key, headers: req.headers, body: Buffer.alloc(0), port: req.socket.remotePort };
      if (!state.readsItself) seen.body = Buffer.concat(await req.toArray() as Buffer[]);
      state.seen.push(seen);
      await state.answer(req, res, seen);
    } catch {
      // the gateway went away
      res.destroy();
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return state;
}

export function sendPacked(res: ServerResponse, value: unknown): void {
  const { data, unpackedBytes } = packed(JSON.stringify(value));
  res.writeHead(200, { 'anki-original-size': unpackedBytes, 'content-length': data.length }).end(data);
}

export interface RunningGateway {
  sync: SyncServer;
  url: string;
  base: string;
  log: LogEntry[];
  /** A device of a user, signed in. */
  device(user?: string): Promise<RawClient>;
}

export async function startGateway(t: TestContext, url: string, upstream: Partial<UpstreamOptions> = {}): Promise<RunningGateway> {
  const base = await mkdtemp(join(tmpdir(), 'anki-sync-gateway-'));
  const log: LogEntry[] = [];
  const sync = createGateway({
    base,
    authenticator: ({ password }) => password === PASSWORD,
    account: true,
    upstream: { url, users: { Kim: THERE }, ...upstream },
    log: (entry) => log.push(entry),
  });
  await sync.ready;
  const server = createServer(expressSync(sync)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await sync.close();
    await rm(base, { recursive: true, force: true });
  });
  const own = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    sync,
    url: own,
    base,
    log,
    async device(user = 'kim') {
      const client = new RawClient(own, { sessionKey: 's1' });
      await client.hostKey(user, PASSWORD);
      return client;
    },
  };
}
