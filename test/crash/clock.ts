/** A clock that a test sets, for one process and all its threads. Linux with glibc; needs a C compiler, as `operations.ts` does. */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../oracle/anki-python.ts';

const SOURCE = fileURLToPath(new URL('clock.c', import.meta.url));
const CACHE = fileURLToPath(new URL('../../.cache', import.meta.url));

export class Clock {
  readonly #path: string;
  readonly #file: number;

  /** `path` is a new file for the offset. */
  constructor(path: string) {
    this.#path = path;
    writeFileSync(path, Buffer.alloc(8));
    this.#file = openSync(path, 'r+');
  }

  /** From now on, the process takes it to be so much later; below 0: earlier. */
  set(offsetSecs: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(offsetSecs));
    writeSync(this.#file, bytes, 0, 8, 0);
  }

  async environment(): Promise<Record<string, string>> {
    return { LD_PRELOAD: await library(), CLOCK_OFFSET: this.#path };
  }

  close(): void {
    closeSync(this.#file);
  }
}

async function library(): Promise<string> {
  const path = join(CACHE, `clock-${createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 16)}.so`);
  if (existsSync(path)) return path;
  mkdirSync(CACHE, { recursive: true });
  const own = `${path}.${process.pid}`;
  await run('cc', ['-O1', '-Wall', '-shared', '-fPIC', '-o', own, SOURCE, '-ldl']);
  renameSync(own, path);
  return path;
}
