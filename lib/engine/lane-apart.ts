/** Thread side of the lane's second thread: the part of a check that can be done beside the rest. */
import { parentPort } from 'node:worker_threads';
import { checkApart } from '../storage/sqlite/anki2-apart.ts';
import type { ApartCall } from './calls.ts';
import { packError, type FromThread, type ToThread } from './messages.ts';
import { asSyncError } from './step-error.ts';

const port = parentPort!;

port.on('message', ({ id, call }: ToThread<ApartCall>) => {
  if (call === 'close') {
    port.postMessage({ id, value: null } satisfies FromThread);
    port.close();
    return;
  }
  try {
    port.postMessage({ id, value: checkApart(call.path) } satisfies FromThread);
  } catch (error) {
    port.postMessage({ id, error: packError(asSyncError(error)) } satisfies FromThread);
  }
});
