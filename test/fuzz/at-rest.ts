/** What a user has on the disk: to see that a refused request changed nothing of it. */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';

const FILES = ['collection.anki2', 'collection.anki2-wal', 'media.db', 'media.db-wal'];
const TABLES = { 'collection.anki2': ['col', 'notes', 'cards', 'revlog', 'graves'], 'media.db': ['media', 'meta'] };

export class AtRest {
  readonly #folder: string;
  readonly #scratch: string;
  #stamp = '';
  #contents: string | undefined;
  /** Something was kept by right since the last look. */
  #committed = true;

  /** `scratch` is a folder of the caller, on the same disk. */
  constructor(folder: string, scratch: string) {
    this.#folder = folder;
    this.#scratch = scratch;
  }

  committed(): void {
    this.#committed = true;
  }

  /** What changed without right since the last look, or null. Cheap where nothing was written. */
  async look(): Promise<string | null> {
    const stamp = this.#stampNow();
    if (stamp === this.#stamp && !this.#committed) return null;
    if (this.#committed || this.#contents === undefined) {
      this.#keep();
      return null;
    }
    const before = this.#contents;
    // files are brought to their place, and collections closed, at any time: that changes nothing
    this.#keep();
    if (this.#contents === before) return null;
    await sleep(300);
    this.#keep();
    return this.#contents === before ? null : difference(before, this.#contents ?? '');
  }

  #keep(): void {
    this.#stamp = this.#stampNow();
    try {
      this.#contents = this.#read();
    } catch {
      // copied while it was written
      this.#contents = undefined;
    }
    this.#committed = false;
  }

  #stampNow(): string {
    return FILES.map((name) => {
      const stat = statSync(join(this.#folder, name), { throwIfNoEntry: false, bigint: true });
      return stat === undefined ? '-' : `${stat.ino}/${stat.size}/${stat.mtimeNs}`;
    }).join(' ');
  }

  #read(): string {
    mkdirSync(this.#scratch, { recursive: true });
    const parts: string[] = [];
    try {
      for (const name of FILES) if (existsSync(join(this.#folder, name))) copyFileSync(join(this.#folder, name), join(this.#scratch, name));
      for (const [file, tables] of Object.entries(TABLES)) {
        const path = join(this.#scratch, file);
        if (!existsSync(path)) continue;
        const db = new Database(path);
        try {
          db.defaultSafeIntegers(true);
          for (const table of tables) {
            const hash = createHash('sha1');
            let rows = 0;
            for (const row of db.prepare(`SELECT * FROM ${table} ORDER BY 1, 2`).raw().iterate()) {
              rows++;
              for (const value of row as unknown[]) hash.update(Buffer.isBuffer(value) ? value : String(value)).update('\0');
            }
            parts.push(`${table} ${rows} ${hash.digest('hex')}`);
          }
        } finally {
          db.close();
        }
      }
    } finally {
      rmSync(this.#scratch, { recursive: true, force: true });
    }
    return parts.join('\n');
  }
}

function difference(before: string, after: string): string {
  const lines = after.split('\n');
  const changed = lines.filter((line) => !before.includes(line)).map((line) => line.split(' ')[0]);
  return changed.length > 0 ? changed.join(', ') : 'tables are gone';
}
