/**
 * What a disk holds when the power goes. Fed with a log of file operations, it keeps apart what must be there (what fsync has
 * made durable) from what may be there (all that came since), and makes folders out of that.
 *
 * - Contents of a file are durable up to its last fsync or fdatasync. Of later writes any sectors may have survived.
 * - Names (created, renamed, removed, linked) are durable after fsync of their folder. `journal`: as on ext4 and XFS, any
 *   fsync takes all earlier changes of names along, and later ones survive in their order. `posix`: nothing but fsync of the very
 *   folder does, each folder loses changes of its own, and a rename between folders may leave both names or none.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Operation } from './operations.ts';

export type Order = 'journal' | 'posix';

/** What survives of what was not made durable; a number is a seed for chance. */
export type Survival = 'none' | 'all' | number;

interface FileNode {
  kind: 'file';
  mode: number;
  durable: Buffer;
  pending: ({ offset: number; data: Buffer } | { size: number })[];
}

interface LinkNode {
  kind: 'link';
  target: string;
}

interface FolderNode {
  kind: 'folder';
  mode: number;
  live: Map<string, Node>;
  durable: Map<string, Node>;
}

type Node = FileNode | LinkNode | FolderNode;

/** One change of a name; null: removed. */
interface NameChange {
  folder: FolderNode;
  name: string;
  node: Node | null;
}

const SECTOR_BYTES = [512, 4096] as const;

export class DiskModel {
  readonly #original: string;
  readonly #order: Order;
  readonly #root: FolderNode;
  /** In their order; those of one operation together. */
  #pendingNames: NameChange[][] = [];
  readonly #byInode = new Map<number, FileNode>();

  /** Of a folder as it is now, all of which is durable. */
  constructor(original: string, order: Order) {
    this.#original = original;
    this.#order = order;
    this.#root = this.#read(original);
  }

  apply(operation: Operation): void {
    const { kind, path, path2, inode, offset, length, result, mode, data } = operation;
    if (result < 0) return;
    switch (kind) {
      case 'create': {
        const node: FileNode = { kind: 'file', mode, durable: Buffer.alloc(0), pending: [] };
        this.#byInode.set(inode, node);
        return this.#rename([[path, node]]);
      }
      case 'write':
        return void this.#byInode.get(inode)?.pending.push({ offset, data: Buffer.from(data.subarray(0, length)) });
      case 'truncate':
        return void this.#byInode.get(inode)?.pending.push({ size: length });
      case 'allocate':
        return;
      case 'sync':
      case 'datasync':
        return this.#sync(operation);
      case 'rename': {
        const node = this.#at(path);
        if (node === undefined) throw new Error(`the log renames ${path}, which is not there`);
        return this.#rename([[path, null], [path2, node]]);
      }
      case 'unlink':
      case 'rmdir':
        return this.#at(path) === undefined ? undefined : this.#rename([[path, null]]);
      case 'mkdir':
        return this.#rename([[path, { kind: 'folder', mode, live: new Map(), durable: new Map() }]]);
      case 'link':
        return this.#rename([[path2, this.#at(path)!]]);
      case 'symlink':
        return this.#rename([[path, { kind: 'link', target: data.toString() }]]);
      case 'chmod':
      case 'times':
      case 'answer':
        return;
    }
  }

