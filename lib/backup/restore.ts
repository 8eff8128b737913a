/**
 * Brings users back. A restored collection counts as modified in its schema at this moment, so that every device is asked for
 * a one-way sync: merged with what devices hold, the restored state would be undone object by object. What it
 * replaces is kept as a snapshot.
 *
 * Media come back as if a device had uploaded them: what the backup has is there again, and files that came later stay.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, constants, copyFileSync, existsSync, linkSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { SqliteUsers } from '../auth/sqlite-users.ts';
import { UsersDatabase } from '../auth/users-database.ts';
import { usersDatabasePath } from '../auth/users-schema.ts';
import { settleMedia } from '../media/user-media.ts';
import { FolderMediaFiles } from '../storage/files/folder.ts';
import { lockDataFolder } from '../storage/files/data-folder-lock.ts';
import { removeFile, syncFile, syncFolder } from '../storage/files/durable.ts';
import { copyRange } from '../storage/files/hashed-copy.ts';
import { mediaPlaces } from '../storage/files/media-places.ts';
import { removeStaged, stagingFolder } from '../storage/files/staging.ts';
import { prepareUpload } from '../storage/sqlite/anki2.ts';
import { SqliteCollectionStore } from '../storage/sqlite/collection.ts';
import { SqliteMediaStore } from '../storage/sqlite/media.ts';
import { lastUsnOf, raiseLastUsn } from '../storage/sqlite/media-index-file.ts';
import { listSnapshots, snapshotsFolder } from '../storage/sqlite/snapshots.ts';
import type { UserPlace } from '../storage/storage.ts';
import { fileHash } from './backup.ts';
import { BackupError, readManifest, type BackedUpUser, type Manifest } from './manifest.ts';
import { indexedFiles, type IndexedFile } from './media.ts';
import { unpackZip } from './zip.ts';

export interface RestoredUser {
  about: string;
  collection: boolean;
  /** Media files that were missing or other ones. */
  files: number;
  /** The user was unknown here, and came with the password of the backup, if it had one. */
  added: boolean;
  /** Sentences about what could not be brought back. */
  remarks: string[];
}

export interface RestoreOptions {
  base: string;
  /** A folder or a zip file. */
  from: string;
  /** Login names; all users of the backup, if empty. */
  only: readonly string[];
  restored(user: RestoredUser): void;
  /** After each media file, with the bytes of all of the user that the backup has. */
  copied(bytes: number, ofBytes: number): void;
}

/** @throws BackupError, DataFolderInUseError */
export async function restoreBackup(options: RestoreOptions): Promise<void> {
  const base = resolve(options.base);
  const lock = await lockDataFolder(base, 'anki-sync restore');
  const unpacked = join(base, '.anki-sync', 'restore');
  try {
    rmSync(unpacked, { recursive: true, force: true });
    const { folder, manifest } = await opened(resolve(options.from), unpacked, options.only);
    const chosen = chosenFrom(manifest, options.only);
    // before anything is changed: a backup that is damaged is of no use to anyone
    for (const user of chosen) checkDatabases(folder, user, manifest);
    if (options.only.length === 0) bringUsers(folder, base, manifest);
    await withStores(base, async (stores) => {
      for (const user of chosen) options.restored(await restoreUser(folder, user, stores, options));
    });
  } finally {
    rmSync(unpacked, { recursive: true, force: true });
    await lock.release();
  }
}

/** @throws BackupError, DataFolderInUseError */
export async function restoreSnapshot(base: string, name: string, snapshot: string): Promise<string> {
  const lock = await lockDataFolder(base, 'anki-sync restore');
  try {
    return await withStores(resolve(base), async ({ database, collections }) => {
      const row = database.userByLoginName(name);
      if (row === undefined) throw new BackupError(`there is no user "${name}"`);
      const home = join(database.base, row.folder);
      const found = listSnapshots(home).find((each) => snapshot === 'latest' || each.name === `${snapshot}.anki2`);
      if (found === undefined) throw new BackupError(`"${row.login_name}" has no snapshot ${snapshot}`);
      await restoreCollection(join(snapshotsFolder(home), found.name), { userId: row.id, folder: row.folder }, database.base, collections);
      return found.name.replace(/\.anki2$/, '');
    });
  } finally {
    await lock.release();
  }
}

