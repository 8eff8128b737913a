/** A user who plays the steps of the protocol by hand, on our server or on Anki's: what each answers, and what it then holds. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { parseLossless, stringifyLossless, type Json } from '../../lib/schema/json.ts';
import type { RawClient } from '../client/raw.ts';
import { card, deck, note, notetype, preset, review, type JsonObject } from './objects.ts';

export interface Changes {
  models?: Json[];
  decks?: Json[];
  presets?: Json[];
  tags?: string[];
  conf?: Json;
  crt?: number;
}

export interface Rows {
  revlog?: Json[];
  cards?: Json[];
  notes?: Json[];
}

export interface GraveIds {
  cards?: Json[];
  notes?: Json[];
  decks?: Json[];
}

export interface Start {
  /** The usn as of this device's last sync. Default 0: everything is news. */
  minUsn?: number;
  /** `lnewer`. Default false. */
  newer?: boolean;
  /** As old clients and AnkiDroid send them. */
  graves?: GraveIds;
}

/** What a device sends in one sync. */
export type Sent = Changes & Rows & { graves?: GraveIds };

/** What the server holds, by id. */
export interface Held {
  models: Record<string, JsonObject>;
  decks: Record<string, JsonObject>;
  presets: Record<string, JsonObject>;
  tags: string[];
  conf: JsonObject;
  crt: number;
  notes: Record<string, Json[]>;
  cards: Record<string, Json[]>;
  revlog: Record<string, Json[]>;
  graves: { cards: Json[]; notes: Json[]; decks: Json[] };
}

export interface Reply {
  status: number;
  text: string;
}

export class Player {
  readonly client: RawClient;

  constructor(client: RawClient) {
    this.client = client;
  }

  /** Another device of the same user. */
  other(sessionKey: string): Player {
    return new Player(this.client.withSession(sessionKey));
  }

  /** Any method with any body; never throws for a status. */
  async post(method: string, body: Json = {}): Promise<Reply> {
    const response = await this.client.post(method, stringifyLossless(body));
    return { status: response.status, text: response.text() };
  }

  async status(method: string, body: Json = {}): Promise<number> {
    return (await this.post(method, body)).status;
  }

  /** The answer of a step that must succeed. */
  async ask(method: string, body: Json = {}): Promise<Json> {
    const { status, text } = await this.post(method, body);
    assert.equal(status, 200, `${method} answered ${status} ${text}`);
    return parseLossless(text);
  }

  async meta(): Promise<JsonObject> {
    return (await this.ask('meta', { v: 11, cv: 'test' })) as JsonObject;
  }

  start(options: Start = {}): Promise<Json> {
    return this.ask('start', startBody(options));
  }

  changes(changes: Changes = {}): Promise<JsonObject> {
    return this.ask('applyChanges', changesBody(changes)) as Promise<JsonObject>;
  }

  graves(graves: GraveIds): Promise<Json> {
    return this.ask('applyGraves', { chunk: allGraves(graves) });
  }

  rows(rows: Rows): Promise<Json> {
    return this.ask('applyChunk', { chunk: { done: true, ...rows } });
  }

  /** One `chunk`. */
  chunk(): Promise<Rows & { done: boolean }> {
    return this.ask('chunk') as Promise<unknown> as Promise<Rows & { done: boolean }>;
  }

  /** All chunks until one is done, put together. */
  async chunks(): Promise<Required<Rows>> {
    const all: Required<Rows> = { revlog: [], cards: [], notes: [] };
    for (;;) {
      const { done, ...rows } = await this.chunk();
      for (const kind of ['revlog', 'cards', 'notes'] as const) all[kind].push(...(rows[kind] ?? []));
      if (done) return all;
    }
  }

  finish(): Promise<Json> {
    return this.ask('finish');
  }

  abort(): Promise<Json> {
    return this.ask('abort');
  }

  /** One whole sync. Answers `mod`, as `finish` does. */
  async sync(sent: Sent = {}, options: Start = {}): Promise<Json> {
    await this.start(options);
    if (sent.graves !== undefined) await this.graves(sent.graves);
    await this.changes(sent);
    await this.chunks();
    await this.rows(rowsOf(sent));
    return this.finish();
  }

  /** One of each kind, sent in the user's first sync: the server's usn is 1 afterwards, theirs 0, their `mod` 1000. */
  async begin(sent: Sent = {}): Promise<void> {
    await this.sync({
      models: [notetype({})], decks: [deck({})], presets: [preset({})],
      notes: [note({})], cards: [card({})], revlog: [review({})], ...sent,
    });
  }

  /** Everything that another device would get. Ends whatever sync is running. */
  async held(options: Start = {}): Promise<Held> {
    const graves = (await this.start(options)) as unknown as Held['graves'];
    const held = await this.heldNow();
    await this.abort();
    return { ...held, graves };
  }

  /** Everything within the running sync, from its `minUsn` on; `graves` stays empty. To be asked once per sync, because of the chunks. */
  async heldNow(): Promise<Held> {
    const { models, decks, tags, conf, crt } = await this.changes();
    const [deckList, presets] = decks as [JsonObject[], JsonObject[]];
    const rows = await this.chunks();
    return {
      models: byId(models as JsonObject[], (object) => object['id']!),
      decks: byId(deckList, (object) => object['id']!),
      presets: byId(presets, (object) => object['id']!),
      tags: (tags as string[]).toSorted(),
      conf: conf as JsonObject,
      crt: crt as number,
      notes: byId(rows.notes as Json[][], (row) => row[0]!),
      cards: byId(rows.cards as Json[][], (row) => row[0]!),
      revlog: byId(rows.revlog as Json[][], (row) => row[0]!),
      graves: { cards: [], notes: [], decks: [] },
    };
  }

  /** What a query finds in the file that clients of schema 11 download. */
  async query(sql: string): Promise<unknown[]> {
    const response = await this.client.post('download', {}, { version: 10 });
    assert.equal(response.status, 200, `download answered ${response.status}`);
    return queryOf(response.body, sql);
  }
}

/** Rows of a query on the bytes of a collection of schema 11, each a list of values. */
export async function queryOf(bytes: Buffer, sql: string): Promise<unknown[]> {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-query-'));
  try {
    const path = join(folder, 'collection.anki2');
    await writeFile(path, bytes);
    const db = new Database(path);
    try {
      return db.prepare(sql).raw().all();
    } finally {
      db.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function startBody({ minUsn = 0, newer = false, graves }: Start = {}): Json {
  return { minUsn, lnewer: newer, ...(graves === undefined ? {} : { graves: allGraves(graves) }) };
}

export function changesBody({ models = [], decks = [], presets = [], tags = [], conf, crt }: Changes = {}): Json {
  return {
    changes: { models, decks: [decks, presets], tags, ...(conf === undefined ? {} : { conf }), ...(crt === undefined ? {} : { crt }) },
  };
}

function allGraves({ cards = [], notes = [], decks = [] }: GraveIds): Json {
  return { cards, notes, decks };
}

function rowsOf({ revlog, cards, notes }: Rows): Rows {
  return { ...(revlog ? { revlog } : {}), ...(cards ? { cards } : {}), ...(notes ? { notes } : {}) };
}

function byId<T>(list: T[], idOf: (item: T) => Json): Record<string, T> {
  return Object.fromEntries(list.map((item) => [stringifyLossless(idOf(item)), item]));
}
