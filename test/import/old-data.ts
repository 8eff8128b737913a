/** Data as an old community server leaves them, made with SQLite and Node alone; collections come from the caller. */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

/** As `ankisyncd` makes one. */
export function oldHash(username: string, password: string, salt = '00ff00ff00ff00ff'): string {
  return createHash('sha256').update(username + password + salt).digest('hex') + salt;
}

export function writeAuthDb(path: string, users: Record<string, string>, column = 'username'): void {
  const db = new Database(path);
  db.exec(`CREATE TABLE auth (${column} VARCHAR PRIMARY KEY, hash VARCHAR)`);
  for (const [name, hash] of Object.entries(users)) db.prepare('INSERT INTO auth VALUES (?, ?)').run(name, hash);
  db.close();
}

export interface OldUserData {
  /** Copied with the log beside it. */
  collection?: string;
  media?: Record<string, string>;
  /** Names of which the old server remembers that they were deleted. */
  deleted?: string[];
  /** Of the first entry in the index; the others follow. Null: no index at all. */
  firstUsn?: number | null;
}

export function writeOldUser(folder: string, { collection, media = {}, deleted = [], firstUsn = 1 }: OldUserData): void {
  mkdirSync(join(folder, 'collection.media'), { recursive: true });
  if (collection !== undefined) {
    for (const suffix of ['', '-wal', '-journal']) {
      if (existsSync(collection + suffix)) cpSync(collection + suffix, join(folder, `collection.anki2${suffix}`));
    }
  }
  for (const [name, text] of Object.entries(media)) writeFileSync(join(folder, 'collection.media', name), text);
  if (firstUsn === null) return;
  const db = new Database(join(folder, 'collection.media.server.db'));
  db.exec('CREATE TABLE media (fname TEXT NOT NULL PRIMARY KEY, usn INT NOT NULL, csum TEXT); CREATE INDEX idx_media_usn ON media (usn);');
  const put = db.prepare('INSERT INTO media VALUES (?, ?, ?)');
  let usn = firstUsn;
  for (const name of deleted) put.run(name, usn++, null);
  for (const [name, text] of Object.entries(media)) put.run(name, usn++, createHash('sha1').update(text).digest('hex'));
  db.close();
}

/** Every file below a folder with its contents: to tell that nothing changed. */
export function contentsOf(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(files.map((file) => join(file.parentPath, file.name)).sort().map((path) => [path, createHash('sha1').update(readFileSync(path)).digest('hex')]));
}
