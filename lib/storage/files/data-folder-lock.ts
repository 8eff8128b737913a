import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
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
 * @param base the data folder; made if missing
 * @param holder who asks, for the message to the next one
 * @throws DataFolderInUseError at once, also when the holder is this very process
 */
export async function lockDataFolder(base: string, holder: DataFolderHolder = 'server'): Promise<DataFolderLock> {
  const folder = join(resolve(base), '.anki-sync');
  makeFolder(resolve(base));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  syncFolder(resolve(base));
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
  try {
    // only for the message above; the lock does not depend on it
    const about: HolderFile = { holder, pid: process.pid, host: hostname(), sinceSecs: Math.floor(Date.now() / 1000) };
    await writeFile(`${holderPath}.new`, JSON.stringify(about));
    await rename(`${holderPath}.new`, holderPath);
  } catch (error) {
    db.close();
    throw error;
  }
  held.add(db);
  let released: Promise<void> | undefined;
  const release = (): Promise<void> => rm(holderPath, { force: true }).finally(() => {
    held.delete(db);
    db.close();
  });
  return { release: () => (released ??= release()) };
}

interface HolderFile {
  holder: DataFolderHolder;
  pid: number;
  host: string;
  sinceSecs: number;
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
