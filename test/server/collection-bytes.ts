/** A collection as bytes, as it travels in a full sync. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { RawClient } from '../client/raw.ts';
import { Player } from '../collection/player.ts';

/** The file of a user who has one note and one card, in schema 11. */
export async function someCollection(user: RawClient): Promise<Buffer> {
  await new Player(user).begin();
  return (await user.post('download', {}, { version: 10 })).body;
}

/** The same file after some SQL. */
export async function changedBy(collection: Buffer, sql: string): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-collection-'));
  try {
    const path = join(folder, 'collection.anki2');
    await writeFile(path, collection);
    const db = new Database(path);
    db.exec(sql);
    db.close();
    return await readFile(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
