import { availableParallelism } from 'node:os';
import { stat } from 'node:fs/promises';
import { syncFiles } from '../storage/files/durable.ts';
import type { UploadVerdict } from '../storage/sqlite/anki2.ts';
import type { ApartCall, LaneCall } from './calls.ts';
import { asSyncError } from './step-error.ts';
import { WorkerHandle } from './worker-handle.ts';

/** After this long without work the lane's threads end, and their memory with them. */
const IDLE_MILLIS = 5_000;
/** Smaller files are checked in the time that it takes to wake two threads. */
const MIN_APART_BYTES = 8 * 1024 * 1024;
const APART = availableParallelism() > 1;

/** Main side of the lane for checks and conversions: one upload at a time, so that they take two cores at most. */
export class Lane {
  #worker: WorkerHandle<LaneCall> | undefined;
  #apart: WorkerHandle<ApartCall> | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  #idle: NodeJS.Timeout | undefined;
  /** Uploads that are in the lane or wait for it. */
  #uploads = 0;

  /** An upload has begun to arrive: its threads start meanwhile. */
  expectUpload(): void {
    this.#start();
    this.#endLater();
  }

  prepareUpload(path: string): Promise<UploadVerdict> {
    // most of the file is on its way to the disk while it is checked; only what the conversion writes is left for later
    const syncing = syncFiles([path]);
    syncing.catch(() => {}); // told below
    this.#uploads += 1;
    const result = this.#tail.then(() => this.#prepare(path)).finally(() => {
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
    await Promise.all([this.#worker?.close(), this.#apart?.close()]);
  }

  async #prepare(path: string): Promise<UploadVerdict> {
    const { size } = await stat(path);
    const { worker, apart } = this.#start();
    const begun = await worker.call<UploadVerdict | null>({ task: 'prepareUpload', path, apart: size >= MIN_APART_BYTES && apart !== undefined });
    return begun ?? (await this.#checkBoth(worker, apart!, path));
  }

  async #checkBoth(worker: WorkerHandle<LaneCall>, apart: WorkerHandle<ApartCall>, path: string): Promise<UploadVerdict> {
    // both, also when one fails: the file must not be taken away while the other reads it
    const [own, others] = await Promise.allSettled([worker.call<UploadVerdict | null>({ task: 'goOn' }), apart.call<string | null>({ path })]);
    if (own.status === 'rejected') throw own.reason;
    if (own.value !== null) return own.value;
    if (others.status === 'fulfilled' && others.value === null) return worker.call<UploadVerdict>({ task: 'goOn' });
    await worker.call({ task: 'giveUp' });
    if (others.status === 'rejected') throw others.reason;
    return { verdict: 'corrupt', reason: others.value! };
  }

  #start(): { worker: WorkerHandle<LaneCall>; apart: WorkerHandle<ApartCall> | undefined } {
    this.#worker ??= this.#started<LaneCall>('lane', (gone) => {
      if (this.#worker === gone) this.#worker = undefined;
    });
    if (APART) {
      this.#apart ??= this.#started<ApartCall>('lane-apart', (gone) => {
        if (this.#apart === gone) this.#apart = undefined;
      });
    }
    return { worker: this.#worker, apart: this.#apart };
  }

  #started<C>(file: 'lane' | 'lane-apart', gone: (worker: WorkerHandle<C>) => void): WorkerHandle<C> {
    const worker: WorkerHandle<C> = new WorkerHandle<C>({ file, gone: () => gone(worker) });
    return worker;
  }

  #endLater(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (this.#uploads > 0) return;
      const workers = [this.#worker, this.#apart];
      this.#worker = undefined;
      this.#apart = undefined;
      for (const worker of workers) void worker?.close();
    }, IDLE_MILLIS).unref();
  }
}
