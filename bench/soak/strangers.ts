/** Clients that vanish: they begin what they never end, at random moments. */
import { setTimeout as sleep } from 'node:timers/promises';
import { RawClient } from '../../test/client/raw.ts';
import { randomNumbers } from '../../test/engine/collections.ts';

/** Goes on until `over`. `key` belongs to a user of its own, whose collection nobody looks at. */
export async function vanishingClients(endpoint: string, key: string, seed: number, over: AbortSignal): Promise<number> {
  const next = randomNumbers(seed);
  let vanished = 0;
  while (!over.aborted) {
    const client = new RawClient(endpoint, { key, sessionKey: `gone${vanished}` });
    try {
      const kind = next() % 4;
      if (kind === 0) {
        await client.post('start', { minUsn: 0, lnewer: false, graves: null });
      } else if (kind === 1) {
        const request = client.open('sync/upload');
        await request.write(Buffer.alloc(1 + (next() % 200_000)));
        request.destroy();
      } else if (kind === 2) {
        const response = await client.sendUnread('POST', 'sync/download', {});
        response.destroy();
      } else {
        const request = client.open('msync/uploadChanges');
        await request.write(Buffer.from('PK'));
        await sleep(next() % 50);
        request.destroy();
      }
    } catch {
      // the server may be away just now
    }
    vanished++;
    await sleep(next() % 100);
  }
  return vanished;
}
