/** Files made of staged bytes. While one is on its way to the disk, the next one is written: journaling file systems commit them together. */
import { closeSync, fsync, openSync, readSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import type { FileRange } from '../storage.ts';

const PIECE_BYTES = 1024 * 1024;

const synced = promisify(fsync);

export class StagedCopies {
  /** Open packs and logs, by path: most hold many files. */
  readonly #sources = new Map<string, number>();
  readonly #syncing: Promise<void>[] = [];
  #piece: Buffer | undefined;

  /** Writes a new file. Throws when the staged bytes end early. */
  copy({ path, offset, bytes }: FileRange, toPath: string): void {
    let source = this.#sources.get(path);
    if (source === undefined) this.#sources.set(path, (source = openSync(path, 'r')));
    if (this.#piece === undefined || this.#piece.length < Math.min(bytes, PIECE_BYTES)) this.#piece = Buffer.allocUnsafeSlow(Math.min(bytes, PIECE_BYTES));
    const target = openSync(toPath, 'wx');
    try {
      for (let done = 0; done < bytes; ) {
        const read = readSync(source, this.#piece, 0, Math.min(this.#piece.length, bytes - done), offset + done);
        if (read === 0) throw new Error('a staged file ends early');
        for (let written = 0; written < read; ) written += writeSync(target, this.#piece, written, read - written);
        done += read;
      }
    } catch (error) {
      closeSync(target);
      throw error;
    }
    this.#syncing.push(synced(target).finally(() => closeSync(target)));
    this.#syncing.at(-1)!.catch(() => {}); // told by `durable`
  }

  /** Resolves once the contents of all of them are durable; their names are not. */
  async durable(): Promise<void> {
    await Promise.all(this.#syncing);
  }

  /** Resolves when no file is open any more. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#syncing);
    for (const source of this.#sources.values()) closeSync(source);
    this.#sources.clear();
  }
}
