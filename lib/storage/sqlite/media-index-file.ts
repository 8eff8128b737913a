import Database from 'better-sqlite3';
import type { MediaEntry } from '../storage.ts';
import { openIndex } from './media.ts';

/** Makes a `media.db` with these entries; `bytes` 0 means deleted. `lastUsn` is at least the highest usn among them. */
export function writeMediaIndex(path: string, entries: Iterable<MediaEntry>, lastUsn: number): void {
  const db = openIndex(path);
  try {
    const put = db.prepare('INSERT INTO media (fname, csum, size, usn, mtime) VALUES (?, ?, ?, ?, ?)');
    const mtimeSecs = Math.floor(Date.now() / 1000);
    db.transaction(() => {
      for (const { name, sha1, bytes, usn } of entries) put.run(name, Buffer.from(sha1, 'hex'), bytes, usn, mtimeSecs);
      db.prepare('UPDATE meta SET (last_usn, total_bytes, total_nonempty_files) = (SELECT ?, total(size), count(*) FROM media WHERE size > 0)').run(lastUsn);
    })();
    db.pragma('journal_mode = DELETE');
  } finally {
    db.close();
  }
}

/** The last usn of an index that nobody has open; 0 for an index of an old form. */
export function lastUsnOf(path: string): number {
  const db = new Database(path, { readonly: true });
  try {
    if ((db.pragma('user_version', { simple: true }) as number) < 4) return 0;
    return db.prepare('SELECT last_usn FROM meta').pluck().get() as number;
  } finally {
    db.close();
  }
}

/** Lets the next change of an index that nobody has open, made if missing, have a later usn than `usn`. */
export function raiseLastUsn(path: string, usn: number): void {
  const db = openIndex(path);
  try {
    db.prepare('UPDATE meta SET last_usn = max(last_usn, ?)').run(usn);
  } finally {
    db.close();
  }
}
