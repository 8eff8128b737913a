import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { copyRange } from '../storage/files/hashed-copy.ts';
import { mediaPlaces, type MediaPlaces } from '../storage/files/media-places.ts';
import { copyDatabase } from '../storage/sqlite/database-copy.ts';
import { someOf, type Tell } from './finding.ts';

interface Row {
  fname: string;
  size: number;
  sha1: string;
}

/** The version of `media.db` that we and the official server write. */
const INDEX_VERSION = 4;

/** Index against folder; with `deep`, also the bytes of each file, of which `read` hears. Changes nothing. */
export function checkMedia(userFolder: string, scratch: string, deep: boolean, tell: Tell, read: (bytes: number, ofBytes: number) => void = () => {}): void {
  const indexPath = join(userFolder, 'media.db');
  const places = mediaPlaces(userFolder);
  if (!existsSync(indexPath)) {
    if (places.plain.size > 0) tell('problem', `${places.plain.size} media files are there, but their index media.db is missing: no device gets them`);
    return;
  }
  const copy = join(scratch, 'media.db');
  try {
    copyDatabase(indexPath, copy);
    const db = new Database(copy, { readonly: true });
    try {
      const damage = db.pragma('integrity_check(1)', { simple: true });
      if (damage !== 'ok') throw new Database.SqliteError(String(damage), 'SQLITE_CORRUPT');
      const version = db.pragma('user_version', { simple: true }) as number;
      if (version > INDEX_VERSION) tell('problem', 'the media index is of a newer server than this one');
      else if (version < INDEX_VERSION) tell('note', 'the media index is of an older server, and not checked; it is converted when its user syncs');
      else compare(db, places, deep, tell, read);
    } finally {
      db.close();
    }
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
    tell('problem', `the media index media.db is damaged (${error.code}): restore it from a backup`);
  } finally {
    for (const suffix of ['', '-wal', '-journal', '-shm']) rmSync(copy + suffix, { force: true });
  }
}

function compare(db: Database.Database, places: MediaPlaces, deep: boolean, tell: Tell, read: (bytes: number, ofBytes: number) => void): void {
  const known = new Set<string>();
  const missing: string[] = [];
  const wrong: string[] = [];
  let waiting = 0;
  const { count, bytes, last, meta } = totals(db);
  for (const { fname, size, sha1 } of db.prepare('SELECT fname, size, lower(hex(csum)) AS sha1 FROM media WHERE size > 0').iterate() as Iterable<Row>) {
    known.add(fname);
    const range = places.find(fname, sha1);
    if (places.isStaged(fname, sha1)) waiting += 1;
    if (range === null) missing.push(fname);
    else if (range.bytes !== size || (deep && copyRange(range, null) !== sha1)) wrong.push(fname);
    if (deep && range !== null) read(range.bytes, bytes);
  }
  const extra = [...places.plain].filter((name) => !known.has(name));
  if (missing.length > 0) tell('problem', `${missing.length} media files are missing: ${someOf(missing)}; a device that has them sends them again when its media are checked`);
  if (wrong.length > 0) tell('problem', `${wrong.length} media files are not what was uploaded: ${someOf(wrong)}; restore them from a backup`);
  if (meta.count !== count || meta.bytes !== bytes) {
    tell('problem', `the media index counts ${meta.count} files with ${meta.bytes} bytes, but lists ${count} with ${bytes}: media syncs end with an error`);
  }
  if (last > meta.last) tell('problem', `the media index lists changes up to ${last}, but says that ${meta.last} is the last: devices may miss some`);
  if (waiting > 0) tell('note', `${waiting} media files are uploaded and not yet in media/: the server brings them there soon after its next start`);
  if (extra.length > 0) tell('note', `${extra.length} files in media/ are not in the index, so no device gets them: ${someOf(extra)}`);
}

function totals(db: Database.Database): { count: number; bytes: number; last: number; meta: { count: number; bytes: number; last: number } } {
  const listed = db.prepare('SELECT count(*) AS count, coalesce(sum(size), 0) AS bytes FROM media WHERE size > 0').get() as { count: number; bytes: number };
  const last = db.prepare('SELECT coalesce(max(usn), 0) FROM media').pluck().get() as number;
  const meta = db.prepare('SELECT total_nonempty_files AS count, total_bytes AS bytes, last_usn AS last FROM meta').get();
  return { ...listed, last, meta: meta as { count: number; bytes: number; last: number } };
}
