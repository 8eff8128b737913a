/** `manifest.json` of a backup: what is in it, so that whoever restores it can tell that it is whole. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSingleSegment } from '../auth/folder-names.ts';

export interface BackedUpUser {
  /** Null for a folder that belonged to no user yet. */
  loginName: string | null;
  folder: string;
}

export interface Manifest {
  format: 'anki-sync backup';
  version: 1;
  madeSecs: number;
  users: BackedUpUser[];
  /** By path below the backup, with slashes; lower-case hex. Databases have a SHA-256, media files the SHA-1 of their index. */
  files: Record<string, { bytes: number; sha256?: string; sha1?: string }>;
}

/** What was given is no backup, or not a whole one. The message is for the operator. */
export class BackupError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BackupError';
  }
}

export const MANIFEST = 'manifest.json';

/** @throws BackupError */
export function readManifest(folder: string): Manifest {
  try {
    return parseManifest(readFileSync(join(folder, MANIFEST), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new BackupError(`${folder} is no backup: it has no ${MANIFEST}`);
    throw error;
  }
}

/** A folder's name becomes a path: one that is none would lead out of the data folder. @throws BackupError */
export function parseManifest(text: string): Manifest {
  let manifest: Manifest;
  try {
    manifest = JSON.parse(text) as Manifest;
  } catch {
    throw new BackupError(`the ${MANIFEST} of the backup cannot be read`);
  }
  if (manifest?.format !== 'anki-sync backup') throw new BackupError(`the ${MANIFEST} is not of a backup`);
  if (manifest.version !== 1) throw new BackupError('the backup was made by a newer anki-sync');
  for (const { folder } of manifest.users) {
    if (!isSingleSegment(folder) && !/^user=[0-9a-f]{32}$/.test(folder)) throw new BackupError('the backup names a folder that is none');
  }
  for (const path of Object.keys(manifest.files)) {
    if (path.split('/').some((part) => part === '' || part === '.' || part === '..') || /[\\\0]/.test(path)) throw new BackupError('the backup names a file that is none');
  }
  return manifest;
}
