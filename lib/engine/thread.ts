/** Thread side: takes a call, answers bytes or a file. One call per user at a time; calls of different users may interleave. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Call, Outcome } from './calls.ts';
import { crossing, transferable } from './crossing.ts';
import { packError, type FromThread, type ToThread } from './messages.ts';
import { asSyncError } from './step-error.ts';
import { StoreRoom } from './store-room.ts';
import type { Choices } from './stores.ts';

const port = parentPort!;
const room = new StoreRoom(workerData as Choices);

port.on('message', (message: ToThread<Call>) => {
  void answer(message);
});

async function answer({ id, call }: ToThread<Call>): Promise<void> {
  try {
    if (call === 'close') {
      await room.close();
      port.postMessage({ id, value: null } satisfies FromThread);
      port.close();
      return;
    }
    const outcome = await room.run(call);
    const answer = crossing(outcome.answer, 'packs' in call && call.packs === true);
    port.postMessage({ id, value: { ...outcome, answer } satisfies Outcome } satisfies FromThread, transferable(answer));
    if (outcome.answer.kind === 'bytes') {
      outcome.answer.release?.();
      outcome.answer.after?.();
    }
  } catch (error) {
    port.postMessage({ id, error: packError(asSyncError(error)) } satisfies FromThread);
  }
}
