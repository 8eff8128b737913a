/** A server under measurement: started as a process of its own, with what Linux tells about it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, openSync, closeSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { User } from './user.ts';

/** Of `/proc/PID/stat`: Linux counts CPU time in hundredths of a second. */
const MILLIS_PER_TICK = 10;
const START_MILLIS = 120_000;

export class ServerProcess {
  readonly label: string;
  readonly port: number;
  /** Folder of the data folders and of the log. */
  readonly scratch: string;
  readonly #command: string[];
  #child: ChildProcess | null = null;
  /** So that a benchmark that fails leaves no server behind. */
  #killNow = (): void => {};

  /** `command` is started with the official server's environment: SYNC_BASE, SYNC_HOST, SYNC_PORT, SYNC_USER1 … */
  constructor(label: string, command: string[], port: number, scratch: string) {
    this.label = label;
    this.#command = command;
    this.port = port;
    this.scratch = join(scratch, label);
    mkdirSync(this.scratch, { recursive: true });
  }

  /** Resolves with the milliseconds until `/health` answers. `folder` names the data folder, which stays between starts. */
  async start(folder: string, users: readonly User[]): Promise<number> {
    const base = join(this.scratch, folder);
    mkdirSync(base, { recursive: true });
    const env: NodeJS.ProcessEnv = { ...process.env, SYNC_BASE: base, SYNC_HOST: '127.0.0.1', SYNC_PORT: String(this.port), MAX_SYNC_PAYLOAD_MEGS: '1000' };
    users.forEach((user, i) => (env[`SYNC_USER${i + 1}`] = `${user.name}:${user.password}`));
    const log = openSync(join(this.scratch, 'server.log'), 'a');
    const begun = performance.now();
    const child = spawn(this.#command[0]!, this.#command.slice(1), { env, stdio: ['ignore', log, log] });
    closeSync(log);
    this.#child = child;
    this.#killNow = () => void child.kill('SIGKILL');
    process.once('exit', this.#killNow);
    for (;;) {
      if (child.exitCode !== null || performance.now() - begun > START_MILLIS) {
        throw new Error(`${this.label} did not start:\n${readFileSync(join(this.scratch, 'server.log'), 'utf8').slice(-2000)}`);
      }
      if (await fetch(`http://127.0.0.1:${this.port}/health`).then((answer) => answer.ok, () => false)) return performance.now() - begun;
      await sleep(2);
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    process.off('exit', this.#killNow);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const patience = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(patience);
  }

  /** User and system time of the process so far, in ms. */
  cpuMillis(): number {
    const stat = this.#proc('stat');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 15);
    return fields.reduce((sum, ticks) => sum + Number(ticks), 0) * MILLIS_PER_TICK;
  }

  residentMiB(): number {
    return this.#memory('VmRSS');
  }

  /** Highest resident memory since `resetPeak`. */
  peakMiB(): number {
    return this.#memory('VmHWM');
  }

  resetPeak(): void {
    writeFileSync(`/proc/${this.#child!.pid}/clear_refs`, '5');
  }

  openFiles(): number {
    return readdirSync(`/proc/${this.#child!.pid}/fd`).length;
  }

  #memory(field: string): number {
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(this.#proc('status'))![1]) / 1024;
  }

  #proc(file: string): string {
    return readFileSync(`/proc/${this.#child!.pid}/${file}`, 'utf8');
  }
}

/** What the figures need of the machine. */
export function assertMeasurable(): void {
  if (!existsSync('/proc/self/clear_refs')) throw new Error('the benchmark reads /proc: it runs on Linux only');
}
