import { syncFiles } from '../storage/files/durable.ts';
import type { UploadVerdict } from '../storage/sqlite/anki2.ts';
import type { LaneCall } from './calls.ts';
import { asSyncError } from './step-error.ts';
import { WorkerHandle } from './worker-handle.ts';

/** After this long without work the lane's thread ends, and its memory with it. */
const IDLE_MILLIS = 5_000;

/** Main side of the lane for checks and conversions: one upload at a time, so that they take one core at most. */
export class Lane {
  #worker: WorkerHandle<LaneCall> | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  #idle: NodeJS.Timeout | undefined;
  /** Uploads that are in the lane or wait for it. */
  #uploads = 0;

  /** Uploads that are in the lane or wait for it. */
  get waiting(): number {
    return this.#uploads;
  }

  /** An upload has begun to arrive: its thread starts meanwhile. */
  expectUpload(): void {
    this.#start();
    this.#endLater();
  }

  prepareUpload(path: string): Promise<UploadVerdict> {
    // most of the file is on its way to the disk while it is checked; only what the conversion writes is left for later
    const syncing = syncFiles([path]);
    syncing.catch(() => {}); // told below
    this.#uploads += 1;
    const result = this.#tail
      .then(() => this.#start().call<UploadVerdict>({ task: 'prepareUpload', path }))
      .finally(() => {
        this.#uploads -= 1;
        this.#endLater();
      });
    this.#tail = result.catch(() => {});
    return result.then(async (verdict) => {
      await syncing;
      return verdict;
    }).catch((error: unknown) => {
      throw asSyncError(error);
    });
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    await this.#tail;
    clearTimeout(this.#idle);
    await this.#worker?.close();
  }

  #start(): WorkerHandle<LaneCall> {
    if (this.#worker !== undefined) return this.#worker;
    const worker: WorkerHandle<LaneCall> = new WorkerHandle<LaneCall>({
      file: 'lane',
      gone: () => {
        if (this.#worker === worker) this.#worker = undefined;
      },
    });
    this.#worker = worker;
    return worker;
  }

  #endLater(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (this.#uploads > 0) return;
      void this.#worker?.close();
      this.#worker = undefined;
    }, IDLE_MILLIS).unref();
  }
}
