/**
 * Media files in a folder per user, as Anki's server lays them out:
 *
 * - `<base>/<folder>/media/`: one file per media name;
 * - `<base>/<folder>/.anki-sync-media/incoming/`: files on their way in or out; what an earlier process left there is removed;
 * - `<base>/<folder>/.anki-sync-media/staged/`: durable, not yet current, named by the SHA-1 of the name and of the bytes;
 * - `<base>/<folder>/.anki-sync-media/mapped/`: files whose name the file system cannot hold, named by the SHA-1 of the name.
 *
 * What is ours is not inside `media/`, because users and Anki's own server list that folder.
 */
import { hash } from 'node:crypto';
import { lstatSync, mkdtempSync, readdirSync, realpathSync, renameSync, rmdirSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { MediaChange, MediaFiles, UserPlace } from '../storage.ts';
import { makeFolder, syncFiles, syncFolder } from './durable.ts';
import { isFileName, isUnsafeName } from './file-name.ts';
import { userFolder } from './user-folder.ts';

/** One change on the disk; `target` is the file's base name. */
export interface DiskOperation {
  kind: 'sync files' | 'stage' | 'sync staged' | 'replace' | 'remove' | 'sync media' | 'discard';
  target: string;
}

export interface FolderMediaFilesOptions {
  /** Folder of all users. */
  base: string;
  /** Whether names that differ only by case are one file. Found out by trying, where it is not given. */
  caseInsensitive?: boolean;
  /** Called before each change on the disk: the place where tests of crashes end the process. */
  beforeOperation?: (operation: DiskOperation) => void;
}

interface Folders {
  media: string;
  incoming: string;
  staged: string;
  mapped: string;
}

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

  async stage(user: UserPlace, files: { name: string; sha1: string; path: string }[]): Promise<void> {
    if (files.length === 0) return;
    const folders = this.#folders(user);
    const moves = files.map((file) => ({ from: file.path, to: join(folders.staged, stagedName(file.name, file.sha1)) }));
    try {
      // names first: their folder is then written with the journal of the data, and the last fsync has little to do
      for (const { from, to } of moves) {
        this.#before('stage', basename(to));
        renameSync(from, to);
      }
      this.#before('sync files', String(files.length));
      await syncFiles(moves.map(({ to }) => to));
      this.#before('sync staged', '');
      syncFolder(folders.staged);
    } catch (error) {
      for (const { to } of moves) rmSync(to, { force: true });
      throw error;
    }
  }

  async settle(user: UserPlace, changes: MediaChange[]): Promise<void> {
    if (changes.length === 0) return;
    const folders = this.#folders(user);
    let mapped = false;
    for (const change of changes) {
      if (change.deleted === true) {
        const path = this.#find(folders, change.name);
        if (path === null) continue;
        this.#before('remove', change.name);
        unlinkSync(path);
        mapped ||= path.startsWith(folders.mapped);
        continue;
      }
      const staged = join(folders.staged, stagedName(change.name, change.sha1));
      if (!exists(staged)) continue;
      this.#before('replace', change.name);
      mapped ||= this.#replace(folders, change.name, staged) === 'mapped';
    }
    this.#before('sync media', '');
    syncFolder(folders.media);
    if (mapped) syncFolder(folders.mapped);
  }

  async discardStaged(user: UserPlace): Promise<void> {
    const folders = this.#folders(user);
    for (const name of readdirSync(folders.staged)) {
      this.#before('discard', name);
      rmSync(join(folders.staged, name), { force: true });
    }
  }

  async read(user: UserPlace, name: string, sha1: string): Promise<{ path: string; bytes: number } | null> {
    const folders = this.#folders(user);
    const staged = join(folders.staged, stagedName(name, sha1));
    const path = exists(staged) ? staged : this.#find(folders, name);
    if (path === null) return null;
    // Anki accepts no empty media file: on a server that does not fsync, this is what a loss of power leaves
    const bytes = statSync(path).size;
    return bytes === 0 ? null : { path, bytes };
  }

  async release(user: UserPlace): Promise<void> {
    this.#made.delete(user.folder);
  }

  async close(): Promise<void> {
    this.#made.clear();
  }

  #before(kind: DiskOperation['kind'], target: string): void {
    this.#options.beforeOperation?.({ kind, target });
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
    };
    for (const folder of Object.values(folders)) makeFolder(folder);
    removeOlderThanProcess(folders.incoming);
    this.#caseInsensitive ??= ignoresCase(own);
    this.#made.set(user.folder, folders);
    return folders;
  }

  /** The file of a name, or null. */
  #find(folders: Folders, name: string): string | null {
    if (isUnsafeName(name)) throw new Error('a media name must not be a path');
    const mapped = join(folders.mapped, hash('sha1', name));
    if (exists(mapped)) return mapped;
    const plain = join(folders.media, name);
    return isFileName(name) && exists(plain) && this.#isNamed(plain, name) ? plain : null;
  }

  /** Renames a staged file to the place of its name; the earlier file of that name is gone after that, wherever it was. */
  #replace(folders: Folders, name: string, staged: string): 'plain' | 'mapped' {
    const current = this.#find(folders, name);
    const plain = join(folders.media, name);
    const mapped = join(folders.mapped, hash('sha1', name));
    const clashes = isFileName(name) && current === null && exists(plain);
    if (isFileName(name) && current !== mapped && !clashes) {
      try {
        renameSync(staged, plain);
        return 'plain';
      } catch (error) {
        if (!isNameRefused(error)) throw error;
      }
    }
    renameSync(staged, mapped);
    return 'mapped';
  }

  /** Whether the file that answers to a path has exactly this name, and not another one of different case. */
  #isNamed(path: string, name: string): boolean {
    return this.#caseInsensitive !== true || basename(realpathSync.native(path)).normalize('NFC') === name;
  }
}

function stagedName(name: string, sha1: string): string {
  return `${hash('sha1', name)}-${sha1}`;
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
    rmSync(join(probe, 'A'), { force: true });
    rmdirSync(probe);
  }
}
