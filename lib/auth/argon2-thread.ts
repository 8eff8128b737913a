/** Thread side of `argon2.ts`: one hash after the other. */
import { argon2Sync } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import type { Argon2Answer, Argon2Call } from './argon2.ts';

const port = parentPort!;

port.on('message', ({ id, parameters }: Argon2Call) => {
  port.postMessage(answerOf(id, parameters));
});

function answerOf(id: number, parameters: Argon2Call['parameters']): Argon2Answer {
  try {
    return { id, hash: new Uint8Array(argon2Sync('argon2id', parameters)) };
  } catch (error) {
    return { id, failure: (error as Error).message };
  }
}
