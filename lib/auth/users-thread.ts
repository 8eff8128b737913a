/** Thread side of `UsersDatabase`: every write of this process, one after the other, each with its fsync. */
import { parentPort, workerData } from 'node:worker_threads';
import { UsersError } from './users-error.ts';
import type { UsersErrorCode } from './users-error.ts';
import { openForWriting } from './users-schema.ts';
import type { FirstStartOptions } from './users-schema.ts';
import { WRITES } from './users-writes.ts';
import type { WriteContext, WriteName } from './users-writes.ts';

export interface ThreadData {
  base: string;
  options: FirstStartOptions;
}

/** `close` ends the thread after the writes before it. */
export type ThreadCall = { id: number; name: WriteName; args: unknown[] } | { id: number; name: 'close' };

export type ThreadAnswer =
  | { id: number; value: unknown }
  | { id: number; usersError: { code: UsersErrorCode; message: string } }
  | { id: number; failure: { code: string | undefined; message: string } };

const port = parentPort!;
const { base, options } = workerData as ThreadData;

function failed(id: number, error: unknown): ThreadAnswer {
  if (error instanceof UsersError) return { id, usersError: { code: error.code, message: error.message } };
  const { code, message } = error as { code?: string; message?: string };
  return { id, failure: { code, message: String(message) } };
}

function start(): void {
  let context: WriteContext;
  try {
    context = { ...openForWriting(base, options), base, by: options.by ?? '' };
  } catch (error) {
    port.postMessage(failed(0, error));
    port.close();
    return;
  }
  port.on('message', (call: ThreadCall) => {
    if (call.name === 'close') {
      context.db.close();
      port.postMessage({ id: call.id, value: null } satisfies ThreadAnswer);
      port.close();
      return;
    }
    try {
      const write = WRITES[call.name] as (context: WriteContext, ...args: unknown[]) => unknown;
      const value = context.db.transaction(() => write(context, ...call.args)).immediate();
      port.postMessage({ id: call.id, value } satisfies ThreadAnswer);
    } catch (error) {
      port.postMessage(failed(call.id, error));
    }
  });
  port.postMessage({ id: 0, value: context.caseSensitive } satisfies ThreadAnswer);
}

start();
