/**
 * Takes the users of an old community server into a data folder. Each user comes whole or not at all: staged beside the
 * users' folders, renamed into place, then known by name. The source is only read; nothing that is in the data folder is
 * ever overwritten.
 *
 * A file in each imported folder tells where it came from. It is what makes a second run, after an interruption or not,
 * finish what was begun and leave alone what is done.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chooseFolder } from '../auth/folder-names.ts';
import { keptHash } from '../auth/kept-hash.ts';
import { loginKey, namesDifferingInCase, normaliseLoginName } from '../auth/login-names.ts';
import { SqliteUsers } from '../auth/sqlite-users.ts';
import { UsersDatabase } from '../auth/users-database.ts';
import { UsersError } from '../auth/users-error.ts';
import { usersDatabasePath } from '../auth/users-schema.ts';
import { lockDataFolder } from '../storage/files/data-folder-lock.ts';
import { syncFile, syncFolder } from '../storage/files/durable.ts';
import { NotImportable, rehearseUser, stageUser, type StagedUser } from './import-user.ts';
import type { OldServer, OldUser } from './old-server.ts';

export type UserOutcome = { name: string } & (
  | ({ kind: 'imported'; password: 'kept' | 'unknown form' | 'none' } & StagedUser)
  /** By an earlier run. */
  | { kind: 'earlier' }
  | { kind: 'refused'; reason: string }
);

export interface ImportOptions {
  base: string;
  /** Looks at everything and changes nothing in the data folder. */
  dryRun: boolean;
  /** Called after each user. */
  told(outcome: UserOutcome): void;
  /** Media bytes that were copied since the last call, and those of all of the user. */
  copied(bytes: number, ofBytes: number): void;
}

/** In an imported user's folder. */
const RECORD = '.anki-sync-import.json';

/** Folder for what is not complete yet; beside the users' folders, so that taking one in is a rename. */
export function importFolder(base: string): string {
  return join(base, '.anki-sync', 'import');
}

/** @throws DataFolderInUseError, UsersError of the data folder */
export async function importUsers({ users }: OldServer, options: ImportOptions): Promise<void> {
  const base = resolve(options.base);
  if (options.dryRun) return rehearse(users, base, options);
  const lock = await lockDataFolder(base, 'anki-sync import');
  try {
    const staging = importFolder(base);
    rmSync(staging, { recursive: true, force: true });
    const names = users.flatMap(({ name }) => usableName(name) ?? []);
    const database = await UsersDatabase.open(base, existsSync(usersDatabasePath(base)) ? {} : { names });
    try {
      for (const user of users) options.told(await outcomeOf(user.name, () => importUser(user, database, staging, options)));
    } finally {
      await database.close();
      rmSync(staging, { recursive: true, force: true });
    }
  } finally {
    await lock.release();
  }
}

async function rehearse(users: OldUser[], base: string, { told }: ImportOptions): Promise<void> {
  const known = existsSync(usersDatabasePath(base)) ? await UsersDatabase.open(base) : undefined;
  // as the first start would decide it
  const caseSensitive = known?.caseSensitive ?? namesDifferingInCase(users.map(({ name }) => name)).length > 0;
  try {
    for (const user of users) {
      const scratch = mkdtempSync(join(tmpdir(), 'anki-sync-import-'));
      told(
        await outcomeOf(user.name, async () => {
          const place = placeFor(user.name, base, caseSensitive, known);
          if (place.earlier) return { kind: 'earlier' };
          const staged = user.folder === undefined ? NOTHING : rehearseUser(user.folder, scratch);
          return { kind: 'imported', password: passwordOf(user).password, ...staged };
        }).finally(() => rmSync(scratch, { recursive: true, force: true })),
      );
    }
  } finally {
    await known?.close();
  }
}

type Outcome = Omit<Extract<UserOutcome, { kind: 'imported' }>, 'name'> | { kind: 'earlier' };

/** What concerns one user alone must not keep the others out. */
async function outcomeOf(name: string, run: () => Promise<Outcome>): Promise<UserOutcome> {
  try {
    return { name, ...(await run()) };
  } catch (error) {
    if (!(error instanceof NotImportable || error instanceof UsersError)) throw error;
    return { name, kind: 'refused', reason: error.message };
  }
}

