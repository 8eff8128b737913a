/** Full upload and download, small to large, and what the real client feels of them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ankiEnvironment, ankiPython, run as runProgram } from '../../test/oracle/anki-python.ts';
import type { CollectionSize } from '../collections.ts';
import { inTurn, uploadTo, withServers, type Run } from '../run.ts';
import type { ServerProcess } from '../server-process.ts';
import type { User } from '../user.ts';
import { countedDownload, requestOf } from '../wire.ts';

const REAL_CLIENT = fileURLToPath(new URL('../real-client.py', import.meta.url));

export async function fullSync(run: Run): Promise<void> {
  await withServers(run, 'full-sync', ['S', 'M', 'L'], async (users) => {
    const userOf = (server: ServerProcess, size: CollectionSize): User => users.get(server)!.find(({ name }) => name === size)!;
    const sizes: [CollectionSize, uploads: number, downloads: number][] = run.quick ? [['S', 5, 5], ['M', 3, 3]] : [['S', 9, 9], ['M', 5, 7], ['L', 1, 3]];
    for (const [size, uploads, downloads] of sizes) {
      run.say(`full upload and download of ${size}`);
      const label = `${size}, ${(run.collections[size].facts.bytes / 1e6).toFixed(0)} MB`;
      await inTurn(run, uploads, async (server) => {
        await sleep(50);
        server.resetPeak();
        const begun = performance.now();
        await uploadTo(run, userOf(server, size), size);
        run.figures.add(`upload ${label}`, 'ms', server, performance.now() - begun);
        run.figures.add(`upload ${label}: peak memory`, 'MiB', server, server.peakMiB());
      });
      await inTurn(run, downloads, async (server) => {
        const user = userOf(server, size);
        await sleep(50);
        server.resetPeak();
        const request = requestOf('/sync/download', user.key, 'bench', {});
        const { millis, firstByteMillis } = await countedDownload(server.port, closing(request));
        run.figures.add(`download ${label}`, 'ms', server, millis);
        run.figures.add(`download ${label}: first byte`, 'ms', server, firstByteMillis);
        run.figures.add(`download ${label}: peak memory`, 'MiB', server, server.peakMiB());
      });
    }
    const largest = run.quick ? 'M' : 'L';
    run.say(`full download of ${largest} by the real client, opening included`);
    await inTurn(run, 3, async (server) => {
      const user = userOf(server, largest);
      const printed = await runProgram(await ankiPython(), [REAL_CLIENT, `http://127.0.0.1:${server.port}/`, user.name, user.password], { env: ankiEnvironment() });
      run.figures.add(`download ${largest} and open, real client`, 'ms', server, Number(printed));
    });
  });
}

/** The whole answer is read until the server closes. */
function closing(request: Buffer): Buffer {
  return Buffer.from(request.toString('latin1').replace('accept: */*\r\n', 'accept: */*\r\nconnection: close\r\n'), 'latin1');
}
