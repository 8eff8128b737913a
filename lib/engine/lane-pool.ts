import type { UploadVerdict } from '../storage/sqlite/anki2.ts';
import type { LaneCall } from './calls.ts';
import { WorkerHandle } from './worker-handle.ts';

/** After this long without work the lane's thread ends, and its memory with it. */
const IDLE_MILLIS = 5_000;

/** Main side of the lane for checks and conversions: one at a time, so that they take one core at most. */
export class Lane {
  #worker: WorkerHandle<LaneCall> | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  #idle: NodeJS.Timeout | undefined;

  prepareUpload(path: string): Promise<UploadVerdict> {
    const result = this.#tail.then(() => this.#run<UploadVerdict>({ task: 'prepareUpload', path }));
    this.#tail = result.catch(() => {});
    return result;
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    await this.#tail;
    clearTimeout(this.#idle);
    await this.#worker?.close();
  }

  async #run<T>(call: LaneCall): Promise<T> {
    clearTimeout(this.#idle);
    const worker = (this.#worker ??= this.#started());
    try {
      return await worker.call<T>(call);
    } finally {
      this.#idle = setTimeout(() => {
        this.#worker = undefined;
        void worker.close();
      }, IDLE_MILLIS).unref();
    }
  }

  #started(): WorkerHandle<LaneCall> {
    const worker: WorkerHandle<LaneCall> = new WorkerHandle<LaneCall>({
      file: 'lane',
      gone: () => {
        if (this.#worker === worker) this.#worker = undefined;
      },
    });
    return worker;
  }
}