interface Stores {
  database: UsersDatabase;
  collections: SqliteCollectionStore;
  media: SqliteMediaStore;
  files: FolderMediaFiles;
}

async function withStores<T>(base: string, use: (stores: Stores) => Promise<T>): Promise<T> {
  const database = await UsersDatabase.open(base);
  const stores = { database, collections: new SqliteCollectionStore({ base }), media: new SqliteMediaStore({ base }), files: new FolderMediaFiles({ base }) };
  try {
    return await use(stores);
  } finally {
    await stores.collections.close();
    await stores.media.close();
    await stores.files.close();
    await database.close();
  }
}

async function opened(from: string, unpacked: string, only: readonly string[]): Promise<{ folder: string; manifest: Manifest }> {
  if (!existsSync(from)) throw new BackupError(`${from} does not exist`);
  if (!from.endsWith('.zip')) return { folder: from, manifest: readManifest(from) };
  mkdirSync(unpacked, { recursive: true, mode: 0o700 });
  let wanted: Set<string> | undefined;
  const manifest = await unpackZip(from, unpacked, (folder, read) => {
    wanted ??= new Set(chosenFrom(read, only).map((user) => user.folder));
    return wanted.has(folder);
  });
  return { folder: unpacked, manifest };
}

function chosenFrom({ users }: Manifest, only: readonly string[]): BackedUpUser[] {
  if (only.length === 0) return users;
  return only.map((name) => {
    const found = users.find(({ loginName }) => loginName?.toLowerCase() === name.normalize('NFC').toLowerCase());
    if (found === undefined) throw new BackupError(`the backup has no user "${name}"`);
    return found;
  });
}

function checkDatabases(folder: string, user: BackedUpUser, { files }: Manifest): void {
  for (const path of ['.anki-sync/users.db', `${user.folder}/collection.anki2`, `${user.folder}/media.db`]) {
    const expected = files[path];
    if (expected === undefined) continue;
    if (!existsSync(join(folder, path))) throw new BackupError(`the file ${path} is missing in the backup`);
    if (fileHash(join(folder, path)).sha256 !== expected.sha256) throw new BackupError(`the file ${path} in the backup is damaged; nothing was changed`);
  }
}

