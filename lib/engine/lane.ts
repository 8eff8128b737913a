/** Thread side of the lane for checks and conversions: long synchronous work on files that no user's room has open. */
import { parentPort } from 'node:worker_threads';
import { preparing, type UploadVerdict } from '../storage/sqlite/anki2.ts';
import type { LaneCall } from './calls.ts';
import { packError, type FromThread, type ToThread } from './messages.ts';
import { asSyncError } from './step-error.ts';

const port = parentPort!;
/** The upload that is being prepared, between its stages. */
let stages: Generator<undefined, UploadVerdict, void> | undefined;

port.on('message', ({ id, call }: ToThread<LaneCall>) => {
  if (call === 'close') {
    port.postMessage({ id, value: null } satisfies FromThread);
    port.close();
    return;
  }
  try {
    port.postMessage({ id, value: answer(call) } satisfies FromThread);
  } catch (error) {
    port.postMessage({ id, error: packError(asSyncError(error)) } satisfies FromThread);
  }
});

/** Null where a stage has ended and others are to come. */
function answer(call: LaneCall): UploadVerdict | null {
  switch (call.task) {
    case 'prepareUpload':
      stages = preparing(call.path, call.apart);
      return stages.next().value ?? null;
    case 'goOn':
      return stages!.next().value ?? null;
    case 'giveUp':
      // closes the file
      stages!.return(undefined as never);
      return null;
  }
}
