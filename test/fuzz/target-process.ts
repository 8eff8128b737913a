/**
 * The server under fire, a process of its own: to see whether it ends, and what it holds in the end.
 * `node --expose-gc target-process.ts <root of the sources> <data folder>`; speaks with its parent by messages.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pathToFileURL } from 'node:url';
import type * as Adapter from '../../adapters/express/index.ts';
import type { LogEntry } from '../../lib/options.ts';
import type * as Server from '../../lib/server.ts';
import { CLOSE_IDLE_MILLIS, PASSWORD, SYNC_IDLE_MILLIS, type FromTarget, type Memory, type ToTarget } from './target.ts';

const [root, base] = process.argv.slice(2) as [string, string];
const room = async <T>(path: string): Promise<T> => (await import(pathToFileURL(`${root}/${path}`).href)) as T;
const { createSyncServer } = await room<typeof Server>('lib/server.ts');
const { expressSync } = await room<typeof Adapter>('adapters/express/index.ts');

const tell = (message: FromTarget): void => void process.send!(message);
let lines: LogEntry[] = [];
const server = createSyncServer({
  base,
  threads: 2,
  // nothing makes another thread collect its garbage safely: one that leaks runs out of memory, and is lost
  threadHeapMib: 64,
  authenticator: ({ password }) => password === PASSWORD,
  syncIdleMillis: SYNC_IDLE_MILLIS,
  closeIdleMillis: CLOSE_IDLE_MILLIS,
  log: (entry) => {
    lines.push(entry);
    if (lines.length >= 200) flush();
  },
});
await server.ready;
const http = createServer(expressSync(server));
// whoever fuzzes may pause for longer than the usual five seconds
http.keepAliveTimeout = 120_000;
http.listen(0, '127.0.0.1');
await once(http, 'listening');
tell({ port: (http.address() as AddressInfo).port });

function flush(): void {
  tell({ log: lines });
  lines = [];
}

async function memory(): Promise<Memory> {
  const collect = (globalThis as unknown as { gc: (options: { execution: 'async' }) => Promise<void> }).gc;
  for (let i = 0; i < 3; i++) await collect({ execution: 'async' });
  const main = process.memoryUsage();
  return { heapBytes: main.heapUsed, outsideBytes: main.external, residentBytes: process.memoryUsage.rss() };
}

// whoever started it is gone
process.on('disconnect', () => process.exit());

process.on('message', (message: ToTarget) => {
  void (async () => {
    if (message.do === 'stop') {
      await server.close();
      http.closeAllConnections();
      http.close();
    }
    const answer: FromTarget = { done: message.id, ...(message.do === 'memory' ? { memory: await memory() } : {}) };
    flush();
    process.send!(answer, () => {
      // ends with what is left, unless something keeps it
      if (message.do === 'stop') process.exit();
    });
  })();
});
