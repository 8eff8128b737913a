/** Where a backup takes its copies from: a server that runs, or the data folder itself when none does. */
import { chmodSync, copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { usersDatabasePath } from '../auth/users-schema.ts';
import { DataFolderInUseError, lockDataFolder } from '../storage/files/data-folder-lock.ts';
import { removeFile, syncFile } from '../storage/files/durable.ts';
import { copyDatabase } from '../storage/sqlite/database-copy.ts';
import { connectToControl } from './control.ts';
import { BackupError, type BackedUpUser } from './manifest.ts';

export interface BackupSource {
  /** Whether users may sync meanwhile, so that media can change between the index and the files. */
  readonly live: boolean;
  /** Writes `collection.anki2` and `media.db`, those that there are, as of one moment. */
  copyUser(user: BackedUpUser & { id: string | null }, to: string): Promise<void>;
  close(): Promise<void>;
}

const DATABASES = ['collection.anki2', 'media.db'];

/** @throws BackupError, DataFolderInUseError */
export async function openSource(base: string): Promise<BackupSource> {
  const control = await connectToControl(base);
  if (control !== null) {
    return {
      live: true,
      async copyUser(user, to) {
        if (user.id === null) return copyUnused(base, user.folder, to);
        const from = await control.copyUser(user.id).catch((error: Error) => {
          throw new BackupError(`"${user.loginName}": the server answers: ${error.message}`);
        });
        for (const name of DATABASES.filter((each) => existsSync(join(from, each)))) {
          copyFileSync(join(from, name), join(to, name));
          syncFile(join(to, name));
        }
      },
      close: async () => control.close(),
    };
  }
  const lock = await lockDataFolder(base, 'anki-sync backup').catch((error: unknown) => {
    if (!(error instanceof DataFolderInUseError)) throw error;
    throw new BackupError(`${error.message}. A server that was not started with "serve" cannot be asked for copies`);
  });
  return { live: false, copyUser: async ({ folder }, to) => copyUnused(base, folder, to), close: () => lock.release() };
}

/** Of a folder that no server has open. */
function copyUnused(base: string, folder: string, to: string): void {
  for (const name of DATABASES) {
    const from = join(base, folder, name);
    removeFile(join(to, name));
    if (!existsSync(from)) continue;
    copyDatabase(from, join(to, name));
    syncFile(join(to, name));
  }
}

/** The database of users may be written at any moment, by commands too: SQLite copies it. Answers whether there is one. */
export async function copyUsersDatabase(base: string, to: string): Promise<boolean> {
  if (!existsSync(usersDatabasePath(base))) return false;
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  const db = new Database(usersDatabasePath(base), { fileMustExist: true });
  try {
    await db.backup(to);
  } finally {
    db.close();
  }
  const copy = new Database(to);
  try {
    copy.pragma('journal_mode = DELETE');
  } finally {
    copy.close();
  }
  chmodSync(to, 0o600);
  syncFile(to);
  return true;
}
