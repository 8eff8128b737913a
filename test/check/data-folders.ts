/** A data folder with one user, made as the server makes it. */
import { hash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { SqliteUsers } from '../../lib/auth/sqlite-users.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import { createCollectionFile } from '../../lib/storage/sqlite/collection-file.ts';
import { writeMediaIndex } from '../../lib/storage/sqlite/media-index-file.ts';
import { CHEAP } from '../auth/cheap.ts';

export const MEDIA: Record<string, string> = { 'a.png': 'a', 'b.png': 'bb', '漢字.png': 'c' };

export function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-data-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Adds users to a data folder, each with two notes, their cards, and MEDIA. */
export async function addUsers(base: string, ...names: string[]): Promise<void> {
  const database = await UsersDatabase.open(base);
  for (const name of names) {
    await new SqliteUsers(database, CHEAP).add(name, 'secret');
    const home = join(base, name);
    mkdirSync(join(home, 'media'), { recursive: true });
    createCollectionFile(join(home, 'collection.anki2'));
    alter(join(home, 'collection.anki2'), `
      UPDATE col SET usn = 10, mod = scm;
      INSERT INTO notes SELECT value, 'guid' || value, (SELECT min(CAST(key AS INTEGER)) FROM col, json_each(models)), 1, 5, '', '${name} ' || value || char(31) || 'back',
        '${name} ' || value, 0, 0, '' FROM json_each('[1001,1002]');
      INSERT INTO cards SELECT value, value, 1, 0, 1, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, '' FROM json_each('[1001,1002]');`);
    let usn = 0;
    const entries = Object.entries(MEDIA).map(([file, text]) => {
      writeFileSync(join(home, 'media', file), text);
      return { name: file, sha1: hash('sha1', text), bytes: Buffer.byteLength(text), usn: ++usn };
    });
    writeMediaIndex(join(home, 'media.db'), [...entries, { name: 'gone.png', sha1: hash('sha1', 'gone'), bytes: 0, usn: ++usn }], usn);
  }
  await database.close();
}

export function alter(path: string, sql: string): void {
  const db = new Database(path);
  try {
    db.exec(sql);
  } finally {
    db.close();
  }
}
