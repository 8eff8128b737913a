import { randomUUID } from 'node:crypto';
import { readFileSync, statfsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { makeFolder, syncFolder } from './durable.ts';

/** Another server or command holds the data folder. For the operator; never reaches a request. */
export class DataFolderInUseError extends Error {
  readonly code = 'DATA_FOLDER_IN_USE';

  constructor(message: string) {
    super(message);
    this.name = 'DataFolderInUseError';
  }
}

/** Who works on a data folder: a server, or a command that needs it for itself. */
export type DataFolderHolder = 'server' | 'anki-sync import' | 'anki-sync check' | 'anki-sync backup' | 'anki-sync restore';

export interface LockOptions {
  /** Called when another machine has taken the folder all the same. Nothing may be written to it any more. */
  lost?: (words: string) => void;
  /** For tests: as if other machines could have the folder too. */
  shared?: boolean;
  /** For tests: as if on another machine. */
  kernel?: string;
  /** For tests: how often the holder gives a sign of life. */
  signMillis?: number;
}

const SIGN_MILLIS = 3_000;
const MOUNT_HINT = 'NFS must not be mounted with nolock or local_lock, SMB not with nobrl';

/** Held by a server as long as it runs. Commands that manage users do not take it: they run beside the server. */
export interface DataFolderLock {
  release(): Promise<void>;
}

/** A caller that drops its lock must not lose it to the garbage collector. */
const held = new Set<Database.Database>();

/**
 * Makes this process the only server on a data folder: two would each hold open collections, and lose each other's writes.
 *
 * The lock is SQLite's own, on a file that stays empty: the operating system ends it with the process, whatever kills
 * it, so there is no stale lock, no process id to mistake and no clock to trust. It holds across containers on one
 * machine, and on network file systems that lock (NFS with its lock service, SMB); one that does not lock is refused
 * where it says so. Nothing else in this process may open `lock.db`: POSIX drops a process's locks on a file with the first
 * handle that it closes.
 *
 * Some network file systems only pretend to lock (NFS with `nolock`, SMB with `nobrl`, most of FUSE). So wherever another machine
 * could be, the holder also gives signs of life in `server.json`. Where a holder on another machine left that file, it is watched for some seconds, and a change
 * means that it lives. And a holder that finds the signs of another one there has lost the folder.
 *
 * @param base the data folder; made if missing
 * @param holder who asks, for the message to the next one
 * @throws DataFolderInUseError at once, also when the holder is this very process
 */
export async function lockDataFolder(base: string, holder: DataFolderHolder = 'server', options: LockOptions = {}): Promise<DataFolderLock> {
  const { lost, kernel = kernelId(), signMillis = SIGN_MILLIS } = options;
  const folder = join(resolve(base), '.anki-sync');
  makeFolder(resolve(base));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  syncFolder(resolve(base));
  const shared = options.shared ?? mayBeShared(folder);
  const holderPath = join(folder, 'server.json');
  const db = new Database(join(folder, 'lock.db'), { timeout: 0 });
  try {
    // the rollback journal's lock of the whole file; WAL would need shared memory, which network file systems lack
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    const { code, message } = error as { code?: string; message: string };
    if (code?.startsWith('SQLITE_BUSY') !== true) throw new Error(`the data folder ${base} cannot be locked on its file system (${code}: ${message})`, { cause: error });
    throw new DataFolderInUseError(await inUse(base, holderPath));
  }
  const about: HolderFile = { holder, pid: process.pid, host: hostname(), sinceSecs: Math.floor(Date.now() / 1000), kernel, id: randomUUID() };
  let sign = 0;
  // in place, since a network file system shows other machines a new file of the same name late
  const giveSign = (): Promise<void> => writeFile(holderPath, JSON.stringify({ ...about, sign: sign++ }));
  try {
    if (shared && await livesElsewhere(holderPath, kernel, signMillis)) {
      throw new DataFolderInUseError(`${await inUse(base, holderPath)}. Its file system does not lock between machines (${MOUNT_HINT})`);
    }
    await giveSign();
  } catch (error) {
    db.close();
    throw error;
  }
  held.add(db);
  let signing: Promise<void> = Promise.resolve();
  const timer = !shared ? undefined : setInterval(() => {
    signing = signing.then(async () => {
      const other = await holderIn(holderPath);
      if (other === undefined || other.id === about.id) return giveSign();
      clearInterval(timer);
      lost?.(`${await inUse(base, holderPath)}. It started although this one runs: the file system does not lock between machines (${MOUNT_HINT})`);
    }).catch(() => {}); // a full disk, a server that is away: the lock itself does not depend on it
  }, signMillis).unref();
  const release = async (): Promise<void> => {
    clearInterval(timer);
    await signing;
    try {
      if ((await holderIn(holderPath))?.id === about.id) await rm(holderPath, { force: true });
    } finally {
      held.delete(db);
      db.close();
    }
  };
  let released: Promise<void> | undefined;
  return { release: () => (released ??= release()) };
}

/** Whether the file that a holder left changes within two and a half of its signs. Of this machine, the lock alone decides. */
async function livesElsewhere(holderPath: string, kernel: string, signMillis: number): Promise<boolean> {
  const left = await readFile(holderPath, 'utf8').catch(() => undefined);
  const about = await holderIn(holderPath);
  if (left === undefined || about?.kernel === undefined || about.kernel === kernel) return false;
  for (let times = 0; times < 10; times += 1) {
    await sleep(signMillis / 4);
    const now = await readFile(holderPath, 'utf8').catch(() => undefined);
    if (now === undefined) return false;
    if (now !== '' && now !== left) return true;
  }
  return false;
}

/** File systems that one machine has for itself, by the `f_type` of Linux; the locks of one machine are enough there. */
const LOCAL_TYPES = new Set([
  0xef53, // ext
  0x58465342, // xfs
  0x9123683e, // btrfs
  0x2fc12fc1, // zfs
  0xf2f52010, // f2fs
  0xca451a4e, // bcachefs
  0x01021994, // tmpfs
  0x794c7630, // overlay, in containers
]);

function mayBeShared(folder: string): boolean {
  return process.platform === 'linux' && !LOCAL_TYPES.has(statfsSync(folder).type);
}

/** The running kernel: containers of one machine share it, and its locks. */
function kernelId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return hostname();
  }
}

/** What the file says, or undefined where there is none or it is half written. */
async function holderIn(path: string): Promise<HolderFile | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as HolderFile;
  } catch {
    return undefined;
  }
}

interface HolderFile {
  holder: DataFolderHolder;
  pid: number;
  host: string;
  sinceSecs: number;
  kernel?: string;
  /** Of this very lock. */
  id?: string;
}

async function inUse(base: string, holderPath: string): Promise<string> {
  let about: HolderFile;
  let since: string;
  try {
    about = JSON.parse(await readFile(holderPath, 'utf8')) as HolderFile;
    since = new Date(about.sinceSecs * 1000).toISOString();
  } catch {
    return `another server or anki-sync command is at work on the data folder ${base}: stop it first, or use another folder`;
  }
  const { holder, pid, host } = about;
  const who = `(process ${pid} on ${host}, since ${since})`;
  if (holder === undefined || holder === 'server') {
    return `another server is running on the data folder ${base} ${who}: stop it first, or use another folder`;
  }
  return `${holder} is at work on the data folder ${base} ${who}: wait until it is done, or use another folder`;
}
