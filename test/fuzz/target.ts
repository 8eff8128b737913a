/** The parent's side of the server under fire. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SqliteUsers } from '../../lib/auth/sqlite-users.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import type { LogEntry } from '../../lib/options.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PROGRAM = fileURLToPath(new URL('target-process.ts', import.meta.url));

/** Signs anybody in. Of marks that are nowhere else, so that a few characters of it are recognised in a log. */
export const PASSWORD = '¤pw¤pw¤pw¤pw¤pw¤';
export const PASSWORD_MARK = '¤pw';
/** Short, so that a sync expires while one waits. */
export const SYNC_IDLE_MILLIS = 2_500;
export const CLOSE_IDLE_MILLIS = 1_500;

export interface Memory {
  /** Objects of the main thread, after the collection of garbage. */
  heapBytes: number;
  /** What those objects hold outside of the heap. */
  outsideBytes: number;
  residentBytes: number;
}

export interface Held extends Memory {
  /** Open files, sockets and pipes, while nobody's data is open. */
  handles: number;
}

export interface ToTarget {
  id: number;
  do: 'flush' | 'memory' | 'stop';
}

export type FromTarget = { port: number } | { log: LogEntry[] } | { done: number; memory?: Memory };

export class Target {
  readonly port: number;
  readonly base: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (memory: Memory | undefined) => void; reject: (error: Error) => void }>();
  #users: Promise<UsersDatabase> | undefined;
  #lastId = 0;
  #ended: string | undefined;

  private constructor(child: ChildProcess, port: number, base: string) {
    this.#child = child;
    this.port = port;
    this.base = base;
  }

  /** `root`: of another copy of the sources. `log` gets every line of the server. */
  static async start(options: { base: string; root?: string; log: (entry: LogEntry) => void }): Promise<Target> {
    const child = fork(PROGRAM, [options.root ?? ROOT, options.base], {
      execArgv: ['--expose-gc'],
      env: {},
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'advanced',
    });
    let output = '';
    for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-6000)));
    let target: Target | undefined;
    const port = await new Promise<number>((resolve, reject) => {
      child.on('message', (message: FromTarget) => {
        if ('port' in message) resolve(message.port);
        else if ('log' in message) message.log.forEach(options.log);
        else if (target !== undefined) target.#settle(message.done, message.memory);
      });
      child.once('exit', (code, signal) => {
        const words = `the server ended with ${code ?? signal}\n${output}`;
        reject(new Error(words));
        if (target !== undefined) target.#end(words);
      });
    });
    target = new Target(child, port, options.base);
    return target;
  }

  /** Why the server is gone, if it is. */
  get ended(): string | undefined {
    return this.#ended;
  }

  /** As `anki-sync user remove` does it, from another process than the server's. */
  async removeUser(name: string): Promise<void> {
    this.#users ??= UsersDatabase.open(this.base);
    await new SqliteUsers(await this.#users).remove(name);
  }

  /** Every line of the log so far has arrived then. */
  async flush(): Promise<void> {
    await this.#command('flush');
  }

  /** What it holds when nobody asks for anything: waits until the data of all users are closed. */
  async held(): Promise<Held> {
    for (let attempt = 0; attempt < 400 && this.#openFiles().some((path) => /\.anki2|media\.db|form-/.test(path)); attempt++) await sleep(50);
    const memory = (await this.#command('memory'))!;
    return { ...memory, handles: this.#openFiles().length };
  }

  async stop(): Promise<void> {
    await this.#users?.then((users) => users.close());
    if (this.#ended !== undefined) return;
    const exit = once(this.#child, 'exit');
    await Promise.race([this.#command('stop'), sleep(10_000, undefined, { ref: false })]).catch(() => {});
    const left = sleep(5_000, 'late', { ref: false });
    if ((await Promise.race([exit, left])) !== 'late') return;
    this.#child.kill('SIGKILL');
    await exit;
  }

  #openFiles(): string[] {
    const folder = `/proc/${this.#child.pid}/fd`;
    return readdirSync(folder).flatMap((name) => {
      try {
        return [readlinkSync(`${folder}/${name}`)];
      } catch {
        return []; // closed meanwhile
      }
    });
  }

  #command(what: ToTarget['do']): Promise<Memory | undefined> {
    if (this.#ended !== undefined) return Promise.reject(new Error(this.#ended));
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ do: what, id } satisfies ToTarget);
    });
  }

  #settle(id: number, memory: Memory | undefined): void {
    this.#waiting.get(id)?.resolve(memory);
    this.#waiting.delete(id);
  }

  #end(words: string): void {
    this.#ended = words;
    for (const { reject } of this.#waiting.values()) reject(new Error(words));
    this.#waiting.clear();
  }
}
