/**
 * Media files in a folder per user, as Anki's server lays them out:
 *
 * - `<base>/<folder>/media/`: one file per media name;
 * - `<base>/<folder>/.anki-sync-media/incoming/`: files on their way in or out; what an earlier process left there is removed;
 * - `<base>/<folder>/.anki-sync-media/staged/`: uploads as they came (`<id>-<n>.pack`), and what lies where in them (`<id>.json`):
 *   two files to be made durable instead of one per media file; small uploads one behind the other (`<id>.log`), see `staged-log.ts`;
 * - `<base>/<folder>/.anki-sync-media/mapped/`: files whose name the file system cannot hold, named by the SHA-1 of the name.
 *
 * What is ours is not inside `media/`, because users and Anki's own server list that folder.
 */
import { hash, randomUUID } from 'node:crypto';
import {
  type Dir, lstatSync, mkdtempSync, opendirSync, readFileSync, readdirSync, realpathSync, renameSync, rmdirSync, rmSync, statSync, unlinkSync, writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FileRange, MediaChange, MediaFiles, UserPlace } from '../storage.ts';
import { makeFolder, removeFile, syncFiles, syncFolder } from './durable.ts';
import { isFileName, isUnsafeName } from './file-name.ts';
import { StagedCopies } from './staged-copies.ts';
import { type NamedRange, readStagedLog, StagedLog } from './staged-log.ts';
import { StagedRanges } from './staged-ranges.ts';
import { userFolder } from './user-folder.ts';

export interface FolderMediaFilesOptions {
  /** Folder of all users. */
  base: string;
  /** Whether names that differ only by case are one file. Found out by trying, where it is not given. */
  caseInsensitive?: boolean;
}

interface Folders {
  media: string;
  incoming: string;
  staged: string;
  mapped: string;
  ranges: StagedRanges;
  /** Where small uploads go. */
  log: StagedLog | undefined;
}

/** One entry of `<id>.json`. */
interface StagedEntry {
  name: string;
  sha1: string;
  pack: string;
  offset: number;
  bytes: number;
}

/** Files that are written and synced together: all of them are open meanwhile. */
const SETTLED_AT_ONCE = 200;
/** Thousands may have come together, and other users share the thread. */
const TURN_MILLIS = 2;
const ID_CHARS = 36;

export default (options: FolderMediaFilesOptions): MediaFiles => new FolderMediaFiles(options);

export class FolderMediaFiles implements MediaFiles {
  readonly #options: FolderMediaFilesOptions;
  readonly #made = new Map<string, Folders>();
  #caseInsensitive: boolean | undefined;

  constructor(options: FolderMediaFilesOptions) {
    this.#options = options;
    this.#caseInsensitive = options.caseInsensitive;
  }

  async stagingFolder(user: UserPlace): Promise<string> {
    return this.#folders(user).incoming;
  }

  async stage(user: UserPlace, files: ({ name: string; sha1: string } & FileRange)[]): Promise<void> {
    if (files.length === 0) return;
    const folders = this.#folders(user);
    const id = randomUUID();
    const packs = new Map([...new Set(files.map(({ path }) => path))].map((path, index) => [path, `${id}-${index}.pack`]));
    const entries = files.map(({ path, name, sha1, offset, bytes }): StagedEntry => {
      return { name, sha1, pack: packs.get(path)!, offset, bytes };
    });
    const list = join(folders.staged, `${id}.json`);
    try {
      for (const [path, pack] of packs) renameSync(path, join(folders.staged, pack));
      writeFileSync(list, JSON.stringify(entries));
      await syncFiles([...[...packs.values()].map((pack) => join(folders.staged, pack)), list]);
      syncFolder(folders.staged);
    } catch (error) {
      for (const pack of packs.values()) removeFile(join(folders.staged, pack));
      removeFile(list);
      throw error;
    }
    addRanges(folders, id, entries);
  }

  async stageBytes(user: UserPlace, whole: Uint8Array, files: NamedRange[]): Promise<void> {
    if (files.length === 0) return;
    const folders = this.#folders(user);
    if (folders.log?.isOpen !== true) {
      folders.log?.close();
      folders.log = new StagedLog(folders.staged);
    }
    const { log } = folders;
    const id = idOf(basename(log.path));
    for (const range of await log.append(whole, files)) folders.ranges.add(id, range);
  }

