/**
 * A backup is a data folder of its own, with a manifest: collections and media indexes as of one moment each, between two
 * syncs, with their media files, and the users with their passwords and keys. Made beside its place, checked, then renamed.
 */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { usersDatabasePath } from '../auth/users-schema.ts';
import { checkCollection } from '../check/collection.ts';
import type { Finding } from '../check/finding.ts';
import { checkMedia } from '../check/media.ts';
import { makeFolder, syncFile, syncFolder } from '../storage/files/durable.ts';
import { BackupError, MANIFEST, type BackedUpUser, type Manifest } from './manifest.ts';
import { copyMediaFiles, indexedFiles, placeInBackup, type IndexedFile } from './media.ts';
import { copyUsersDatabase, openSource, type BackupSource } from './source.ts';
import { beginBackup, removeDeadBackups, type UnfinishedBackup } from './unfinished.ts';
import { writeZip } from './zip.ts';

export interface BackupOptions {
  base: string;
  /** A folder that does not exist yet or is empty, or a new file whose name ends in `.zip`. */
  to: string;
  /** Login names; all, if empty. */
  only: readonly string[];
  began(about: string, number: number, total: number): void;
  /** After each media file, with the bytes of all of the user. */
  copied(bytes: number, ofBytes: number): void;
  found(finding: Finding): void;
  /** What a backup beside this one left that was killed, and is removed now. */
  removed?(path: string): void;
}

type Known = BackedUpUser & { id: string | null };

/** @throws BackupError, DataFolderInUseError */
export async function makeBackup(options: BackupOptions): Promise<Manifest> {
  const base = resolve(options.base);
  const to = resolve(options.to);
  const zip = to.endsWith('.zip');
  if (existsSync(to) && (zip || !statSync(to).isDirectory() || readdirSync(to).length > 0)) throw new BackupError(`${to} exists already, and is not overwritten`);
  if (`${to}/`.startsWith(`${base}/`)) throw new BackupError('a backup must lie outside of the data folder');
  makeFolder(dirname(to));
  // before there is less room than there could be
  for (const path of removeDeadBackups(dirname(to))) options.removed?.(path);
  const source = await openSource(base);
  let unfinished: UnfinishedBackup | undefined;
  try {
    unfinished = beginBackup(to);
    const work = unfinished.folder;
    const manifest = await fill(base, work, source, options);
    syncFoldersBelow(work);
    writeFileSync(join(work, MANIFEST), `${JSON.stringify(manifest, null, 1)}\n`);
    syncFile(join(work, MANIFEST));
    if (zip) await writeZip(work, manifest, to);
    else {
      unfinished.letGo();
      syncFolder(work);
      renameSync(work, to);
    }
    syncFolder(dirname(to));
    return manifest;
  } finally {
    await source.close();
    unfinished?.letGo();
    if (unfinished !== undefined) rmSync(unfinished.folder, { recursive: true, force: true });
  }
}

/** Each name on its own: not every file system takes all of them along with one. */
function syncFoldersBelow(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) syncFolder(join(entry.parentPath, entry.name));
  }
}

async function fill(base: string, work: string, source: BackupSource, options: BackupOptions): Promise<Manifest> {
  const manifest: Manifest = { format: 'anki-sync backup', version: 1, madeSecs: Math.floor(Date.now() / 1000), users: [], files: {} };
  const usersPath = usersDatabasePath(work);
  const hasUsers = await copyUsersDatabase(base, usersPath);
  if (hasUsers) manifest.files['.anki-sync/users.db'] = fileHash(usersPath);
  const all = [...(hasUsers ? readUsers(usersPath) : []), ...(options.only.length > 0 ? [] : strangers(base, usersPath))];
  const chosen = all.filter(({ loginName }) => options.only.length === 0 || options.only.some((name) => isSameName(name, loginName)));
  for (const name of options.only) if (!all.some(({ loginName }) => isSameName(name, loginName))) throw new BackupError(`there is no user "${name}"`);
  for (const [index, user] of chosen.entries()) {
    options.began(user.loginName ?? user.folder, index + 1, chosen.length);
    await backUpUser(base, work, user, source, manifest, options);
    manifest.users.push({ loginName: user.loginName, folder: user.folder });
  }
  return manifest;
}

