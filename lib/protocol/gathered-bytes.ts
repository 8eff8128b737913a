/** The bytes of a small body, gathered. */
import { MAX_SMALL_ZIP_BYTES } from './body-limits.ts';
import { bufferOf } from './body-source.ts';

/** Memory of bodies that are gathered, used again: to get some MiB from the system for each takes as long as to copy them. */
const keptMemory: Buffer[] = [];
const MAX_KEPT = 2;
/** Less is gathered in memory of its own. */
const LITTLE_BYTES = 64 * 1024;

export class GatheredBytes {
  bytes = 0;
  #pieces: Uint8Array[] = [];
  /** Once there is more than a little. */
  #memory: Buffer | undefined;

  add(chunk: Uint8Array): void {
    const start = this.bytes;
    this.bytes += chunk.length;
    if (this.#memory === undefined && this.bytes > LITTLE_BYTES && this.bytes <= MAX_SMALL_ZIP_BYTES) {
      this.#memory = keptMemory.pop() ?? Buffer.allocUnsafeSlow(MAX_SMALL_ZIP_BYTES);
      let at = 0;
      for (const piece of this.#pieces) {
        this.#memory.set(piece, at);
        at += piece.length;
      }
      this.#pieces = [];
    }
    if (this.#memory !== undefined && this.bytes <= MAX_SMALL_ZIP_BYTES) this.#memory.set(chunk, start);
    else this.#pieces.push(chunk);
  }

  /** Good until `release`. */
  whole(): Buffer {
    if (this.#memory !== undefined) return this.#memory.subarray(0, this.bytes);
    return this.#pieces.length === 1 ? bufferOf(this.#pieces[0]!) : Buffer.concat(this.#pieces);
  }

  /** For good. */
  take(): Uint8Array[] {
    const rest = this.#pieces.reduce((sum, { length }) => sum + length, 0);
    const taken = [...(this.#memory === undefined ? [] : [this.#memory.subarray(0, this.bytes - rest)]), ...this.#pieces];
    this.#memory = undefined;
    this.#pieces = [];
    return taken;
  }

  release(): void {
    if (this.#memory !== undefined && keptMemory.length < MAX_KEPT) keptMemory.push(this.#memory);
    this.#memory = undefined;
    this.#pieces = [];
  }
}
