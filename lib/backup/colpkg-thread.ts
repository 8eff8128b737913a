/** Thread side of `colpkg-stream.ts`: a piece of the zip for each time that it is asked for one, and null at the end. */
import { parentPort, workerData } from 'node:worker_threads';
import { colpkg, type ColpkgContents } from './colpkg.ts';

const port = parentPort!;
let asked = 0;
let wake: (() => void) | undefined;
port.on('message', () => {
  asked += 1;
  wake?.();
});

async function send(piece: Uint8Array | null): Promise<void> {
  while (asked === 0) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  asked -= 1;
  port.postMessage(piece);
}

for await (const piece of colpkg(workerData as ColpkgContents)) await send(piece as Uint8Array);
await send(null);
port.close();
