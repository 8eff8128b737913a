/** Thread side of the lane for checks and conversions: long synchronous work on files that no user's room has open. */
import { parentPort } from 'node:worker_threads';
import { prepareUpload } from '../storage/sqlite/anki2.ts';
import type { LaneCall } from './calls.ts';
import { packError, type FromThread, type ToThread } from './messages.ts';
import { asSyncError } from './step-error.ts';

const port = parentPort!;

port.on('message', ({ id, call }: ToThread<LaneCall>) => {
  if (call === 'close') {
    port.postMessage({ id, value: null } satisfies FromThread);
    port.close();
    return;
  }
  try {
    port.postMessage({ id, value: prepareUpload(call.path) } satisfies FromThread);
  } catch (error) {
    port.postMessage({ id, error: packError(asSyncError(error)) } satisfies FromThread);
  }
});