async function backUpUser(base: string, work: string, user: Known, source: BackupSource, manifest: Manifest, options: BackupOptions): Promise<void> {
  const from = join(base, user.folder);
  const to = join(work, user.folder);
  mkdirSync(to);
  await source.copyUser(user, to);
  const indexPath = join(to, 'media.db');
  let files = indexedFiles(indexPath);
  let absent = await copyMediaFiles(from, to, files, options.copied);
  // media that changed since the index was copied: with a newer index, only they are copied again
  for (let again = 1; source.live && absent.length > 0 && again <= 5; again++) {
    const before = new Map(files.map((file) => [file.name, file]));
    const missed = new Set(absent.map(({ name }) => name));
    await source.copyUser(user, to);
    files = indexedFiles(indexPath);
    const now = new Set(files.map(({ name }) => name));
    for (const name of before.keys()) if (!now.has(name)) rmSync(join(to, placeInBackup(name)), { force: true });
    absent = await copyMediaFiles(from, to, files.filter((file) => missed.has(file.name) || isAnother(file, before.get(file.name))), options.copied);
  }
  const lost = new Set(absent.map(({ name }) => name));
  for (const { name, sha1, bytes } of files) if (!lost.has(name)) manifest.files[`${user.folder}/${placeInBackup(name)}`] = { bytes, sha1 };
  for (const name of ['collection.anki2', 'media.db']) {
    if (existsSync(join(to, name))) manifest.files[`${user.folder}/${name}`] = fileHash(join(to, name));
  }
  verify(work, user, options);
}

/** What was written, read again. A collection that is damaged is kept as it is, and told. */
function verify(work: string, user: Known, options: BackupOptions): void {
  const scratch = join(work, '.check');
  mkdirSync(scratch);
  const tell = (level: Finding['level'], text: string): void => {
    if (level === 'problem') options.found({ level, about: user.loginName ?? user.folder, text });
  };
  checkCollection(join(work, user.folder), scratch, false, tell);
  checkMedia(join(work, user.folder), scratch, true, tell);
  rmSync(scratch, { recursive: true });
}

function isAnother(file: IndexedFile, before: IndexedFile | undefined): boolean {
  return before === undefined || before.sha1 !== file.sha1;
}

function isSameName(name: string, loginName: string | null): boolean {
  return loginName !== null && name.normalize('NFC').toLowerCase() === loginName.toLowerCase();
}

function readUsers(path: string): Known[] {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare('SELECT id, login_name AS loginName, folder FROM users ORDER BY login_name').all() as Known[];
  } finally {
    db.close();
  }
}

/** Folders with somebody's data that belong to no user yet, as the official server left them. */
function strangers(base: string, usersPath: string): Known[] {
  const known = new Set(existsSync(usersPath) ? readUsers(usersPath).map(({ folder }) => folder) : []);
  return readdirSync(base)
    .filter((name) => !name.startsWith('.') && !known.has(name) && existsSync(join(base, name, 'collection.anki2')))
    .map((folder) => ({ id: null, loginName: null, folder }));
}

export function fileHash(path: string): { bytes: number; sha256: string } {
  const digest = createHash('sha256');
  const chunk = Buffer.allocUnsafe(1024 * 1024);
  const file = openSync(path, 'r');
  let bytes = 0;
  try {
    for (let read = readSync(file, chunk); read > 0; read = readSync(file, chunk)) {
      digest.update(chunk.subarray(0, read));
      bytes += read;
    }
  } finally {
    closeSync(file);
  }
  return { bytes, sha256: digest.digest('hex') };
}
