/** Data folders to begin with: users who are signed in, a collection, some media. */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { SqliteHostKeys } from '../../lib/auth/sqlite-host-keys.ts';
import { SqliteUsers } from '../../lib/auth/sqlite-users.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import { createCollectionFile } from '../../lib/storage/sqlite/collection-file.ts';
import { writeMediaIndex } from '../../lib/storage/sqlite/media-index-file.ts';
import { CHEAP } from '../auth/cheap.ts';
import { ankiEnvironment, ankiPython, run } from '../oracle/anki-python.ts';

export const PASSWORD = 'the right password';
/** Their usn of all that is there; a client that is up to date has seen it. */
export const USN = 10;
export const NOTES = 12;
export const FIRST_NOTE = 1_600_000_000_000;
export const MEDIA: Record<string, string> = { 'kept.png': 'kept', 'old.png': 'old', 'gone.png': 'to be deleted', 'ü.png': 'umlaut' };

/** Users with this password and one device each; answers their host keys by name. */
export async function makeUsers(base: string, names: readonly string[]): Promise<Map<string, string>> {
  mkdirSync(base, { recursive: true });
  const database = await UsersDatabase.open(base);
  const users = new SqliteUsers(database, CHEAP);
  const hostKeys = new SqliteHostKeys(database);
  const keys = new Map<string, string>();
  for (const name of names) {
    const { user } = await users.add(name, PASSWORD);
    keys.set(name, await hostKeys.issue(user, { client: 'a device' }));
  }
  await hostKeys.close();
  await database.close();
  return keys;
}

/** A sound collection of schema 11: notes, cards, reviews, a deletion. Always the same one. */
export function makeCollection(path: string, notes = NOTES): void {
  mkdirSync(join(path, '..'), { recursive: true });
  createCollectionFile(path);
  const db = new Database(path);
  try {
    db.exec(`
      UPDATE col SET usn = ${USN}, mod = 1600000000000, scm = 1500000000000, crt = 1500000000, models = replace(models, '"usn":0', '"usn":1');
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${notes})
        INSERT INTO notes SELECT ${FIRST_NOTE} + i, 'guid' || i, (SELECT min(CAST(key AS INTEGER)) FROM col, json_each(models)), 1600000000, 5, '',
          'front ' || i || char(31) || 'back', 'front ' || i, 0, 0, '' FROM n;
      INSERT INTO cards SELECT id, id, 1, 0, 1600000000, 5, 0, 0, id - ${FIRST_NOTE}, 0, 0, 0, 0, 0, 0, 0, 0, '' FROM notes;
      INSERT INTO revlog SELECT id, id, 5, 3, 1, -60, 2500, 4000, 0 FROM cards;
      INSERT INTO graves VALUES (5, 4711, 1);`);
  } finally {
    db.close();
  }
}

/** Media as a server that was stopped leaves them. */
export function makeMedia(home: string, media: Record<string, string> = MEDIA): void {
  mkdirSync(join(home, 'media'), { recursive: true });
  let usn = 0;
  const entries = Object.entries(media).map(([name, text]) => {
    writeFileSync(join(home, 'media', name), text);
    return { name, sha1: createHash('sha1').update(text).digest('hex'), bytes: Buffer.byteLength(text), usn: ++usn };
  });
  writeMediaIndex(join(home, 'media.db'), entries, usn);
}

const MAKE_SCHEMA_18 = `
import sys
from anki.collection import Collection
col = Collection(sys.argv[1])
basic = col.models.by_name("Basic")
for name in ("Ärger", "Straße::a"):
    deck = col.decks.id(name)
for i in range(20):
    note = col.new_note(basic)
    note.fields = ["Front %d" % i, "x" * i]
    note.tags = ["tag%d" % (i % 4), "Ümlaut"]
    col.add_note(note, deck)
# as clients do before an upload
for table in ("notes", "cards", "revlog", "graves", "notetypes", "decks", "deck_config", "tags"):
    col.db.execute(f"update {table} set usn = 0")
col.close(downgrade=False)
`;

/** As the official server and today's clients have it. */
export async function makeSchema18(path: string): Promise<void> {
  await run(await ankiPython(), ['-c', MAKE_SCHEMA_18, path], { env: ankiEnvironment() });
}

/** Replaces a folder by a copy of another. */
export function replaceFolder(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true });
}
