import type { Database, Statement } from 'better-sqlite3';
import { SyncError } from '../../errors.ts';
import type {
  CollectionSession,
  Graves,
  Id,
  JsonArrayText,
  JsonObjectText,
  NamedObject,
  NotetypeShape,
  ObjectKind,
  Row,
  RowKind,
  TableCounts,
} from '../storage.ts';
import { COLUMNS, GRAVE_TYPE } from './collection-file.ts';
import { JsonColumns } from './json-columns.ts';
import type { RowCounts } from './row-counts.ts';

/** What is sent in place of a column that each side computes for itself (rslib's NoteEntry). */
const SENT_AS: Record<string, string> = { 'notes.sfld': "''", 'notes.csum': "''", 'notes.flags': '0', 'notes.data': "''" };

/**
 * Pending as Anki means it: -1 marks what a client has not sent yet, any other number what changed since that usn.
 * The index is named because statistics of an old ANALYZE make the planner walk the table instead.
 */
function pendingClause(sinceUsn: number): string {
  return sinceUsn === -1 ? 'usn = ?' : 'usn >= ?';
}

/**
 * The `mod` of a change at `:now`: above the one before, since clients take an equal one for "no changes". One that is further ahead
 * than the five minutes by which clients accept a clock to be off came from a wrong clock, and is not kept: to a `mod` of next
 * year, no client would be newer until then, and what it changes in the config would be lost at each sync. `:now` is a bigint.
 */
export const NEXT_MOD = 'CASE WHEN mod > :now + 300000 THEN :now ELSE max(mod + 1, :now) END';

/** Columns of text that travel; the others hold numbers. */
const TEXTS: Record<RowKind, readonly string[]> = { revlog: [], cards: ['data'], notes: ['guid', 'tags', 'flds'] };
/** Of a row, about. */
const BYTES_OF_NUMBERS = 100;

const REST_AS_TEXT: Record<RowKind, readonly string[]> = { revlog: [], cards: ['data'], notes: ['guid', 'tags', 'flds', 'sfld', 'data'] };

/**
 * The place of a row's value in a statement. Numbers are bound as floats, and would rest as floats where an uploaded file declares
 * its columns without types: no client could read them.
 */
function valueOf(kind: RowKind, column: string): string {
  return REST_AS_TEXT[kind].includes(column) ? '?' : 'CAST(? AS INTEGER)';
}

/** Columns with an index that hardly ever change: an UPDATE that names them writes the index's page, be they the same or not. */
const STEADY = { cards: 'nid', notes: 'csum' } as const;

/** Of what is committed: what a connection remembers from one sync to the next. */
export interface Remembered {
  /** Undefined until a sync has counted. */
  rowCounts?: RowCounts | undefined;
  json?: JsonColumns | undefined;
  /** Characters in `json`. */
  jsonLength?: number;
}

/** One normal sync: an open transaction on the user's collection. The store that made it owns the connection. */
export class SqliteCollectionSession implements CollectionSession {
  readonly usn: number;
  #db: Database;
  #json: JsonColumns;
  /** What changed in `col` beside it. All of that one long row is written once, at the end. */
  #col: { conf?: string; crt?: bigint } = {};
  #prepare: (sql: string) => Statement;
  #remembered: Remembered;
  /** With what this sync has added and removed; undefined until they are counted. */
  #rowCounts: RowCounts | undefined;
  #requireInPlace: () => void;
  #ended: (() => void) | undefined;

  /**
   * @param prepare keeps statements for the life of the connection
   * @param remembered is brought up to date at the end
   * @param requireInPlace throws where the file has no name any more, so that a commit would be lost
   * @param ended called once, after commit or rollback
   */
  constructor(db: Database, prepare: (sql: string) => Statement, remembered: Remembered, requireInPlace: () => void, ended: () => void) {
    this.#db = db;
    this.#prepare = prepare;
    this.#remembered = remembered;
    this.#requireInPlace = requireInPlace;
    this.#json = remembered.json ?? new JsonColumns(prepare);
    this.#rowCounts = remembered.rowCounts && { ...remembered.rowCounts };
    // until this sync has ended well, it is not what is committed
    delete remembered.json;
    db.exec('BEGIN IMMEDIATE');
    try {
      this.usn = prepare('SELECT usn FROM col').pluck().get() as number;
    } catch (error) {
      if (db.inTransaction) db.exec('ROLLBACK');
      throw error;
    }
    this.#ended = ended;
  }

