/** A way to a directory that can fail as networks do: connections that are there say nothing more, and new ones work. */
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface Forwarder {
  url: string;
  /** Connections that are open now. */
  open(): number;
  /** Resolves when so many are open. */
  until(count: number): Promise<void>;
  /** From here on nothing passes on those that are open, as behind a router that forgot them. */
  freeze(): void;
}

export async function forwarder(t: TestContext, target: string): Promise<Forwarder> {
  const { hostname, port } = new URL(target.replace(/^ldap/, 'http'));
  const pairs = new Map<Socket, Socket>();
  const changes = new EventEmitter();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    pairs.set(near, far);
    near.on('error', () => {}).pipe(far.on('error', () => {})).pipe(near);
    near.once('close', () => {
      far.destroy();
      pairs.delete(near);
      changes.emit('change');
    });
    far.once('close', () => near.destroy());
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  t.after(() => {
    for (const near of pairs.keys()) near.destroy();
    server.close();
  });
  return {
    url: `${new URL(target).protocol}//localhost:${(server.address() as AddressInfo).port}`,
    open: () => pairs.size,
    async until(count) {
      while (pairs.size !== count) await once(changes, 'change');
    },
    freeze() {
      for (const [near, far] of pairs) {
        near.unpipe(far);
        far.unpipe(near);
        near.resume();
        far.resume();
      }
    },
  };
}