  /** How many changes could be lost now. */
  pending(): { names: number; files: number } {
    const files = [...this.#byInode.values()].filter((node) => node.pending.length > 0).length;
    return { names: this.#pendingNames.length, files };
  }

  /** Everything that may be there after a loss of power now, by path; folders are null. */
  survivors(names: Survival, data: Survival): Map<string, Buffer | LinkNode | null> {
    const folders = this.#foldersAfter(names);
    const chance = chanceOf(typeof data === 'number' ? data : 0);
    const contents = new Map<FileNode, Buffer>();
    const found = new Map<string, Buffer | LinkNode | null>();
    const walk = (folder: FolderNode, path: string): void => {
      for (const [name, node] of [...(folders.get(folder) ?? folder.durable)].sort(([a], [b]) => (a < b ? -1 : 1))) {
        const at = path === '' ? name : `${path}/${name}`;
        if (node.kind === 'folder') {
          found.set(at, null);
          walk(node, at);
        } else if (node.kind === 'link') {
          found.set(at, node);
        } else {
          if (!contents.has(node)) contents.set(node, contentAfter(node, data, chance));
          found.set(at, contents.get(node)!);
        }
      }
    };
    walk(this.#root, '');
    return found;
  }

  #foldersAfter(names: Survival): Map<FolderNode, Map<string, Node>> {
    const folders = new Map<FolderNode, Map<string, Node>>();
    if (names === 'none') return folders;
    const chance = chanceOf(typeof names === 'number' ? names : 0);
    const take = ({ folder, name, node }: NameChange): void => {
      if (!folders.has(folder)) folders.set(folder, new Map(folder.durable));
      if (node === null) folders.get(folder)!.delete(name);
      else folders.get(folder)!.set(name, node);
    };
    if (names === 'all') this.#pendingNames.flat().forEach(take);
    else if (this.#order === 'journal') this.#pendingNames.slice(0, chance(this.#pendingNames.length + 1)).flat().forEach(take);
    else {
      const touched = [...new Set(this.#pendingNames.flat().map(({ folder }) => folder))];
      for (const folder of touched) {
        const own = this.#pendingNames.map((changes) => changes.filter((change) => change.folder === folder)).filter((changes) => changes.length > 0);
        own.slice(0, chance(own.length + 1)).flat().forEach(take);
      }
    }
    return folders;
  }

  #sync({ kind, path, inode }: Operation): void {
    const named = this.#at(path);
    if (named?.kind === 'folder') {
      this.#settleNames(this.#order === 'journal' ? () => true : (change) => change.folder === named);
      return;
    }
    const file = this.#byInode.get(inode);
    if (file === undefined) return;
    file.durable = contentAfter(file, 'all', () => 0);
    file.pending = [];
    // fdatasync of bytes that were there before commits nothing else
    if (this.#order === 'journal' && kind === 'sync') this.#settleNames(() => true);
  }

  #settleNames(which: (change: NameChange) => boolean): void {
    for (const { folder, name, node } of this.#pendingNames.flat().filter(which)) {
      if (node === null) folder.durable.delete(name);
      else folder.durable.set(name, node);
    }
    this.#pendingNames = this.#pendingNames.map((changes) => changes.filter((change) => !which(change))).filter((changes) => changes.length > 0);
  }

  #rename(changes: [path: string, node: Node | null][]): void {
    const named = changes.map(([path, node]): NameChange => ({ ...this.#parent(path), node }));
    for (const { folder, name, node } of named) {
      if (node === null) folder.live.delete(name);
      else folder.live.set(name, node);
    }
    this.#pendingNames.push(named);
  }

  #parent(path: string): { folder: FolderNode; name: string } {
    const parts = this.#parts(path);
    const name = parts.pop();
    const folder = this.#walk(parts);
    if (name === undefined || folder?.kind !== 'folder') throw new Error(`the log has ${path}, whose folder is not there`);
    return { folder, name };
  }

  #at(path: string): Node | undefined {
    return this.#walk(this.#parts(path));
  }

  #parts(path: string): string[] {
    return path.slice(this.#original.length).split('/').filter((part) => part !== '');
  }

  #walk(parts: string[]): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const part of parts) node = node?.kind === 'folder' ? node.live.get(part) : undefined;
    return node;
  }

  #read(path: string): FolderNode {
    const entries = new Map<string, Node>();
    for (const name of readdirSync(path)) {
      const at = join(path, name);
      const stat = lstatSync(at);
      if (name.endsWith('-shm') || stat.isSocket()) continue;
      if (stat.isDirectory()) entries.set(name, this.#read(at));
      else if (stat.isSymbolicLink()) entries.set(name, { kind: 'link', target: readlinkSync(at) });
      else {
        const known = this.#byInode.get(stat.ino);
        const node: FileNode = known ?? { kind: 'file', mode: stat.mode & 0o777, durable: readFileSync(at), pending: [] };
        this.#byInode.set(stat.ino, node);
        entries.set(name, node);
      }
    }
    return { kind: 'folder', mode: lstatSync(path).mode & 0o777, live: entries, durable: new Map(entries) };
  }
}

export function signatureOf(found: ReadonlyMap<string, Buffer | LinkNode | null>): string {
  const digest = createHash('sha1');
  for (const [path, content] of found) {
    digest.update(`${path}\0`);
    digest.update(content === null ? 'folder' : Buffer.isBuffer(content) ? content : content.target).update('\0');
  }
  return digest.digest('hex');
}

export function writeFolder(folder: string, found: ReadonlyMap<string, Buffer | LinkNode | null>): void {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o700);
  for (const [path, content] of found) {
    const at = join(folder, path);
    if (content === null) mkdirSync(at);
    else if (Buffer.isBuffer(content)) writeFileSync(at, content);
    else symlinkSync(content.target, at);
  }
}

/** Bytes that never came to the disk inside of a file that did grow are zeros. */
function contentAfter({ durable, pending }: FileNode, data: Survival, chance: (below: number) => number): Buffer {
  if (data === 'none' || pending.length === 0) return durable;
  let content = Buffer.from(durable);
  const grow = (size: number): void => {
    if (size > content.length) content = Buffer.concat([content, Buffer.alloc(size - content.length)]);
  };
  const sector = SECTOR_BYTES[chance(2)]!;
  for (const change of pending) {
    if ('size' in change) {
      if (data !== 'all' && chance(2) === 0) continue;
      grow(change.size);
      content = Buffer.from(content.subarray(0, change.size));
      continue;
    }
    const { offset, data: bytes } = change;
    for (let at = 0; at < bytes.length; ) {
      const piece = Math.min(bytes.length - at, sector - ((offset + at) % sector));
      if (data === 'all' || chance(2) === 1) {
        grow(offset + at + piece);
        bytes.copy(content, offset + at, at, at + piece);
      }
      at += piece;
    }
  }
  return content;
}

/** Whole numbers from 0 on, below a bound; always the same ones for a seed (mulberry32). */
export function chanceOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
