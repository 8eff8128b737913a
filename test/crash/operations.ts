/**
 * Steers and reads `file-operations.c`: every operation of a process that changes files below a folder is counted, can be
 * written down, can be the one at which the process ends, or can fail. Linux with glibc only.
 */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, realpathSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../oracle/anki-python.ts';

const SOURCE = fileURLToPath(new URL('file-operations.c', import.meta.url));
const CACHE = fileURLToPath(new URL('../../.cache', import.meta.url));

/** Why nothing can be counted on this system, or undefined if it can. Installs Debian's compiler where the user is root. */
export async function whyNotHere(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `file operations are counted on Linux only, and this is ${process.platform}`;
  const report = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  if (report.header.glibcVersionRuntime === undefined) return 'file operations are counted with glibc only';
  const works = (): Promise<boolean> => run('cc', ['--version']).then(() => true, () => false);
  if (await works()) return undefined;
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    await run('apt-get', ['update', '-qq']);
    await run('apt-get', ['install', '-y', '-qq', 'gcc', 'libc6-dev']);
    return undefined;
  }
  return 'file operations are counted with a small C library, and there is no C compiler (cc)';
}

let compiled: Promise<string> | undefined;

/** Path of the compiled library. Safe to call from several test processes at once. */
export function library(): Promise<string> {
  return (compiled ??= compile());
}

async function compile(): Promise<string> {
  const version = createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 16);
  const path = join(CACHE, `file-operations-${version}.so`);
  if (existsSync(path)) return path;
  mkdirSync(CACHE, { recursive: true });
  const own = `${path}.${process.pid}`;
  await run('cc', ['-O1', '-Wall', '-shared', '-fPIC', '-o', own, SOURCE, '-ldl', '-lpthread']);
  renameSync(own, path);
  return path;
}

/** Numbers of the log. */
export const KINDS = {
  create: 1,
  truncate: 2,
  write: 3,
  sync: 4,
  datasync: 5,
  rename: 6,
  unlink: 7,
  rmdir: 8,
  mkdir: 9,
  link: 10,
  symlink: 11,
  chmod: 12,
  times: 13,
  allocate: 14,
  answer: 32,
} as const;

export type Kind = keyof typeof KINDS;

const KIND_OF: ReadonlyMap<number, Kind> = new Map(Object.entries(KINDS).map(([kind, number]) => [number, kind as Kind] as const));

/** What takes space on the disk. */
export const NEED_SPACE: readonly Kind[] = ['create', 'write', 'mkdir', 'link', 'symlink', 'rename', 'allocate', 'sync', 'datasync'];

export const ALL_KINDS = Object.keys(KINDS).filter((kind) => kind !== 'answer') as Kind[];

export interface Operation {
  kind: Kind;
  /** From 1 since it was armed; 0 while it was not, and for answers. */
  number: number;
  /** Absolute. Empty for answers. */
  path: string;
  /** Of rename and link. */
  path2: string;
  /** Of the file at `path`, for rename, link and unlink before them; 0 where it is not known. Tells files apart that were renamed or removed. */
  inode: number;
  offset: number;
  /** Bytes written; the new size of truncate; of an answer, all its bytes. */
  length: number;
  /** As the caller got it; below 0: -errno, and nothing happened. */
  result: number;
  /** Permissions of create, mkdir and chmod; flags of rename. */
  mode: number;
  /** Of write: what was written. Of answer: the first 64 KiB of it, just before it left. Of symlink: where it points. */
  data: Buffer;
}

const HEAD_BYTES = 64;

/** The records of a log from a byte on, in the order in which they happened. A record that is still being written is left out. */
export function readOperations(logPath: string, fromByte = 0): Operation[] {
  if (!existsSync(logPath)) return [];
  const log = readFileSync(logPath);
  const operations: Operation[] = [];
  for (let at = fromByte; at + HEAD_BYTES <= log.length; ) {
    const bytes = log.readUInt32LE(at);
    if (at + bytes > log.length) break;
    const [pathBytes, path2Bytes, dataBytes] = [log.readUInt16LE(at + 6), log.readUInt16LE(at + 8), log.readUInt32LE(at + 12)];
    const pathAt = at + HEAD_BYTES;
    const dataAt = pathAt + pathBytes + path2Bytes;
    operations.push({
      kind: KIND_OF.get(log.readUInt16LE(at + 4))!,
      number: Number(log.readBigUInt64LE(at + 16)),
      inode: Number(log.readBigUInt64LE(at + 24)),
      offset: Number(log.readBigInt64LE(at + 32)),
      length: Number(log.readBigInt64LE(at + 40)),
      result: Number(log.readBigInt64LE(at + 48)),
      mode: log.readUInt32LE(at + 56),
      path: log.toString('utf8', pathAt, pathAt + pathBytes),
      path2: log.toString('utf8', pathAt + pathBytes, dataAt),
      data: log.subarray(dataAt, dataAt + dataBytes),
    });
    at += bytes;
  }
  return operations;
}