/** With keys and case rule, where there are no users yet: devices then stay signed in. */
function bringUsers(folder: string, base: string, { files }: Manifest): void {
  const target = usersDatabasePath(base);
  const near = `${target}.new`;
  removeFile(near);
  if (existsSync(target) || files['.anki-sync/users.db'] === undefined) return;
  copyFileSync(usersDatabasePath(folder), near, constants.COPYFILE_EXCL);
  chmodSync(near, 0o600);
  syncFile(near);
  try {
    // as a whole, and not over a database that appeared meanwhile
    linkSync(near, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error;
    // a file system without hard links
    renameSync(near, target);
  }
  removeFile(near);
  syncFolder(join(base, '.anki-sync'));
}

async function restoreUser(folder: string, user: BackedUpUser, stores: Stores, { copied }: RestoreOptions): Promise<RestoredUser> {
  const { database, collections } = stores;
  const known = user.loginName === null ? undefined : database.userByLoginName(user.loginName);
  const added = user.loginName !== null && known === undefined ? await new SqliteUsers(database).addWithHash(user.loginName, hashIn(folder, user.loginName)) : undefined;
  const place = { userId: known?.id ?? added?.id ?? `folder ${user.folder}`, folder: known?.folder ?? added?.folder ?? user.folder };
  const from = join(folder, user.folder);
  const remarks: string[] = [];
  let collection = false;
  if (existsSync(join(from, 'collection.anki2'))) {
    try {
      await restoreCollection(join(from, 'collection.anki2'), place, database.base, collections);
      collection = true;
    } catch (error) {
      if (!(error instanceof BackupError)) throw error;
      remarks.push(`${error.message}; the present one stays`);
    }
  }
  const files = await restoreMedia(from, place, stores, copied, remarks);
  return { about: user.loginName ?? user.folder, collection, files, added: added !== undefined, remarks };
}

function hashIn(folder: string, loginName: string): string | null {
  const db = new Database(usersDatabasePath(folder), { readonly: true });
  try {
    return (db.prepare('SELECT password_hash FROM users WHERE login_name = ?').pluck().get(loginName) as string | null | undefined) ?? null;
  } finally {
    db.close();
  }
}

/** @throws BackupError when the file is no sound collection */
async function restoreCollection(from: string, place: UserPlace, base: string, collections: SqliteCollectionStore): Promise<void> {
  const copy = join(stagingFolder(base), `restore-${randomBytes(12).toString('hex')}.anki2`);
  try {
    copyFileSync(from, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    const verdict = prepareUpload(copy);
    if (verdict.verdict !== 'ok') throw new BackupError(`the collection cannot be used: ${verdict.verdict === 'corrupt' ? verdict.reason : `schema ${verdict.schemaVersion}`}`);
    const db = new Database(copy);
    try {
      db.prepare('UPDATE col SET scm = max(scm + 1, ?), mod = max(mod + 1, ?)').run(Date.now(), Date.now());
    } finally {
      db.close();
    }
    await collections.importFile(place, copy);
  } finally {
    await removeStaged(copy);
  }
}

const FILES_AT_ONCE = 50;

/** More changes than devices can have seen since a backup. */
const USNS_SINCE_BACKUP = 100_000;

/**
 * Devices remember the last change of media that they have seen, and ask for later ones. Where the index is lost, or older than the
 * backup, what comes back must be later than anything that was ever told.
 */
async function beyondWhatDevicesKnow(backupIndex: string, place: UserPlace, { media, database }: Stores): Promise<void> {
  const lastUsn = lastUsnOf(backupIndex);
  if ((await media.totals(place)).lastUsn >= lastUsn && lastUsn > 0) return;
  await media.release(place);
  raiseLastUsn(join(database.base, place.folder, 'media.db'), lastUsn + USNS_SINCE_BACKUP);
}

async function restoreMedia(from: string, place: UserPlace, stores: Stores, copied: (bytes: number, ofBytes: number) => void, remarks: string[]): Promise<number> {
  const { media: store, files, database } = stores;
  const wanted = indexedFiles(join(from, 'media.db'));
  const backup = mediaPlaces(from);
  const present = mediaPlaces(join(database.base, place.folder));
  if (wanted.length > 0) await beyondWhatDevicesKnow(join(from, 'media.db'), place, stores);
  const ofBytes = wanted.reduce((sum, { bytes }) => sum + bytes, 0);
  let count = 0;
  for (let at = 0; at < wanted.length; at += FILES_AT_ONCE) {
    const some = wanted.slice(at, at + FILES_AT_ONCE);
    const entries = new Map((await store.entries(place, some.map(({ name }) => name))).map((entry) => [entry.name, entry]));
    const changed = some.filter(({ name, sha1, bytes }) => {
      const entry = entries.get(name);
      return entry === undefined || entry.bytes === 0 || entry.sha1 !== sha1 || present.find(name, sha1)?.bytes !== bytes;
    });
    // what is there already counts as brought
    copied(some.filter((file) => !changed.includes(file)).reduce((sum, { bytes }) => sum + bytes, 0), ofBytes);
    const folder = await files.stagingFolder(place);
    const staged: (IndexedFile & { path: string; offset: number })[] = [];
    for (const file of changed) {
      const path = join(folder, `restore-${randomBytes(12).toString('hex')}`);
      const range = backup.find(file.name, file.sha1);
      if (range !== null && range.bytes === file.bytes && copyRange(range, path) === file.sha1) staged.push({ ...file, path, offset: 0 });
      else {
        removeFile(path);
        remarks.push(`the media file ${JSON.stringify(file.name)} is ${range === null ? 'missing' : 'damaged'} in the backup`);
      }
      copied(file.bytes, ofBytes);
    }
    if (staged.length === 0) continue;
    await files.stage(place, staged);
    await store.apply(place, staged.map(({ name, sha1, bytes }) => ({ name, sha1, bytes })));
    await settleMedia({ store, files, user: place });
    count += staged.length;
  }
  return count;
}
