import type { FileRange } from '../storage.ts';
import type { NamedRange } from './staged-log.ts';

/** The files of one upload, or of one log of uploads, and how many names still have their bytes there. */
interface Upload {
  paths: Set<string>;
  names: number;
}

interface Staged extends FileRange {
  sha1: string;
  upload: string;
}

/** Where the staged bytes of a user lie. Of a name there may be several, until one of them is settled. */
export class StagedRanges {
  readonly #byName = new Map<string, Staged[]>();
  readonly #uploads = new Map<string, Upload>();

  add(upload: string, { name, sha1, path, offset, bytes }: NamedRange & FileRange): void {
    const others = (this.#byName.get(name) ?? []).filter((staged) => staged.sha1 !== sha1 || !this.#leave(staged));
    this.#byName.set(name, [...others, { sha1, upload, path, offset, bytes }]);
    const known = this.#uploads.get(upload) ?? { paths: new Set(), names: 0 };
    known.paths.add(path);
    known.names += 1;
    this.#uploads.set(upload, known);
  }

  find(name: string, sha1: string): FileRange | undefined {
    return this.#byName.get(name)?.find((staged) => staged.sha1 === sha1);
  }

  /** Forgets names that are settled. Answers the uploads that hold nothing more, with their files. */
  drop(names: Iterable<string>): Map<string, ReadonlySet<string>> {
    const empty = new Map<string, ReadonlySet<string>>();
    for (const name of names) {
      for (const staged of this.#byName.get(name) ?? []) this.#leave(staged);
      this.#byName.delete(name);
    }
    for (const [upload, { paths, names: left }] of this.#uploads) {
      if (left > 0) continue;
      empty.set(upload, paths);
      this.#uploads.delete(upload);
    }
    return empty;
  }

  clear(): void {
    this.#byName.clear();
    this.#uploads.clear();
  }

  #leave({ upload }: Staged): true {
    this.#uploads.get(upload)!.names -= 1;
    return true;
  }
}