export type DiskError = 'ENOSPC' | 'EDQUOT' | 'EIO' | 'EROFS';

const WHAT_OFFSET = 0;
const COUNT_OFFSET = 8;
const FAILED_OFFSET = 40;
const CONTROL_BYTES = 48;
const [NOTHING, COUNT, KILL_BEFORE, KILL_WITHIN, FAIL] = [0, 1, 2, 3, 4];

/** Steers one process through a file that it has mapped, at any time while it runs. Numbers of operations begin at 1 with each call. */
export class Control {
  readonly path: string;
  readonly #file: number;

  constructor(path: string) {
    this.path = path;
    writeFileSync(path, Buffer.alloc(CONTROL_BYTES));
    this.#file = openSync(path, 'r+');
  }

  /** Lets everything pass, and counts nothing. */
  off(): void {
    this.#arm(NOTHING!);
  }

  count(): void {
    this.#arm(COUNT!);
  }

  /** Ends the process just before the operation, or in its middle: half of the bytes of a write are then written; others are done. */
  kill(number: number, within = false): void {
    this.#arm(within ? KILL_WITHIN! : KILL_BEFORE!, { first: number });
  }

  /** Of the operations from `first` to `last`, those of the given kinds fail. */
  fail(error: DiskError, options: { first?: number; last?: number; kinds?: readonly Kind[] } = {}): void {
    const { first = 1, last = Number.MAX_SAFE_INTEGER, kinds = ALL_KINDS } = options;
    this.#arm(FAIL!, { error: constants.errno[error], first, last, kinds });
  }

  /** How many operations there were since it was told what to do. */
  counted(): number {
    return this.#read(COUNT_OFFSET);
  }

  /** How many of them failed. */
  failed(): number {
    return this.#read(FAILED_OFFSET);
  }

  close(): void {
    closeSync(this.#file);
  }

  #arm(what: number, { error = 0, first = 0, last = 0, kinds = [] }: { error?: number; first?: number; last?: number; kinds?: readonly Kind[] } = {}): void {
    const state = Buffer.alloc(CONTROL_BYTES);
    state.writeInt32LE(error, 4);
    state.writeBigUInt64LE(BigInt(first), 16);
    state.writeBigUInt64LE(BigInt(last), 24);
    state.writeBigUInt64LE(kinds.reduce((bits, kind) => bits | (1n << BigInt(KINDS[kind])), 0n), 32);
    const word = Buffer.alloc(4);
    writeSync(this.#file, word, 0, 4, WHAT_OFFSET);
    writeSync(this.#file, state, 0, CONTROL_BYTES, 0);
    word.writeUInt32LE(what);
    writeSync(this.#file, word, 0, 4, WHAT_OFFSET);
  }

  #read(offset: number): number {
    const state = Buffer.alloc(8);
    readSync(this.#file, state, 0, 8, offset);
    return Number(state.readBigUInt64LE());
  }
}

export interface Watch {
  /** Operations below this folder are seen. It must be there. */
  folder: string;
  /** Records are appended to this file. It must not lie in the folder. */
  log?: string;
  control?: Control;
}

/** Environment of a process whose operations are to be seen. */
export async function watched({ folder, log, control }: Watch): Promise<Record<string, string>> {
  return {
    LD_PRELOAD: await library(),
    UV_USE_IO_URING: '0',
    FILE_OPERATIONS_FOLDER: realpathSync(folder),
    ...(log === undefined ? {} : { FILE_OPERATIONS_LOG: log }),
    ...(control === undefined ? {} : { FILE_OPERATIONS_CONTROL: control.path }),
  };
}
