/** What a user's folder holds, as one value: to tell "before" from "after", and both from anything in between. Read from copies. */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { checkDataFolder } from '../../lib/check/data-folder.ts';
import { copyRange } from '../../lib/storage/files/hashed-copy.ts';
import { mediaPlaces } from '../../lib/storage/files/media-places.ts';

/** By table and column; equal states are equal text by text. */
export type State = Record<string, string>;

export interface StateOptions {
  /** Leaves out usns and the times of changes: what a client and a server that agree have in common. */
  loose?: boolean;
  /** Times and ids made from the clock count as one: for collections that are made anew in each run. */
  timeless?: boolean;
  /** Files that no index knows may be there. */
  unindexed?: boolean;
}

const ORDER: Record<string, string> = { notes: 'id', cards: 'id', revlog: 'id', graves: 'usn, oid, type' };

/** @throws when the collection or the index is damaged */
export function stateOf(home: string, scratch: string, options: StateOptions = {}): State {
  mkdirSync(scratch, { recursive: true });
  try {
    return { ...collectionState(home, scratch, options), ...mediaState(home, scratch, options) };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Of a single file that nobody has open. */
export function fileState(path: string, scratch: string, options: StateOptions = {}): State {
  mkdirSync(join(scratch, 'home'), { recursive: true });
  copyFileSync(path, join(scratch, 'home', 'collection.anki2'));
  const state = collectionState(join(scratch, 'home'), scratch, options);
  rmSync(scratch, { recursive: true, force: true });
  return state;
}

function collectionState(home: string, scratch: string, { loose = false, timeless = false }: StateOptions): State {
  const state: State = {};
  const db = opened(home, 'collection.anki2', scratch);
  if (db === undefined) return { collection: 'none' };
  try {
    const version = db.prepare('SELECT ver FROM col').pluck().get() as number;
    if (version !== 11) return { collection: `schema ${version}, ${db.prepare('SELECT count(*) FROM notes').pluck().get() as number} notes` };
    soundOrThrow(db, 'the collection');
    const text = (value: unknown): string => {
      const json = JSON.stringify(value);
      return timeless ? json.replace(/-?\b\d{10,}\b/g, 'T') : json;
    };
    for (const [table, order] of Object.entries(ORDER)) {
      const rows = db.prepare(`SELECT * FROM ${table} ORDER BY ${order}`).all() as Record<string, unknown>[];
      if (loose) for (const row of rows) for (const column of ['usn', 'mod']) delete row[column];
      state[table] = text(loose && table === 'graves' ? [...new Set(rows.map((row) => JSON.stringify(row)))].sort() : rows);
    }
    const col = db.prepare('SELECT * FROM col').get() as Record<string, unknown>;
    for (const column of ['mod', 'ls']) delete col[column];
    for (const column of ['conf', 'models', 'decks', 'dconf', 'tags']) col[column] = sorted(JSON.parse(String(col[column])), loose);
    // names with usns
    if (loose) col['tags'] = Object.keys(col['tags'] as object).sort();
    const conf = col['conf'] as Record<string, unknown>;
    delete conf['lastUnburied'];
    if (loose) delete col['usn'];
    for (const [column, value] of Object.entries(col)) state[`col.${column}`] = text(value);
    return state;
  } finally {
    db.close();
  }
}

/** Each indexed file must be there with its bytes, and nothing else may be. */
function mediaState(home: string, scratch: string, { loose = false, unindexed = false }: StateOptions): State {
  const db = opened(home, 'media.db', scratch);
  if (db === undefined) return { media: 'none' };
  try {
    // one that was being made when the process ended
    if (db.pragma('user_version', { simple: true }) === 0) return { media: 'none' };
    soundOrThrow(db, 'the media index');
    const places = mediaPlaces(home);
    const rows = db.prepare('SELECT fname, lower(hex(csum)) AS sha1, size, usn FROM media ORDER BY fname').all() as
      { fname: string; sha1: string; size: number; usn: number }[];
    for (const { fname, sha1, size } of rows) {
      if (size === 0) continue;
      const range = places.find(fname, sha1);
      if (range === null || range.bytes !== size || copyRange(range, null) !== sha1) throw new Error(`the bytes of ${fname} are ${range === null ? 'lost' : 'other ones'}`);
    }
    const names = new Set(rows.map(({ fname }) => fname));
    const strange = [...places.plain].filter((name) => !names.has(name));
    if (strange.length > 0 && !unindexed) throw new Error(`files that no index knows: ${strange.join(', ')}`);
    const totals = db.prepare('SELECT * FROM meta').get() as { last_usn: number; total_bytes: number; total_nonempty_files: number };
    const present = rows.filter(({ size }) => size > 0);
    const bytes = present.reduce((sum, { size }) => sum + size, 0);
    if (totals.total_nonempty_files !== present.length || totals.total_bytes !== bytes) throw new Error(`the totals of the media index are wrong: ${JSON.stringify(totals)}`);
    if (loose) return { media: JSON.stringify(present.map(({ fname, sha1 }) => [fname, sha1])) };
    // an index without entries is what the first request makes
    return rows.length === 0 && totals.last_usn === 0 ? { media: 'none' } : { media: JSON.stringify(rows), 'media totals': JSON.stringify(totals) };
  } finally {
    db.close();
  }
}

/** A copy with its log written back, as the next start would do it; undefined if there is none. */
function opened(home: string, name: string, scratch: string): Database.Database | undefined {
  const from = join(home, name);
  if (!existsSync(from) || (statSync(from).size === 0 && name === 'media.db')) return undefined;
  const to = join(scratch, name);
  for (const suffix of ['', '-wal', '-journal']) if (existsSync(from + suffix)) copyFileSync(from + suffix, to + suffix);
  const db = new Database(to);
  db.pragma('locking_mode = EXCLUSIVE');
  return db;
}

function soundOrThrow(db: Database.Database, what: string): void {
  const verdict = db.pragma('integrity_check', { simple: true });
  if (verdict !== 'ok') throw new Error(`${what} is damaged: ${String(verdict)}`);
}

function sorted(value: unknown, loose: boolean): unknown {
  if (Array.isArray(value)) return value.map((each) => sorted(each, loose));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !loose || (key !== 'usn' && key !== 'mod'))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, sorted(each, loose)]),
  );
}

export function isSame(one: State, other: State): boolean {
  return differing(one, other).length === 0;
}

export function differing(one: State, other: State): string[] {
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].filter((key) => one[key] !== other[key]);
}

/** What `anki-sync check` finds in a data folder that no server holds; thorough. */
export async function findings(base: string): Promise<{ problems: string[]; notes: string[] }> {
  const found = { problems: [] as string[], notes: [] as string[] };
  await checkDataFolder({
    base,
    deep: true,
    only: [],
    began: () => {},
    found: ({ level, about, text }) => found[level === 'problem' ? 'problems' : 'notes'].push(`${about ?? 'all'}: ${text}`),
  });
  return found;
}

/** Every file below a folder, with its contents in short. */
export function filesBelow(folder: string): Map<string, string> {
  if (!existsSync(folder)) return new Map();
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const found = new Map<string, string>();
  for (const file of files) {
    const path = join(file.parentPath, file.name);
    try {
      found.set(path.slice(folder.length + 1), createHash('sha1').update(readFileSync(path)).digest('hex'));
    } catch (error) {
      // a server that runs may let go of a staged file while this looks
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return found;
}
