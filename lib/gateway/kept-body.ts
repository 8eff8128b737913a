/** The body of a request on its way through, of which the beginning can be sent once more. */
import type { BodySource } from '../protocol/body-source.ts';

/** More than any request that begins a sync. */
const MAX_KEPT_BYTES = 256 * 1024;

export class KeptBody {
  readonly #source: BodySource;
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  /** Pieces that were let go. */
  #gone = 0;
  #pulling: Promise<boolean> | undefined;

  constructor(source: BodySource) {
    this.#source = source;
  }

  /** Whether everything that came so far is still here. */
  get isWhole(): boolean {
    return this.#gone === 0;
  }

  /** From the beginning, as fast as it is taken. For one reader at a time, and while `isWhole` for another one after it. */
  async *read(): AsyncGenerator<Uint8Array> {
    for (let index = 0; ; index++) {
      while (index >= this.#gone + this.#kept.length) if (!(await this.#pull())) return;
      const piece = this.#kept[index - this.#gone]!;
      if (this.#keptBytes > MAX_KEPT_BYTES) {
        this.#gone = index + 1;
        this.#kept = [];
      }
      yield piece;
    }
  }

  /** Lets the rest go by, so that the client comes to see its answer. */
  discard(): void {
    this.#source.discard();
  }

  /** A reader that was stopped may have been waiting: what it waited for is the next one's. */
  #pull(): Promise<boolean> {
    this.#pulling ??= this.#source.next().then((piece) => {
      if (piece === null) return false;
      this.#kept.push(piece);
      this.#keptBytes += piece.length;
      return true;
    }).finally(() => {
      this.#pulling = undefined;
    });
    return this.#pulling;
  }
}
