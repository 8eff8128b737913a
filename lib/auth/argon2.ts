import { argon2Sync, type Argon2Parameters } from 'node:crypto';
import { Worker } from 'node:worker_threads';

export interface Argon2Call {
  id: number;
  parameters: Argon2Parameters;
}

export type Argon2Answer = { id: number; hash: Uint8Array } | { id: number; failure: string };

/** Then the thread ends, and its own memory with it. The next login starts another. */
const IDLE_MILLIS = 30_000;
/** `.ts` from a checkout, `.js` from the package. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf('.'));

let thread: Argon2Thread | undefined;

/**
 * A hash by argon2id, computed in one thread for the whole process, one after the other: as many logins as in several, since each keeps
 * a core busy, and syncs have the others. glibc keeps twice the memory of the last hash for every thread that ever computed one: 38 MiB
 * here, and 150 MiB in the four of libuv's pool.
 */
export function argon2id(parameters: Argon2Parameters): Promise<Buffer> {
  thread ??= new Argon2Thread(() => (thread = undefined));
  return thread.hash(parameters);
}

let works: boolean | undefined;

/** A Node.js that a distribution linked to OpenSSL before 3.2 has the function, and throws when it is called. */
export function hasArgon2(): boolean {
  if (works === undefined) {
    try {
      argon2Sync('argon2id', { message: '', nonce: Buffer.alloc(8), memory: 8, passes: 1, parallelism: 1, tagLength: 16 });
      works = true;
    } catch {
      works = false;
    }
  }
  return works;
}

interface Waiting {
  resolve: (hash: Buffer) => void;
  reject: (error: Error) => void;
}

/** Keeps the process alive only while it computes. */
class Argon2Thread {
  readonly #worker: Worker;
  readonly #gone: () => void;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(gone: () => void) {
    this.#gone = gone;
    this.#worker = new Worker(new URL(`./argon2-thread${EXTENSION}`, import.meta.url), {
      name: 'anki-sync argon2',
      // a thread needs none of the process's secrets, and not all of its flags suit a file
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 16 },
    });
    this.#worker.on('message', (answer: Argon2Answer) => this.#answered(answer));
    this.#worker.on('error', (error) => this.#lost(error as Error));
    this.#worker.on('exit', () => this.#lost(new Error('the thread ended')));
  }

  hash(parameters: Argon2Parameters): Promise<Buffer> {
    clearTimeout(this.#idle);
    this.#worker.ref();
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, parameters } satisfies Argon2Call);
    });
  }

  #answered(answer: Argon2Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) {
      this.#worker.unref();
      this.#idle = setTimeout(() => {
        this.#gone();
        void this.#worker.terminate();
      }, IDLE_MILLIS).unref();
    }
    if ('hash' in answer) waiting?.resolve(Buffer.from(answer.hash));
    else waiting?.reject(new Error(answer.failure));
  }

  #lost(error: Error): void {
    clearTimeout(this.#idle);
    this.#gone();
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
