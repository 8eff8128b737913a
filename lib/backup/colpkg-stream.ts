import { Readable } from 'node:stream';
import { Worker } from 'node:worker_threads';
import type { ColpkgContents } from './colpkg.ts';

/** The extension of the running sources: `.ts` from a checkout, `.js` from the package. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf('.'));

/** A `.colpkg`, packed in a thread of its own as fast as somebody reads it: checksums of gigabytes are nothing for the main side. */
export function colpkgStream(contents: ColpkgContents): Readable {
  const worker = new Worker(new URL(`./colpkg-thread${EXTENSION}`, import.meta.url), {
    workerData: contents,
    name: 'anki-sync colpkg',
    resourceLimits: { maxOldGenerationSizeMb: 256 },
    // a thread needs none of the process's secrets, and not all of its flags suit a file
    env: {},
    execArgv: [],
  });
  let isWhole = false;
  const stream = new Readable({
    read: () => worker.postMessage('more'),
    destroy: (error, done) => {
      worker.terminate().then(() => done(error), () => done(error));
    },
  });
  worker.on('message', (piece: Uint8Array | null) => {
    isWhole ||= piece === null;
    stream.push(piece);
  });
  worker.on('error', (error) => stream.destroy(error as Error));
  worker.on('exit', () => {
    if (!isWhole) stream.destroy(new Error('the thread that packs a download has ended'));
  });
  return stream;
}