async function importUser(user: OldUser, database: UsersDatabase, staging: string, options: ImportOptions): Promise<Outcome> {
  const { base } = database;
  const place = placeFor(user.name, base, database.caseSensitive, database);
  if (place.earlier) return { kind: 'earlier' };
  const { hash, password } = passwordOf(user);
  const users = new SqliteUsers(database);
  if (place.interrupted) {
    const { staged } = readRecord(join(base, place.folder))!;
    await users.addWithHash(user.name, hash);
    return { kind: 'imported', password, ...staged };
  }
  if (user.folder === undefined) {
    await users.addWithHash(user.name, hash);
    return { kind: 'imported', password, ...NOTHING };
  }
  const home = join(staging, 'user');
  const scratch = join(staging, 'scratch');
  for (const folder of [home, scratch]) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }
  const staged = await stageUser(user.folder, home, scratch, options.copied);
  const record: ImportRecord = { loginName: place.loginName, from: resolve(user.folder), atSecs: Math.floor(Date.now() / 1000), staged };
  writeFileSync(join(home, RECORD), `${JSON.stringify(record, null, 2)}\n`);
  if (existsSync(join(home, 'collection.anki2'))) syncFile(join(home, 'collection.anki2'));
  syncFile(join(home, RECORD));
  syncFolder(join(home, 'media'));
  syncFolder(home);
  renameSync(home, join(base, place.folder));
  syncFolder(base);
  const added = await users.addWithHash(user.name, hash);
  if (added.folder !== place.folder) throw new Error(`the user "${user.name}" got the folder ${added.folder} instead of ${place.folder}`);
  return { kind: 'imported', password, ...staged };
}

interface Place {
  loginName: string;
  folder: string;
  /** Imported by an earlier run, and known by name. */
  earlier: boolean;
  /** Imported by an earlier run that was cut off before the user was known by name. */
  interrupted: boolean;
}

/** Where a user's data would go. @throws UsersError, NotImportable when something is there already */
function placeFor(name: string, base: string, caseSensitive: boolean, database: UsersDatabase | undefined): Place {
  const loginName = normaliseLoginName(name);
  const isSame = (record: ImportRecord | undefined): boolean => record !== undefined && loginKey(record.loginName, caseSensitive) === loginKey(loginName, caseSensitive);
  const known = database?.userByLoginName(loginName);
  if (known !== undefined) {
    if (isSame(readRecord(join(base, known.folder)))) return { loginName, folder: known.folder, earlier: true, interrupted: false };
    throw new NotImportable(`there is a user "${known.login_name}" in the data folder already`);
  }
  const entries = existsSync(base) ? readdirSync(base, { withFileTypes: true }).map((entry) => ({ name: entry.name, isFolder: !entry.isFile() })) : [];
  const taken = (database?.users() ?? []).map(({ folder }) => folder);
  const folder = chooseFolder({ loginName, caseSensitive, entries, taken });
  const target = join(base, folder);
  if (!existsSync(target) || readdirSync(target).length === 0) return { loginName, folder, earlier: false, interrupted: false };
  if (isSame(readRecord(target))) return { loginName, folder, earlier: false, interrupted: true };
  throw new NotImportable(`there is a folder ${target} already, with data of its own`);
}

interface ImportRecord {
  loginName: string;
  from: string;
  atSecs: number;
  staged: StagedUser;
}

function readRecord(folder: string): ImportRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, RECORD), 'utf8')) as ImportRecord;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const NOTHING: StagedUser = { notes: 0, cards: 0, files: 0, bytes: 0, remarks: [] };

function passwordOf({ name, hash }: OldUser): { hash: string | null; password: 'kept' | 'unknown form' | 'none' } {
  if (hash === undefined) return { hash: null, password: 'none' };
  const kept = keptHash(name, hash);
  return { hash: kept, password: kept === null ? 'unknown form' : 'kept' };
}

function usableName(name: string): string | undefined {
  try {
    return normaliseLoginName(name);
  } catch {
    return undefined;
  }
}
