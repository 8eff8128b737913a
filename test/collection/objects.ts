/** Anki's objects as a client sends them: valid ones, changed by the keys or columns that a test is about. */
import { parseLossless, type Json } from '../../lib/schema/json.ts';
import { newCollection } from '../../lib/schema/new-collection.ts';
import type { CARD, NOTE, REVLOG } from '../../lib/schema/schema11.ts';

export type JsonObject = { [key: string]: Json };

const fresh = newCollection(1_000_000);
const first = (text: string): JsonObject => (Object.values(parseLossless(text) as object) as JsonObject[])[0]!;
const NOTETYPE = first(fresh.models);
const DECK = first(fresh.decks);
const PRESET = first(fresh.dconf);

/** A JSON number with all its digits. */
export const exactly = (digits: string): Json => parseLossless(digits);

/** Two fields, one card type. */
export function notetype(changes: JsonObject): JsonObject {
  return { ...NOTETYPE, id: 2000, name: 'notetype', mod: 1000, usn: 0, ...changes };
}

export function deck(changes: JsonObject): JsonObject {
  return { ...DECK, id: 3000, name: 'deck', mod: 1000, usn: 0, ...changes };
}

export function preset(changes: JsonObject): JsonObject {
  return { ...PRESET, id: 4000, name: 'preset', mod: 1000, usn: 0, ...changes };
}

type Columns<Names> = { [name in keyof Names]?: Json };

export function note(changes: Columns<typeof NOTE>): Json[] {
  return Object.values({
    id: 5000, guid: 'guid', mid: 2000, mod: 1000, usn: 0, tags: '', flds: 'front\x1fback', sfld: '', csum: '', flags: 0, data: '',
    ...changes,
  });
}

export function card(changes: Columns<typeof CARD>): Json[] {
  return Object.values({
    id: 6000, nid: 5000, did: 3000, ord: 0, mod: 1000, usn: 0, type: 0, queue: 0, due: 1, ivl: 0, factor: 0, reps: 0, lapses: 0,
    left: 0, odue: 0, odid: 0, flags: 0, data: '', ...changes,
  });
}

export function review(changes: Columns<typeof REVLOG>): Json[] {
  return Object.values({ id: 7000, cid: 6000, usn: 0, ease: 3, ivl: 1, lastIvl: 0, factor: 2500, time: 1000, type: 1, ...changes });
}

/** `count` rows with ids from `from` on. */
export function many(count: number, from: number, row: (id: number) => Json[]): Json[][] {
  return Array.from({ length: count }, (_, index) => row(from + index));
}