  async settle(user: UserPlace, changes: MediaChange[]): Promise<void> {
    const folders = this.#folders(user);
    const touched = new Set<string>();
    for (let at = 0; at < changes.length; at += SETTLED_AT_ONCE) await this.#settleSome(folders, changes.slice(at, at + SETTLED_AT_ONCE), touched);
    for (const folder of touched) syncFolder(folder);
    for (const [id, paths] of folders.ranges.drop(changes.map(({ name }) => name))) dropUpload(folders, id, paths);
  }

  async discardStaged(user: UserPlace): Promise<void> {
    const folders = this.#folders(user);
    folders.log?.close();
    folders.log = undefined;
    // lists first: a pack without a list says nothing
    for (const name of readdirSync(folders.staged).sort((one, other) => Number(one.endsWith('.pack')) - Number(other.endsWith('.pack')))) {
      removeFile(join(folders.staged, name));
    }
    folders.ranges.clear();
  }

  async read(user: UserPlace, name: string, sha1: string): Promise<FileRange | null> {
    const folders = this.#folders(user);
    const staged = folders.ranges.find(name, sha1);
    if (staged !== undefined) return staged;
    const path = this.#find(folders, name);
    if (path === null) return null;
    // Anki accepts no empty media file: on a server that does not fsync, this is what a loss of power leaves
    const bytes = statSync(path).size;
    return bytes === 0 ? null : { path, offset: 0, bytes };
  }

  async hasAny(user: UserPlace): Promise<boolean> {
    const log = this.#made.get(user.folder)?.log;
    // between two uploads, one look instead of three folders
    if (log !== undefined && exists(log.path)) return true;
    const home = userFolder(this.#options.base, user);
    const own = join(home, '.anki-sync-media');
    return [join(home, 'media'), join(own, 'mapped'), join(own, 'staged')].some((folder) => !isEmpty(folder));
  }

  async release(user: UserPlace): Promise<void> {
    this.#made.get(user.folder)?.log?.close();
    this.#made.delete(user.folder);
  }

  async close(): Promise<void> {
    for (const { log } of this.#made.values()) log?.close();
    this.#made.clear();
  }

  #folders(user: UserPlace): Folders {
    const known = this.#made.get(user.folder);
    if (known !== undefined) return known;
    const home = userFolder(this.#options.base, user);
    const own = join(home, '.anki-sync-media');
    const folders = {
      media: join(home, 'media'),
      incoming: join(own, 'incoming'),
      staged: join(own, 'staged'),
      mapped: join(own, 'mapped'),
      ranges: new StagedRanges(),
      log: undefined,
    };
    for (const folder of [folders.media, folders.incoming, folders.staged, folders.mapped]) makeFolder(folder);
    removeOlderThanProcess(folders.incoming);
    this.#caseInsensitive ??= ignoresCase(own);
    for (const name of readdirSync(folders.staged)) {
      const path = join(folders.staged, name);
      if (name.endsWith('.json')) addRanges(folders, idOf(name), readList(path));
      if (name.endsWith('.log')) for (const range of readStagedLog(path)) folders.ranges.add(idOf(name), range);
    }
    this.#made.set(user.folder, folders);
    return folders;
  }

  async #settleSome(folders: Folders, changes: MediaChange[], touched: Set<string>): Promise<void> {
    const written = new Map<string, string>();
    const copies = new StagedCopies();
    let turnEndsMillis = performance.now() + TURN_MILLIS;
    try {
      for (const change of changes) {
        const range = change.deleted === true ? undefined : folders.ranges.find(change.name, change.sha1);
        if (range === undefined) continue;
        const path = join(folders.incoming, `settle-${randomUUID()}`);
        written.set(change.name, path);
        copies.copy(range, path);
        if (performance.now() < turnEndsMillis) continue;
        await nextTurn();
        turnEndsMillis = performance.now() + TURN_MILLIS;
      }
      // before the rename, so that whoever reads the folder after a loss of power finds no torn file
      await copies.durable();
      for (const change of changes) {
        if (change.deleted === true) this.#remove(folders, change.name, touched);
        const path = written.get(change.name);
        if (path === undefined) continue;
        this.#replace(folders, change.name, path, touched);
        written.delete(change.name);
      }
    } finally {
      await copies.close();
      for (const path of written.values()) removeFile(path);
    }
  }

  /** The file of a name, or null. */
  #find(folders: Folders, name: string): string | null {
    const mapped = this.#mapped(folders, name);
    if (mapped !== null) return mapped;
    const plain = join(folders.media, name);
    return isFileName(name) && exists(plain) && this.#isNamed(plain, name) ? plain : null;
  }

