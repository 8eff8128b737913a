import { Worker, type ResourceLimits } from 'node:worker_threads';
import { SyncError } from '../errors.ts';
import { unpackError, type FromThread, type ToThread } from './messages.ts';

/** The extension of the running sources: `.ts` from a checkout, `.js` from the package. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf('.'));

export interface WorkerOptions {
  /** File beside this one, without extension. */
  file: 'thread' | 'lane';
  data?: unknown;
  limits?: ResourceLimits;
  /** Called once when the thread is gone, whether asked to or not. */
  gone: (error: Error | undefined) => void;
}

interface Waiting {
  resolve: (value: never) => void;
  reject: (error: unknown) => void;
}

/** Main side of one worker thread: calls by number. A thread that dies rejects what it was doing. */
export class WorkerHandle<C> {
  #worker: Worker;
  #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #dead = false;

  constructor(options: WorkerOptions) {
    this.#worker = new Worker(new URL(`./${options.file}${EXTENSION}`, import.meta.url), {
      workerData: options.data,
      resourceLimits: options.limits ?? {},
      name: `anki-sync ${options.file}`,
      // a thread needs none of the process's secrets, and not all of its flags suit a file
      env: {},
      execArgv: [],
    });
    // alone, an idle thread does not keep the process alive
    this.#worker.unref();
    let failure: Error | undefined;
    this.#worker.on('error', (error) => (failure = error as Error));
    this.#worker.on('exit', () => {
      this.#dead = true;
      const lost = new SyncError('THREAD_LOST', 'the worker thread ended', { cause: failure, detail: failure?.message ?? 'exit' });
      for (const waiting of this.#waiting.values()) waiting.reject(lost);
      this.#waiting.clear();
      options.gone(failure);
    });
    this.#worker.on('message', (message: FromThread) => {
      const waiting = this.#waiting.get(message.id);
      if (waiting === undefined) return;
      this.#waiting.delete(message.id);
      if (this.#waiting.size === 0) this.#worker.unref();
      if ('error' in message) waiting.reject(unpackError(message.error));
      else waiting.resolve(message.value as never);
    });
  }

  /** `moved` is memory of the call that moves to the thread instead of being copied. */
  call<T>(call: C | 'close', moved: ArrayBuffer[] = []): Promise<T> {
    if (this.#dead) return Promise.reject(new SyncError('THREAD_LOST', 'the worker thread ended'));
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage({ id, call } satisfies ToThread<C>, moved);
    });
  }

  /** Lets the thread finish what it holds; ends it the hard way when it does not answer. */
  async close(): Promise<void> {
    if (this.#dead) return;
    await this.call('close').catch(() => {});
    await this.#worker.terminate();
  }
}
