/** Media without a disk: for tests, and to prove that the contracts need neither SQL nor a media folder. */
import { mkdtempSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileRange, MediaChange, MediaEntry, MediaFiles, MediaStore, MediaTotals, UserPlace } from '../storage.ts';

interface UserIndex {
  lastUsn: number;
  entries: Map<string, MediaEntry>;
  unsettled: Map<string, MediaChange>;
}

export class MemoryMediaStore implements MediaStore {
  readonly #users = new Map<string, UserIndex>();

  async totals(user: UserPlace): Promise<MediaTotals> {
    const { lastUsn, entries } = this.#index(user);
    const present = [...entries.values()].filter(({ bytes }) => bytes > 0);
    return { lastUsn, totalBytes: present.reduce((sum, { bytes }) => sum + bytes, 0), fileCount: present.length };
  }

  async changesAfter(user: UserPlace, afterUsn: number, limit: number): Promise<MediaEntry[]> {
    const pending = [...this.#index(user).entries.values()].filter(({ usn }) => usn > afterUsn);
    return structuredClone(pending.sort((a, b) => a.usn - b.usn).slice(0, limit));
  }

  async entries(user: UserPlace, names: string[]): Promise<MediaEntry[]> {
    const { entries } = this.#index(user);
    return structuredClone(names.flatMap((name) => entries.get(name) ?? []));
  }

  async apply(user: UserPlace, changes: MediaChange[]): Promise<number> {
    const next = structuredClone(this.#index(user));
    for (const change of changes) {
      const old = next.entries.get(change.name);
      next.lastUsn += 1;
      if (change.deleted !== true) {
        next.entries.set(change.name, { name: change.name, sha1: change.sha1, bytes: change.bytes, usn: next.lastUsn });
      } else if (old === undefined || old.bytes === 0) {
        throw new Error('a media file to be deleted is not in the index');
      } else {
        next.entries.set(change.name, { ...old, bytes: 0, usn: next.lastUsn });
      }
      next.unsettled.delete(change.name);
      next.unsettled.set(change.name, structuredClone(change));
    }
    this.#users.set(user.userId, next);
    return next.lastUsn;
  }

  async unsettled(user: UserPlace, limit?: number): Promise<MediaChange[]> {
    const { entries, unsettled } = this.#index(user);
    return structuredClone([...unsettled.values()].filter(({ name }) => entries.has(name)).slice(0, limit));
  }

  async unsettledTotals(user: UserPlace): Promise<{ names: number; bytes: number }> {
    const changes = await this.unsettled(user);
    return { names: changes.length, bytes: changes.reduce((sum, change) => sum + (change.deleted === true ? 0 : change.bytes), 0) };
  }

  async settled(user: UserPlace, changes?: MediaChange[]): Promise<void> {
    const { unsettled } = this.#index(user);
    if (changes === undefined) unsettled.clear();
    else for (const { name } of changes) unsettled.delete(name);
  }

  async forget(user: UserPlace, names: string[]): Promise<void> {
    const { entries } = this.#index(user);
    for (const name of names) if (entries.get(name)?.bytes !== 0) entries.delete(name);
  }

  async release(): Promise<void> {}

  async close(): Promise<void> {
    this.#users.clear();
  }

  #index(user: UserPlace): UserIndex {
    let index = this.#users.get(user.userId);
    if (index === undefined) {
      index = { lastUsn: 0, entries: new Map(), unsettled: new Map() };
      this.#users.set(user.userId, index);
    }
    return index;
  }
}

interface UserFiles {
  current: Map<string, Uint8Array>;
  /** By name, then by SHA-1. */
  staged: Map<string, Map<string, Uint8Array>>;
}

export class MemoryMediaFiles implements MediaFiles {
  readonly #users = new Map<string, UserFiles>();
  /** The contract lends local files, so that readers need not care where bytes rest. */
  #folder: string | undefined;

  async stagingFolder(user: UserPlace): Promise<string> {
    const folder = join(this.#lentFolder(), 'incoming', Buffer.from(user.userId).toString('hex'));
    await mkdir(folder, { recursive: true });
    return folder;
  }

  async stage(user: UserPlace, files: ({ name: string; sha1: string } & FileRange)[]): Promise<void> {
    const { staged } = this.#files(user);
    const contents = await Promise.all(
      files.map(async ({ path, offset, bytes }) => (await readFile(path)).subarray(offset, offset + bytes)),
    );
    for (const [index, { name, sha1 }] of files.entries()) {
      staged.set(name, new Map(staged.get(name)).set(sha1, contents[index]!));
    }
  }

  async settle(user: UserPlace, changes: MediaChange[]): Promise<void> {
    const { current, staged } = this.#files(user);
    for (const change of changes) {
      if (change.deleted === true) {
        current.delete(change.name);
        continue;
      }
      const bytes = staged.get(change.name)?.get(change.sha1);
      if (bytes === undefined) continue;
      current.set(change.name, bytes);
      staged.delete(change.name);
    }
  }

  async discardStaged(user: UserPlace): Promise<void> {
    this.#files(user).staged.clear();
  }

  async read(user: UserPlace, name: string, sha1: string): Promise<FileRange | null> {
    const { current, staged } = this.#files(user);
    const bytes = staged.get(name)?.get(sha1) ?? current.get(name);
    if (bytes === undefined) return null;
    const folder = join(this.#lentFolder(), 'lent');
    await mkdir(folder, { recursive: true });
    const path = join(folder, `${Buffer.from(user.userId).toString('hex')}-${sha1}`);
    await writeFile(path, bytes);
    return { path, offset: 0, bytes: bytes.length };
  }

  async release(): Promise<void> {}

  async close(): Promise<void> {
    this.#users.clear();
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }

  #lentFolder(): string {
    this.#folder ??= mkdtempSync(join(tmpdir(), 'anki-sync-media-'));
    return this.#folder;
  }

  #files(user: UserPlace): UserFiles {
    let files = this.#users.get(user.userId);
    if (files === undefined) {
      files = { current: new Map(), staged: new Map() };
      this.#users.set(user.userId, files);
    }
    return files;
  }
}
