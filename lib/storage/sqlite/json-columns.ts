import type { Statement } from 'better-sqlite3';
import { SyncError } from '../../errors.ts';
import type { NamedObject, NotetypeShape, ObjectKind } from '../storage.ts';

const COLUMN: Record<ObjectKind, string> = { notetypes: 'models', decks: 'decks', deckConfigs: 'dconf' };

/**
 * Of each column of `col` with JSON in it, at rest. A sync holds them in memory a few times over, and a thread whose heap they
 * do not fit into takes the process with it. 500 notetypes have some 5 MiB.
 */
export const MAX_COLUMN_BYTES = 48 * 1024 ** 2;

/**
 * Notetypes, decks, presets and tags of schema 11 rest as JSON maps in the one row of `col`. This holds those that a sync
 * touched, as text, and writes the changed columns back once, at the end: no object is ever parsed and printed anew,
 * so unknown keys and 64-bit ids stay as they came. It may serve several syncs of one connection, one after the other.
 */
export class JsonColumns {
  #prepare: (sql: string) => Statement;
  #objects = new Map<ObjectKind, Map<string, NamedObject>>();
  #tags: Map<string, number> | undefined;
  #changed = new Set<ObjectKind | 'tags'>();

  constructor(prepare: (sql: string) => Statement) {
    this.#prepare = prepare;
  }

  /** Characters that it holds in memory. */
  get length(): number {
    let length = 0;
    for (const objects of this.#objects.values()) for (const { json } of objects.values()) length += json.length;
    for (const name of this.#tags?.keys() ?? []) length += name.length;
    return length;
  }

  objects(kind: ObjectKind): Map<string, NamedObject> {
    let objects = this.#objects.get(kind);
    if (objects === undefined) {
      objects = new Map();
      const rows = this.#prepare(
        `SELECT e.key, e.value, e.value ->> '$.name', CAST(e.value ->> '$.mod' AS INTEGER), CAST(e.value ->> '$.usn' AS INTEGER)
         FROM col, json_each(col.${COLUMN[kind]}) e WHERE e.type = 'object'`,
      )
        .raw()
        .iterate() as IterableIterator<[string, string, string | null, number | null, number | null]>;
      for (const [key, json, name, mtimeSecs, usn] of rows) {
        objects.set(key, { id: idOfText(key), name: String(name ?? ''), mtimeSecs: mtimeSecs ?? 0, usn: usn ?? 0, json });
      }
      this.#objects.set(kind, objects);
    }
    return objects;
  }

  put(kind: ObjectKind, objects: NamedObject[]): void {
    if (objects.length === 0) return;
    const all = this.objects(kind);
    for (const object of objects) all.set(String(object.id), object);
    this.#changed.add(kind);
    checkBytes([...all.values()].map(({ json }) => json));
  }

  removeDecks(ids: Iterable<number | bigint>): void {
    const decks = this.objects('decks');
    for (const id of ids) if (decks.delete(String(id))) this.#changed.add('decks');
  }

  notetypeShapes(): NotetypeShape[] {
    const shape = this.#prepare(
      `SELECT coalesce(json_array_length(:json, '$.flds'), 0), coalesce(json_array_length(:json, '$.tmpls'), 0), coalesce(CAST(:json ->> '$.sortf' AS INTEGER), 0)`,
    ).raw();
    return [...this.objects('notetypes').values()].map((notetype) => {
      const [fieldCount, templateCount, sortField] = shape.get({ json: notetype.json }) as [number, number, number];
      return { id: notetype.id, name: notetype.name, mtimeSecs: notetype.mtimeSecs, fieldCount, templateCount, sortField };
    });
  }

  /** Tag name → usn. */
  tags(): Map<string, number> {
    if (this.#tags === undefined) {
      const rows = this.#prepare('SELECT e.key, CAST(e.value AS INTEGER) FROM col, json_each(col.tags) e').raw().all() as [string, number][];
      this.#tags = new Map(rows);
    }
    return this.#tags;
  }

  addTags(names: string[], usn: number): void {
    if (names.length === 0) return;
    const tags = this.tags();
    for (const name of names) tags.set(name, usn);
    this.#changed.add('tags');
    checkBytes(tags.keys());
  }

  /** Texts of the changed columns, by name. From here on they count as written. */
  takeChanged(): Record<string, string> {
    const columns: Record<string, string> = {};
    for (const kind of this.#changed) {
      if (kind === 'tags') {
        columns['tags'] = JSON.stringify(Object.fromEntries(this.tags()));
      } else {
        const text = [...this.objects(kind)].map(([id, object]) => `${JSON.stringify(id)}:${object.json}`).join(',');
        columns[COLUMN[kind]] = `{${text}}`;
      }
    }
    this.#changed.clear();
    return columns;
  }
}

function checkBytes(texts: Iterable<string>): void {
  let bytes = 0;
  for (const text of texts) bytes += Buffer.byteLength(text);
  if (bytes > MAX_COLUMN_BYTES) throw new SyncError('STEP_FAILED', 'the notetypes, decks, presets or tags are too large');
}

function idOfText(text: string): number | bigint {
  const id = Number(text);
  return Number.isSafeInteger(id) ? id : /^-?\d+$/.test(text) ? BigInt(text) : 0;
}