  #live(): void {
    if (this.#ended === undefined) throw new SyncError('SYNC_NOT_ACTIVE', 'this sync has ended');
  }

  async pendingGraves(sinceUsn: number): Promise<Graves> {
    this.#live();
    const rows = this.#prepare(`SELECT oid, type FROM graves WHERE ${pendingClause(sinceUsn)}`)
      .raw()
      .safeIntegers()
      .all(sinceUsn) as [bigint, bigint][];
    const graves: Graves = { cards: [], notes: [], decks: [] };
    for (const [oid, type] of rows) {
      const list = [graves.cards, graves.notes, graves.decks][Number(type)];
      if (list === undefined) throw new SyncError('STEP_FAILED', 'a grave of an unknown kind');
      list.push(narrow(oid));
    }
    return graves;
  }

  async applyGraves(graves: Graves, usn: number): Promise<void> {
    this.#live();
    for (const kind of ['notes', 'cards', 'decks'] as const) {
      const ids = graves[kind];
      if (ids.length === 0) continue;
      const list = idsText(ids);
      if (kind === 'decks') this.#json.removeDecks(ids);
      else this.#added(kind, -this.#prepare(`DELETE FROM ${kind} WHERE id IN (SELECT value FROM json_each(?))`).run(list).changes);
      // an object that came back and is deleted again must be seen as deleted now, not at the older usn
      this.#prepare('DELETE FROM graves WHERE type = ? AND oid IN (SELECT value FROM json_each(?))').run(GRAVE_TYPE[kind], list);
      this.#prepare('INSERT INTO graves (usn, oid, type) SELECT DISTINCT ?, value, ? FROM json_each(?)').run(BigInt(usn), BigInt(GRAVE_TYPE[kind]), list);
    }
  }

