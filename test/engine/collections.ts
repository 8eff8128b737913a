/** Collections of any size, and what a server holds for a user. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { createCollectionFile } from '../../lib/storage/sqlite/collection-file.ts';

const POOL_BYTES = 1024 * 1024;
const NOTE_BYTES = 20_000;

/** Writes a sound collection of schema 11 and about `bytes`, whose notes compress as text does: well, and not to nothing. */
export function writeCollection(path: string, bytes: number, seed = 1): void {
  createCollectionFile(path);
  const db = new Database(path);
  try {
    db.pragma('synchronous = OFF');
    db.pragma('journal_mode = MEMORY');
    const next = randomNumbers(seed);
    const pool = Buffer.from(Uint8Array.from({ length: POOL_BYTES }, () => 97 + (next() % 26))).toString();
    const [models] = db.prepare('SELECT models FROM col').raw().get() as [string];
    const notetype = /"id":(\d+)/.exec(models)![1];
    const note = db.prepare(`INSERT INTO notes VALUES (?, ?, ${notetype}, 1600000000, 0, '', ?, ?, 1, 0, '')`);
    const card = db.prepare(`INSERT INTO cards VALUES (?, ?, 1, 0, 1600000000, 0, 0, 0, ?, 0, 0, 0, 0, 0, 0, 0, 0, '')`);
    db.transaction(() => {
      for (let i = 0; i * NOTE_BYTES < bytes; i++) {
        const id = 1_500_000_000_000 + i;
        const words: string[] = [];
        for (let length = 0; length < NOTE_BYTES; ) {
          const from = next() % (POOL_BYTES - 400);
          const word = pool.slice(from, from + 20 + (next() % 380));
          words.push(word);
          length += word.length + 1;
        }
        note.run(id, `guid${i}`, `front ${i}\x1f${words.join(' ')}`, `front ${i}`);
        card.run(id, id, i);
      }
      db.exec('UPDATE col SET mod = 1600000000000, usn = 1');
    })();
  } finally {
    db.close();
  }
}

/** The file as a client sends it, in pieces. */
export function piecesOf(path: string): AsyncIterable<Uint8Array> {
  return createReadStream(path, { highWaterMark: 256 * 1024 });
}

/** What a collection file says, read without writing to it. */
export function query<T>(path: string, sql: string): T {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare(sql).pluck().get() as T;
  } finally {
    db.close();
  }
}

/** Everything in notes and cards, as a hash. */
export function contentsOf(path: string): string {
  const db = new Database(path, { readonly: true });
  try {
    const hash = createHash('sha1');
    for (const table of ['notes', 'cards']) {
      for (const row of db.prepare(`SELECT * FROM ${table} ORDER BY id`).raw().iterate()) hash.update(JSON.stringify(row));
    }
    return hash.digest('hex');
  } finally {
    db.close();
  }
}

/** Names in a user's folder that an open or badly closed collection leaves beside it. */
export function journals(base: string, user: string): string[] {
  const folder = join(base, user);
  return existsSync(folder) ? readdirSync(folder).filter((name) => /-(wal|shm|journal)$/.test(name)) : [];
}

/** The same numbers for the same seed (xorshift). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>>= 0);
  };
}
