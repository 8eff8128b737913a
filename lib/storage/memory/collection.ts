import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SyncError } from '../../errors.ts';
import { parseLossless, rawNumber, stringifyLossless, type Json } from '../../schema/json.ts';
import { newCollection } from '../../schema/new-collection.ts';
import { dayOf, dayShiftMillis } from '../../schema/review-days.ts';
import { jsonOfId } from '../../schema/wire-values.ts';
import { readCollectionFile, writeCollectionFile, type CollectionContents } from '../sqlite/collection-contents.ts';
import type {
  CollectionMeta,
  CollectionOverview,
  CollectionSession,
  CollectionStore,
  ExportedFile,
  Graves,
  Id,
  JsonArrayText,
  JsonObjectText,
  NamedObject,
  NotetypeShape,
  ObjectKind,
  OverviewRequest,
  ReviewDay,
  Row,
  RowKind,
  TableCounts,
  UserPlace,
} from '../storage.ts';

/** Where `usn` and `mod` stand in a row; revlog has no `mod`. */
const USN: Record<RowKind, number> = { revlog: 2, cards: 5, notes: 4 };
const MOD = { cards: 4, notes: 3 } as const;

/**
 * Collections in this process's memory, gone with it: for tests and demonstrations, and to show that nothing above the
 * contract knows SQLite. Files are read and written only to exchange whole collections with clients.
 */
export class MemoryCollectionStore implements CollectionStore {
  #collections = new Map<string, CollectionContents>();
  #sessions = new Map<string, MemorySession>();
  #folder: string | undefined;

  async meta(user: UserPlace): Promise<CollectionMeta> {
    const { col, rows } = this.#contents(user);
    const config = JSON.parse(col.conf) as { schedVer?: number; creationOffset?: unknown };
    return {
      modifiedMillis: col.mod,
      schemaModifiedMillis: col.scm,
      usn: col.usn,
      empty: rows.cards.size === 0,
      v2Scheduler: (config.schedVer ?? 1) >= 2,
      v2Timezone: typeof config.creationOffset === 'number',
    };
  }

  async begin(user: UserPlace, _sessionKey: string): Promise<CollectionSession> {
    await this.#sessions.get(user.userId)?.rollback();
    const session = new MemorySession(copyOf(this.#contents(user)), (committed) => {
      if (committed !== undefined) this.#collections.set(user.userId, committed);
      this.#sessions.delete(user.userId);
    });
    this.#sessions.set(user.userId, session);
    return session;
  }

