/** Does to a copy of a folder what a log says was done to the folder: after each operation, the copy is what a kill there leaves. */
import {
  chmodSync, closeSync, cpSync, existsSync, fstatSync, ftruncateSync, linkSync, lstatSync, mkdirSync, openSync, readdirSync, renameSync, rmdirSync, rmSync,
  symlinkSync, unlinkSync, writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Operation } from './operations.ts';

export class Replay {
  /** The copy. */
  readonly folder: string;
  readonly #original: string;
  /** Where each file of the original is in the copy, by its inode there; a file may have several names. */
  readonly #names = new Map<number, Set<string>>();

  /** Copies the folder as it is now, without SQLite's shared memory: nobody may be changing it. */
  constructor(original: string, folder: string) {
    this.#original = original;
    this.folder = folder;
    rmSync(folder, { recursive: true, force: true });
    cpSync(original, folder, { recursive: true, filter: (path) => !path.endsWith('-shm') && !lstatSync(path).isSocket() });
    for (const entry of readdirSync(original, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile()) this.#name(lstatSync(path).ino, this.#place(path));
    }
  }

  /** `half`: only half of the bytes of a write. */
  apply(operation: Operation, half = false): void {
    const { kind, path, path2, inode, offset, length, result, mode, data } = operation;
    if (result < 0) return;
    const place = this.#place(path);
    switch (kind) {
      case 'create':
        closeSync(openSync(place, 'w', mode));
        this.#names.delete(inode);
        this.#name(inode, place);
        return;
      case 'write':
        return this.#within(inode, (file) => void writeSync(file, data, 0, half ? length >> 1 : length, offset));
      case 'truncate':
        return this.#within(inode, (file) => ftruncateSync(file, length));
      case 'allocate':
        return this.#within(inode, (file) => {
          if (mode === 0 && fstatSync(file).size < offset + length) ftruncateSync(file, offset + length);
        });
      case 'rename': {
        const target = this.#place(path2);
        renameSync(place, target);
        for (const names of this.#names.values()) names.delete(target);
        for (const names of this.#names.values()) {
          for (const name of [...names]) {
            if (name !== place && !name.startsWith(`${place}/`)) continue;
            names.delete(name);
            names.add(target + name.slice(place.length));
          }
        }
        return;
      }
      case 'unlink':
        if (existsSync(place) || lstatSync(place, { throwIfNoEntry: false }) !== undefined) unlinkSync(place);
        for (const names of this.#names.values()) names.delete(place);
        return;
      case 'rmdir':
        return rmdirSync(place);
      case 'mkdir':
        return mkdirSync(place, { mode });
      case 'link':
        linkSync(place, this.#place(path2));
        return this.#name(inode, this.#place(path2));
      case 'symlink':
        return symlinkSync(data.toString(), place);
      case 'chmod':
        // sockets are made unseen
        return existsSync(place) ? chmodSync(place, mode) : undefined;
      case 'sync':
      case 'datasync':
      case 'times':
      case 'answer':
        return;
    }
  }

  #place(path: string): string {
    return this.folder + path.slice(this.#original.length);
  }

  #name(inode: number, place: string): void {
    this.#names.set(inode, (this.#names.get(inode) ?? new Set()).add(place));
  }

  /** What is written to a file that has no name any more is gone with it. */
  #within(inode: number, change: (file: number) => void): void {
    const [place] = this.#names.get(inode) ?? [];
    if (place === undefined) return;
    const file = openSync(place, 'r+');
    try {
      change(file);
    } finally {
      closeSync(file);
    }
  }
}
