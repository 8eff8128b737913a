import Database from 'better-sqlite3';
import { parseLossless, stringifyLossless, type Json } from '../../schema/json.ts';
import type { Id, NamedObject, ObjectKind, RowKind } from '../storage.ts';
import { COLUMNS, GRAVE_TYPE, SCHEMA_11 } from './collection-file.ts';
import { JsonColumns } from './json-columns.ts';

/** All of a collection in memory, for stores that rest elsewhere than in SQLite files. Rows are in Anki's order of columns. */
export interface CollectionContents {
  col: { crt: number; mod: number; scm: number; usn: number; ls: number; conf: string };
  objects: Record<ObjectKind, Map<string, NamedObject>>;
  /** Name → usn. */
  tags: Map<string, number>;
  rows: Record<RowKind, Map<string, Json[]>>;
  graves: Map<string, { kind: 'cards' | 'notes' | 'decks'; id: Id; usn: number }>;
}

const ROW_KINDS: readonly RowKind[] = ['revlog', 'cards', 'notes'];
const GRAVE_KINDS = Object.keys(GRAVE_TYPE) as (keyof typeof GRAVE_TYPE)[];

/** Reads a checked schema 11 file. Memory grows with it. */
export function readCollectionFile(path: string): CollectionContents {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    const json = new JsonColumns((sql) => db.prepare(sql));
    const rows = { revlog: new Map(), cards: new Map(), notes: new Map() } as CollectionContents['rows'];
    for (const kind of ROW_KINDS) {
      const texts = db.prepare(`SELECT id, json_array(${COLUMNS[kind].join(', ')}) FROM ${kind}`).raw().safeIntegers().iterate();
      for (const [id, text] of texts as IterableIterator<[bigint, string]>) rows[kind].set(String(id), parseLossless(text) as Json[]);
    }
    const graves: CollectionContents['graves'] = new Map();
    for (const [oid, type, usn] of db.prepare('SELECT oid, type, usn FROM graves').raw().safeIntegers().all() as [bigint, bigint, bigint][]) {
      const kind = GRAVE_KINDS[Number(type)];
      if (kind !== undefined) graves.set(`${kind} ${oid}`, { kind, id: Number.isSafeInteger(Number(oid)) ? Number(oid) : oid, usn: Number(usn) });
    }
    return {
      col: db.prepare('SELECT crt, mod, scm, usn, ls, conf FROM col').get() as CollectionContents['col'],
      objects: { notetypes: json.objects('notetypes'), decks: json.objects('decks'), deckConfigs: json.objects('deckConfigs') },
      tags: json.tags(),
      rows,
      graves,
    };
  } finally {
    db.close();
  }
}

/** Writes a new schema 11 file. */
export function writeCollectionFile(path: string, contents: CollectionContents): void {
  const db = new Database(path);
  try {
    db.transaction(() => {
      db.exec(SCHEMA_11);
      const { crt, mod, scm, usn, ls, conf } = contents.col;
      db.prepare(`INSERT INTO col VALUES (1, ?, ?, ?, 11, 0, ?, ?, ?, '{}', '{}', '{}', '{}')`).run(crt, mod, scm, usn, ls, conf);
      const json = new JsonColumns((sql) => db.prepare(sql));
      for (const kind of ['notetypes', 'decks', 'deckConfigs'] as const) json.put(kind, [...contents.objects[kind].values()]);
      for (const [name, tagUsn] of contents.tags) json.addTags([name], tagUsn);
      for (const [column, text] of Object.entries(json.takeChanged())) db.prepare(`UPDATE col SET ${column} = ?`).run(text);
      for (const kind of ROW_KINDS) {
        const values = COLUMNS[kind].map((_, index) => `:row ->> ${index}`).join(', ');
        const insert = db.prepare(`INSERT INTO ${kind} (${COLUMNS[kind].join(', ')}) VALUES (${values})`);
        for (const row of contents.rows[kind].values()) insert.run({ row: stringifyLossless(row) });
      }
      const insert = db.prepare('INSERT INTO graves (usn, oid, type) VALUES (?, ?, ?)');
      for (const { kind, id, usn: graveUsn } of contents.graves.values()) insert.run(graveUsn, BigInt(id), GRAVE_TYPE[kind]);
    })();
  } finally {
    db.close();
  }
}