  #mapped({ mapped }: Folders, name: string): string | null {
    if (isUnsafeName(name)) throw new Error('a media name must not be a path');
    const path = join(mapped, hash('sha1', name));
    return exists(path) ? path : null;
  }

  #remove(folders: Folders, name: string, touched: Set<string>): void {
    const path = this.#find(folders, name);
    if (path === null) return;
    unlinkSync(path);
    touched.add(dirname(path));
  }

  /** Renames a file to the place of its name; the earlier file of that name is gone after that, wherever it was. */
  #replace(folders: Folders, name: string, from: string, touched: Set<string>): void {
    const plain = join(folders.media, name);
    if (this.#mapped(folders, name) === null && isFileName(name) && !this.#clashes(plain, name)) {
      try {
        renameSync(from, plain);
        touched.add(folders.media);
        return;
      } catch (error) {
        if (!isNameRefused(error)) throw error;
      }
    }
    renameSync(from, join(folders.mapped, hash('sha1', name)));
    touched.add(folders.mapped);
  }

  /** Whether a file of another name, that differs by case, is in the place. */
  #clashes(plain: string, name: string): boolean {
    return this.#caseInsensitive === true && exists(plain) && !this.#isNamed(plain, name);
  }

  /** Whether the file that answers to a path has exactly this name, and not another one of different case. */
  #isNamed(path: string, name: string): boolean {
    return this.#caseInsensitive !== true || basename(realpathSync.native(path)).normalize('NFC') === name;
  }
}

function addRanges({ ranges, staged }: Folders, id: string, entries: StagedEntry[]): void {
  for (const { name, sha1, pack, offset, bytes } of entries) ranges.add(id, { name, sha1, path: join(staged, pack), offset, bytes });
}

/** What its files have in common: `<id>.log`, or `<id>.json` and `<id>-<n>.pack`. */
function idOf(fileName: string): string {
  return fileName.slice(0, ID_CHARS);
}

/** Of an upload whose files are all in their places. The list first: a pack without a list says nothing. */
function dropUpload(folders: Folders, id: string, paths: Iterable<string>): void {
  if (folders.log !== undefined && idOf(basename(folders.log.path)) === id) {
    folders.log.close();
    folders.log = undefined;
  }
  removeFile(join(folders.staged, `${id}.json`));
  for (const path of paths) removeFile(path);
}

/** A list that was not finished was never relied on: the index changes only after it is durable. */
function readList(path: string): StagedEntry[] {
  try {
    const entries = JSON.parse(readFileSync(path, 'utf8')) as StagedEntry[];
    return entries.every(({ pack }) => exists(join(dirname(path), pack))) ? entries : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

/** Also true of a folder that is not there. Looks at one entry: folders of media have many. */
function isEmpty(folder: string): boolean {
  let entries: Dir;
  try {
    entries = opendirSync(folder, { bufferSize: 1 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    throw error;
  }
  try {
    return entries.readSync() === null;
  } finally {
    entries.closeSync();
  }
}

function exists(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === false;
  } catch (error) {
    if (isNameRefused(error)) return false;
    throw error;
  }
}

/** ENAMETOOLONG also on ext4-based eCryptFS (143 bytes); EILSEQ on APFS for characters that Unicode has not assigned. */
function isNameRefused(error: unknown): boolean {
  return ['ENAMETOOLONG', 'EILSEQ', 'EINVAL', 'EISDIR', 'ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** A body that is still being received is younger than the process that receives it. */
function removeOlderThanProcess(folder: string): void {
  const startMillis = Date.now() - process.uptime() * 1000;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const touchedMillis = lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? startMillis;
    if (touchedMillis < startMillis) rmSync(path, { force: true, recursive: true });
  }
}

function ignoresCase(folder: string): boolean {
  const probe = mkdtempSync(join(folder, 'Case-'));
  try {
    writeFileSync(join(probe, 'A'), '');
    return lstatSync(join(probe, 'a'), { throwIfNoEntry: false }) !== undefined;
  } finally {
    removeFile(join(probe, 'A'));
    rmdirSync(probe);
  }
}