  async stagingFolder(_user: UserPlace): Promise<string> {
    this.#folder ??= mkdtempSync(join(tmpdir(), 'anki-sync-memory-'));
    mkdirSync(this.#folder, { recursive: true });
    return this.#folder;
  }

  async importFile(user: UserPlace, path: string): Promise<void> {
    this.#collections.set(user.userId, readCollectionFile(path));
    rmSync(path, { force: true });
  }

  async exportFile(user: UserPlace): Promise<ExportedFile> {
    const contents = this.#contents(user);
    contents.col.usn += 1;
    contents.col.mod = nextMod(contents.col.mod, Date.now());
    const path = join(await this.stagingFolder(user), `download-${randomBytes(12).toString('hex')}.anki2`);
    writeCollectionFile(path, contents);
    return { path, bytes: statSync(path).size };
  }

  async overview(user: UserPlace, { nowMillis, days }: OverviewRequest): Promise<CollectionOverview | null> {
    const contents = this.#collections.get(user.userId);
    if (contents === undefined) return null;
    const { col, rows } = contents;
    const { localOffset, rollover } = JSON.parse(col.conf) as { localOffset?: unknown; rollover?: unknown };
    const shiftMillis = dayShiftMillis({ localOffset, rollover });
    const byDay = new Map<number, ReviewDay>();
    for (const [id, , , ease, , , , time] of rows.revlog.values()) {
      const daysAgo = dayOf(nowMillis, shiftMillis) - dayOf(Number(id), shiftMillis);
      if (daysAgo < 0 || daysAgo >= days || Number(ease) < 1 || Number(ease) > 4) continue;
      const day = byDay.get(daysAgo) ?? { daysAgo, reviews: 0, millis: 0 };
      byDay.set(daysAgo, { daysAgo, reviews: day.reviews + 1, millis: day.millis + Math.max(0, Number(time)) });
    }
    return {
      cards: rows.cards.size,
      notes: rows.notes.size,
      modifiedMillis: col.mod,
      lastSyncMillis: col.ls,
      bytes: 0,
      reviewDays: [...byDay.values()].sort((a, b) => a.daysAgo - b.daysAgo),
    };
  }

  async release(_user: UserPlace): Promise<void> {}

  /** Keeps what was committed: the same object may be used again, as if reopened. */
  async close(): Promise<void> {
    for (const session of [...this.#sessions.values()]) await session.rollback();
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }

  #contents(user: UserPlace): CollectionContents {
    let contents = this.#collections.get(user.userId);
    if (contents === undefined) {
      contents = freshContents(Date.now());
      this.#collections.set(user.userId, contents);
    }
    return contents;
  }
}

class MemorySession implements CollectionSession {
  readonly usn: number;
  #contents: CollectionContents;
  #end: ((committed: CollectionContents | undefined) => void) | undefined;

  constructor(contents: CollectionContents, end: (committed: CollectionContents | undefined) => void) {
    this.#contents = contents;
    this.usn = contents.col.usn;
    this.#end = end;
  }

  get #live(): CollectionContents {
    if (this.#end === undefined) throw new SyncError('SYNC_NOT_ACTIVE', 'this sync has ended');
    return this.#contents;
  }

  async pendingGraves(sinceUsn: number): Promise<Graves> {
    const graves: Graves = { cards: [], notes: [], decks: [] };
    for (const grave of this.#live.graves.values()) {
      if (isPending(grave.usn, sinceUsn)) graves[grave.kind].push(grave.id);
    }
    return graves;
  }

  async applyGraves(graves: Graves, usn: number): Promise<void> {
    const { rows, objects, graves: kept } = this.#live;
    for (const kind of ['notes', 'cards', 'decks'] as const) {
      for (const id of graves[kind]) {
        (kind === 'decks' ? objects.decks : rows[kind]).delete(String(id));
        kept.set(`${kind} ${id}`, { kind, id, usn });
      }
    }
  }

  async pendingObjects(kind: ObjectKind, sinceUsn: number): Promise<NamedObject[]> {
    return [...this.#live.objects[kind].values()].filter((object) => isPending(object.usn, sinceUsn));
  }

  async objectStamps(kind: ObjectKind): Promise<Omit<NamedObject, 'json'>[]> {
    return [...this.#live.objects[kind].values()];
  }

  async notetypeShapes(): Promise<NotetypeShape[]> {
    return [...this.#live.objects.notetypes.values()].map(({ id, name, mtimeSecs, json }) => {
      const { flds, tmpls, sortf } = JSON.parse(json) as { flds?: unknown[]; tmpls?: unknown[]; sortf?: number };
      return { id, name, mtimeSecs, fieldCount: flds?.length ?? 0, templateCount: tmpls?.length ?? 0, sortField: sortf ?? 0 };
    });
  }

  async putObjects(kind: ObjectKind, objects: NamedObject[]): Promise<void> {
    for (const object of objects) this.#live.objects[kind].set(String(object.id), object);
  }

  async pendingTags(sinceUsn: number): Promise<string[]> {
    return [...this.#live.tags].filter(([, usn]) => isPending(usn, sinceUsn)).map(([name]) => name);
  }

  async allTags(): Promise<string[]> {
    return [...this.#live.tags.keys()];
  }

  async addTags(names: string[], usn: number): Promise<void> {
    for (const name of names) this.#live.tags.set(name, usn);
  }

  async config(): Promise<JsonObjectText> {
    return this.#live.col.conf;
  }

  async setConfig(config: JsonObjectText): Promise<void> {
    this.#live.col.conf = config;
  }

  async creationSecs(): Promise<number> {
    return this.#live.col.crt;
  }

  async setCreationSecs(secs: number): Promise<void> {
    this.#live.col.crt = secs;
  }

  async pendingIds(kind: RowKind, sinceUsn: number): Promise<Id[]> {
    return [...this.#live.rows[kind].values()]
      .filter((row) => isPending(numberAt(row, USN[kind]), sinceUsn))
      .map((row) => ({ usn: numberAt(row, USN[kind]), id: idAt(row, 0) }))
      .sort((a, b) => a.usn - b.usn || (a.id < b.id ? -1 : 1))
      .map(({ id }) => id);
  }

  async rows(kind: RowKind, ids: Id[]): Promise<JsonArrayText> {
    const rows = ids.map((id) => this.#live.rows[kind].get(String(id))).filter((row) => row !== undefined);
    return stringifyLossless(kind === 'notes' ? rows.map((row) => [...row.slice(0, 7), '', '', 0, '']) : rows);
  }

  async rowBytes(kind: RowKind, ids: Id[]): Promise<number[]> {
    return ids.map((id) => {
      const row = this.#live.rows[kind].get(String(id));
      return row === undefined ? 0 : Buffer.byteLength(stringifyLossless(row));
    });
  }

  async mergeRows(kind: RowKind, rows: readonly Row[], sinceUsn: number): Promise<void> {
    const stored = this.#live.rows[kind];
    for (const values of rows) {
      const row = values.map((value) => (typeof value === 'bigint' ? jsonOfId(value) : value));
      const key = String(idAt(row, 0));
      const ours = stored.get(key);
      if (ours !== undefined) {
        if (kind === 'revlog') continue;
        if (isPending(numberAt(ours, USN[kind]), sinceUsn) && numberAt(ours, MOD[kind]) >= numberAt(row, MOD[kind])) continue;
      }
      stored.set(key, row);
    }
  }

  async noteStamps(ids: Id[]): Promise<{ id: Id; usn: number; mtimeSecs: number }[]> {
    return ids.flatMap((id) => {
      const row = this.#live.rows.notes.get(String(id));
      return row === undefined ? [] : [{ id, usn: numberAt(row, USN.notes), mtimeSecs: numberAt(row, MOD.notes) }];
    });
  }

  async unburyCards(): Promise<void> {
    for (const [key, row] of this.#live.rows.cards) {
      const [type, queue, due] = [numberAt(row, 6), numberAt(row, 7), numberAt(row, 8)];
      if (queue !== -2 && queue !== -3) continue;
      this.#live.rows.cards.set(key, row.with(7, type !== 1 && type !== 3 ? type : due > 1_000_000_000 ? 1 : 3));
    }
  }

  async counts(): Promise<TableCounts> {
    const { rows, objects } = this.#live;
    return {
      cards: rows.cards.size,
      notes: rows.notes.size,
      revlog: rows.revlog.size,
      notetypes: objects.notetypes.size,
      decks: objects.decks.size,
      deckConfigs: objects.deckConfigs.size,
    };
  }

  async hasUnsentObjects(): Promise<boolean> {
    const { rows, objects, graves, tags } = this.#live;
    return (
      (['revlog', 'cards', 'notes'] as const).some((kind) => [...rows[kind].values()].some((row) => numberAt(row, USN[kind]) === -1)) ||
      Object.values(objects).some((map) => [...map.values()].some((object) => object.usn === -1)) ||
      [...graves.values()].some((grave) => grave.usn === -1) ||
      [...tags.values()].includes(-1)
    );
  }

  async commit(nowMillis: number): Promise<number> {
    const { col } = this.#live;
    col.usn += 1;
    col.mod = nextMod(col.mod, nowMillis);
    col.ls = col.mod;
    this.#finish(this.#contents);
    return col.mod;
  }

  async rollback(): Promise<void> {
    this.#finish(undefined);
  }

  #finish(committed: CollectionContents | undefined): void {
    const end = this.#end;
    this.#end = undefined;
    end?.(committed);
  }
}

function freshContents(nowMillis: number): CollectionContents {
  const fresh = newCollection(nowMillis);
  const objects = (text: string): Map<string, NamedObject> =>
    new Map(
      Object.entries(parseLossless(text) as { [id: string]: { [key: string]: Json } }).map(([key, object]) => [
        key,
        { id: idAt([Number(key)], 0), name: String(object['name']), mtimeSecs: Number(object['mod']), usn: Number(object['usn']), json: stringifyLossless(object) },
      ]),
    );
  return {
    col: { crt: fresh.creationSecs, mod: 0, scm: nowMillis, usn: 0, ls: 0, conf: fresh.conf },
    objects: { notetypes: objects(fresh.models), decks: objects(fresh.decks), deckConfigs: objects(fresh.dconf) },
    tags: new Map(),
    rows: { revlog: new Map(), cards: new Map(), notes: new Map() },
    graves: new Map(),
  };
}

function copyOf({ col, objects, tags, rows, graves }: CollectionContents): CollectionContents {
  return {
    col: { ...col },
    objects: { notetypes: new Map(objects.notetypes), decks: new Map(objects.decks), deckConfigs: new Map(objects.deckConfigs) },
    tags: new Map(tags),
    rows: { revlog: new Map(rows.revlog), cards: new Map(rows.cards), notes: new Map(rows.notes) },
    graves: new Map(graves),
  };
}

function isPending(usn: number, sinceUsn: number): boolean {
  return sinceUsn === -1 ? usn === -1 : usn >= sinceUsn;
}

function idAt(row: Json[], index: number): Id {
  const raw = rawNumber(row[index]);
  return raw === undefined ? (row[index] as number) : BigInt(raw);
}

function numberAt(row: Json[], index: number): number {
  return Number(idAt(row, index));
}

export default (): CollectionStore => new MemoryCollectionStore();

/** As `CollectionSession.commit` tells it. */
function nextMod(mod: number, nowMillis: number): number {
  return mod > nowMillis + 300_000 ? nowMillis : Math.max(mod + 1, nowMillis);
}
