import { SyncError } from '../errors.ts';

export interface FairQueueOptions {
  /** Works that run at the same time. */
  parallel: number;
  /** Of these, from one source. */
  parallelPerSource: number;
  /** Works that wait. */
  maxWaiting: number;
  /** Of these, from one source. */
  maxWaitingPerSource: number;
}

export interface Turn {
  /** Works of one source wait for each other before they keep anybody else waiting. */
  source: string;
  /** Sources that are known go first. */
  isKnown: boolean;
  /** May be everybody in one: only the bounds of all hold. */
  isShared: boolean;
  /** Whoever is gone when the turn comes does no work. */
  signal?: AbortSignal | undefined;
}

interface Waiting {
  start(): void;
  refuse(): void;
}

interface Source {
  running: number;
  isKnown: boolean;
  isShared: boolean;
  waiting: Waiting[];
}

/** Takes works by turns, one of each source, so that a source that sends a thousand delays the others by one. */
export class FairQueue {
  readonly #options: FairQueueOptions;
  /** In the order of their turns. */
  readonly #sources = new Map<string, Source>();
  #running = 0;
  #waiting = 0;

  constructor(options: FairQueueOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** @throws SyncError BUSY when too many wait, of this source or of all */
  async run<T>(turn: Turn, work: () => Promise<T>): Promise<T> {
    const source = this.#sourceOf(turn);
    if (this.#mayRun(source) && source.waiting.length === 0) this.#take(source);
    else await this.#wait(source, turn);
    try {
      if (turn.signal?.aborted === true) throw busy();
      return await work();
    } finally {
      source.running--;
      this.#running--;
      this.#next();
      this.#forget(turn.source, source);
    }
  }

  #sourceOf({ source: name, isKnown, isShared }: Turn): Source {
    let source = this.#sources.get(name);
    if (source === undefined) {
      source = { running: 0, isKnown, isShared, waiting: [] };
      this.#sources.set(name, source);
    }
    source.isKnown ||= isKnown;
    return source;
  }

  #mayRun(source: Source): boolean {
    return this.#running < this.#options.parallel && (source.isShared || source.running < this.#options.parallelPerSource);
  }

  #take(source: Source): void {
    source.running++;
    this.#running++;
  }

  #wait(source: Source, turn: Turn): Promise<void> {
    const { maxWaiting, maxWaitingPerSource } = this.#options;
    const isFull = !source.isShared && source.waiting.length >= maxWaitingPerSource;
    if (isFull || (this.#waiting >= maxWaiting && !this.#makeRoomFor(source))) {
      this.#forget(turn.source, source);
      throw busy();
    }
    return new Promise((resolve, reject) => {
      this.#waiting++;
      source.waiting.push({ start: resolve, refuse: () => reject(busy()) });
    });
  }

  /** The last of the source that has most waiting gives way: of strangers first, and not for a source that would have as many. */
  #makeRoomFor(arriving: Source): boolean {
    let longest: Source | undefined;
    for (const source of this.#sources.values()) {
      if (source.waiting.length === 0 || (source.isKnown && !arriving.isKnown)) continue;
      const isWorse = longest === undefined || (longest.isKnown && !source.isKnown)
        || (longest.isKnown === source.isKnown && source.waiting.length > longest.waiting.length);
      if (isWorse) longest = source;
    }
    if (longest === undefined || longest === arriving) return false;
    if (longest.isKnown === arriving.isKnown && longest.waiting.length <= arriving.waiting.length + 1) return false;
    this.#waiting--;
    longest.waiting.pop()!.refuse();
    return true;
  }

  #next(): void {
    if (this.#running >= this.#options.parallel) return;
    let next: [string, Source] | undefined;
    for (const entry of this.#sources) {
      const [, source] = entry;
      if (source.waiting.length === 0 || !this.#mayRun(source)) continue;
      next ??= entry;
      if (source.isKnown) {
        next = entry;
        break;
      }
    }
    if (next === undefined) return;
    const [name, source] = next;
    // its turn is over until everybody else had one
    this.#sources.delete(name);
    this.#sources.set(name, source);
    this.#waiting--;
    this.#take(source);
    source.waiting.shift()!.start();
  }

  #forget(name: string, source: Source): void {
    if (source.running === 0 && source.waiting.length === 0 && this.#sources.get(name) === source) this.#sources.delete(name);
  }
}

function busy(): SyncError {
  return new SyncError('BUSY', 'too many logins at once');
}