  async pendingObjects(kind: ObjectKind, sinceUsn: number): Promise<NamedObject[]> {
    this.#live();
    const pending = sinceUsn === -1 ? (usn: number) => usn === -1 : (usn: number) => usn >= sinceUsn;
    return [...this.#json.objects(kind).values()].filter((object) => pending(object.usn));
  }

  async objectStamps(kind: ObjectKind): Promise<Omit<NamedObject, 'json'>[]> {
    this.#live();
    return [...this.#json.objects(kind).values()];
  }

  async notetypeShapes(): Promise<NotetypeShape[]> {
    this.#live();
    return this.#json.notetypeShapes();
  }

  async putObjects(kind: ObjectKind, objects: NamedObject[]): Promise<void> {
    this.#live();
    this.#json.put(kind, objects);
  }

  async pendingTags(sinceUsn: number): Promise<string[]> {
    this.#live();
    const pending = sinceUsn === -1 ? (usn: number) => usn === -1 : (usn: number) => usn >= sinceUsn;
    return [...this.#json.tags()].filter(([, usn]) => pending(usn)).map(([name]) => name);
  }

  async allTags(): Promise<string[]> {
    this.#live();
    return [...this.#json.tags().keys()];
  }

  async addTags(names: string[], usn: number): Promise<void> {
    this.#live();
    this.#json.addTags(names, usn);
  }

  async config(): Promise<JsonObjectText> {
    this.#live();
    return this.#col.conf ?? (this.#prepare('SELECT conf FROM col').pluck().get() as string);
  }

  async setConfig(config: JsonObjectText): Promise<void> {
    this.#live();
    this.#col.conf = config;
  }

  async creationSecs(): Promise<number> {
    this.#live();
    return Number(this.#col.crt ?? this.#prepare('SELECT crt FROM col').pluck().get());
  }

  async setCreationSecs(secs: number): Promise<void> {
    this.#live();
    this.#col.crt = BigInt(secs);
  }

  async pendingIds(kind: RowKind, sinceUsn: number): Promise<Id[]> {
    this.#live();
    const pending = this.#prepare(`SELECT id FROM ${kind} INDEXED BY ix_${kind}_usn WHERE ${pendingClause(sinceUsn)} ORDER BY usn, id`).pluck();
    const ids = pending.safeIntegers(false).all(sinceUsn) as number[];
    if (ids.every((id) => Number.isSafeInteger(id))) return ids;
    const exact: Id[] = [];
    // one by one: millions of bigints would not fit into memory beside the numbers
    for (const id of pending.safeIntegers().iterate(sinceUsn) as IterableIterator<bigint>) exact.push(narrow(id));
    return exact;
  }

  async rows(kind: RowKind, ids: Id[]): Promise<JsonArrayText> {
    this.#live();
    if (ids.length === 0) return '[]';
    const columns = COLUMNS[kind].map((column) => SENT_AS[`${kind}.${column}`] ?? `r.${column}`).join(', ');
    return this.#prepare(
      `SELECT coalesce(json_group_array(json_array(${columns})), '[]') FROM json_each(?) k CROSS JOIN ${kind} r ON r.id = k.value`,
    )
      .pluck()
      .get(idsText(ids)) as string;
  }

  async rowBytes(kind: RowKind, ids: Id[]): Promise<number[]> {
    this.#live();
    // of a text, SQLite knows the length without reading it; a number it would have to write down
    const bytes = TEXTS[kind].map((column) => ` + octet_length(r.${column})`).join('');
    return this.#prepare(`SELECT iif(r.id IS NULL, 0, ${BYTES_OF_NUMBERS}${bytes}) FROM json_each(?) k LEFT JOIN ${kind} r ON r.id = k.value ORDER BY k.key`)
      .pluck()
      .all(idsText(ids)) as number[];
  }

  async mergeRows(kind: RowKind, rows: readonly Row[], sinceUsn: number): Promise<void> {
    this.#live();
    const columns = COLUMNS[kind];
    // row by row with bound values: half the time of one statement that takes a JSON text of all rows apart
    const values = columns.map((column) => valueOf(kind, column)).join(', ');
    const insert = this.#prepare(`INSERT INTO ${kind} (${columns.join(', ')}) VALUES (${values}) ON CONFLICT (id) DO NOTHING`);
    const present: Row[] = [];
    for (const row of rows) if (insert.run(...row).changes === 0) present.push(row);
    this.#added(kind, rows.length - present.length);
    if (kind === 'revlog' || present.length === 0) return;

    const steady = STEADY[kind];
    const update = (fixed: string[]): Statement => {
      const changing = columns.slice(1).filter((column) => !fixed.includes(column));
      const sets = changing.map((column) => `${column} = ${valueOf(kind, column)}`);
      const same = ['id', ...fixed].map((column) => `${column} = ?`);
      return this.#prepare(`UPDATE ${kind} SET ${sets.join(', ')} WHERE ${same.join(' AND ')} AND NOT (${pendingClause(sinceUsn)} AND mod >= ?)`);
    };
    const updateOthers = update([steady]);
    const updateAll = update([]);
    const [at, modAt] = [columns.indexOf(steady), columns.indexOf('mod')];
    for (const row of present) {
      const others = row.filter((_, index) => index !== 0 && index !== at);
      const isDone = updateOthers.run(others, row[0], row[at], sinceUsn, row[modAt]).changes === 1;
      if (!isDone) updateAll.run(row.slice(1), row[0], sinceUsn, row[modAt]);
    }
  }

  async noteStamps(ids: Id[]): Promise<{ id: Id; usn: number; mtimeSecs: number }[]> {
    this.#live();
    const rows = this.#prepare('SELECT id, usn, mod FROM notes WHERE id IN (SELECT value FROM json_each(?))')
      .raw()
      .safeIntegers()
      .all(idsText(ids)) as [bigint, bigint, bigint][];
    return rows.map(([id, usn, mod]) => ({ id: narrow(id), usn: Number(usn), mtimeSecs: Number(mod) }));
  }

  async unburyCards(): Promise<void> {
    this.#live();
    // as rslib's restore_queue_from_type: a learning card due at a time of day goes back to 1, one due on a day to 3.
    // They are looked for deck by deck, the one way there is that does not walk all cards
    this.#prepare(
      `UPDATE cards SET queue = CASE WHEN type NOT IN (1, 3) THEN type WHEN due > 1000000000 THEN 1 ELSE 3 END WHERE id IN (
         WITH RECURSIVE decks (did) AS (
           SELECT min(did) FROM cards
           UNION ALL SELECT (SELECT min(did) FROM cards WHERE did > decks.did) FROM decks WHERE decks.did IS NOT NULL
         )
         SELECT c.id FROM decks CROSS JOIN cards c INDEXED BY ix_cards_sched WHERE c.did = decks.did AND c.queue IN (-2, -3)
       )`,
    ).run();
  }

  async counts(anew = false): Promise<TableCounts> {
    this.#live();
    if (this.#rowCounts === undefined || anew) {
      const count = (kind: RowKind): number => this.#prepare(`SELECT count(*) FROM ${kind}`).pluck().get() as number;
      this.#rowCounts = { revlog: count('revlog'), cards: count('cards'), notes: count('notes') };
    }
    return {
      ...this.#rowCounts,
      notetypes: this.#json.objects('notetypes').size,
      decks: this.#json.objects('decks').size,
      deckConfigs: this.#json.objects('deckConfigs').size,
    };
  }

  #added(kind: RowKind, rows: number): void {
    if (this.#rowCounts !== undefined) this.#rowCounts[kind] += rows;
  }

  async hasUnsentObjects(): Promise<boolean> {
    this.#live();
    const found = this.#prepare(
      `SELECT EXISTS (SELECT 1 FROM cards INDEXED BY ix_cards_usn WHERE usn = -1)
           OR EXISTS (SELECT 1 FROM notes INDEXED BY ix_notes_usn WHERE usn = -1)
           OR EXISTS (SELECT 1 FROM revlog INDEXED BY ix_revlog_usn WHERE usn = -1)
           OR EXISTS (SELECT 1 FROM graves WHERE usn = -1)`,
    )
      .pluck()
      .get() as number;
    if (found === 1) return true;
    for (const kind of ['notetypes', 'decks', 'deckConfigs'] as const) {
      for (const object of this.#json.objects(kind).values()) if (object.usn === -1) return true;
    }
    for (const usn of this.#json.tags().values()) if (usn === -1) return true;
    return false;
  }

  async commit(nowMillis: number): Promise<number> {
    this.#live();
    this.#requireInPlace();
    const columns = { ...this.#col, ...this.#json.takeChanged() };
    const sets = Object.keys(columns).map((column) => `${column} = :${column}, `).join('');
    const modified = this.#prepare(`UPDATE col SET ${sets}usn = usn + 1, mod = ${NEXT_MOD}, ls = ${NEXT_MOD} RETURNING mod`)
      .pluck()
      .get({ ...columns, now: BigInt(nowMillis) }) as number;
    this.#db.exec('COMMIT');
    const db = this.#db;
    setImmediate(() => tidyUp(db));
    this.#remembered.rowCounts = this.#rowCounts;
    this.#remembered.json = this.#json;
    this.#remembered.jsonLength = this.#json.length;
    this.#end();
    return modified;
  }

  async rollback(): Promise<void> {
    if (this.#ended === undefined) return;
    try {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
    } finally {
      this.#end();
    }
  }

  #end(): void {
    const ended = this.#ended;
    this.#ended = undefined;
    ended?.();
  }
}

/** Of the log, before it is written back into the file: SQLite's own default. */
const MAX_LOG_PAGES = 1000;

/**
 * What can be done behind a commit. SQLite would write its log back within it, but the log is on the disk as it is, and nobody need wait
 * for more. And pages that a collection keeps until its next sync cost a megabyte each of those that are open, where the system has them too.
 */
function tidyUp(db: Database): void {
  try {
    if (!db.open || db.inTransaction) return;
    db.pragma('shrink_memory');
    const [log] = db.pragma('wal_checkpoint(NOOP)') as [{ log: number }];
    if (log.log > MAX_LOG_PAGES) db.pragma('wal_checkpoint(PASSIVE)');
  } catch {
    // as SQLite itself: the next commit tries again
  }
}

function narrow(id: bigint): Id {
  return id >= Number.MIN_SAFE_INTEGER && id <= Number.MAX_SAFE_INTEGER ? Number(id) : id;
}

/** `[1,2,…]` with every digit of 64-bit ids. */
function idsText(ids: readonly Id[]): string {
  return `[${ids.join(',')}]`;
}
