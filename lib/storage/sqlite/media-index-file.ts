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
