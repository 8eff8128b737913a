/** What clients send, as it should be: what is mutated then. */
import { entry } from '../media/raw-zip.ts';
import type { Method, ZipPlan } from './draft.ts';
import type { Random } from './random.ts';
import { PASSWORD } from './target.ts';

export interface BodySource {
  name: string;
  /** Of the server, as far as known. */
  usn: number;
  /** As `applyChanges` answers them. */
  objects: { models: { id: number; mod: number }[]; decks: [object[], object[]]; conf: object; crt: number };
  collection: Buffer;
  /** What `sanityCheck2` would be content with. */
  counts: unknown;
}

/** The same ones each time, so that a collection does not grow while it is synced. */
export const NOTE_ID = 1_700_000_000_001;
export const CARD_ID = 1_700_000_000_002;

export function newRows({ objects, usn }: BodySource, random: Random): { notes: unknown[]; cards: unknown[]; revlog: unknown[] } {
  const mod = 1_700_000_000 + random.below(1_000_000);
  return {
    notes: [[NOTE_ID, 'a guid', objects.models[0]?.id ?? 1, mod, usn, ' tag ', `front ${random.below(9)}\u001fback`, '', '', 0, '']],
    cards: [[CARD_ID, NOTE_ID, 1, 0, mod, usn, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, '']],
    revlog: [[NOTE_ID, CARD_ID, usn, 3, 1, -60, 2500, 4000, 1]],
  };
}

/** Of methods with JSON. */
export function validValue(method: Method, source: BodySource, random: Random): unknown {
  const { objects } = source;
  const empty = (): object => (random.chance(50) ? {} : { _pad: null });
  switch (method) {
    case 'hostKey':
      return { u: source.name, p: random.chance(80) ? PASSWORD : 'wrong' };
    case 'meta':
      return { v: random.one([11, 11, 10, 9, 8]), cv: 'anki,26.09.3 (fuzz),lin:12' };
    case 'start':
      return { minUsn: random.one([0, source.usn, -1]), lnewer: random.chance(50), graves: random.chance(70) ? null : random.one<object>([{ cards: [1], notes: [], decks: [2] }, { cards: ['1'], notes: ['2'], decks: [] }]) };
    case 'applyGraves':
      return { chunk: { cards: [random.below(99)], notes: [random.below(99), 3], decks: [random.below(99) + 2] } };
    case 'applyChanges':
      return { changes: changes(source, random) };
    case 'applyChunk': {
      const { notes, cards, revlog } = newRows(source, random);
      return { chunk: { done: random.chance(50), notes, cards, ...(random.chance(50) ? { revlog } : {}) } };
    }
    case 'sanityCheck2':
      return { client: source.counts ?? [[0, 0, 0], 1, 1, 0, 0, objects.models.length, objects.decks[0].length, objects.decks[1].length] };
    case 'begin':
      return { v: 'anki,26.09.3 (fuzz),lin:12' };
    case 'mediaChanges':
      return { lastUsn: random.one([0, 1, 5, 2 ** 31 - 1]) };
    case 'downloadFiles':
      return { files: random.one([[], ['a.png'], ['a.png', 'b.png'], ['nowhere.png'], Array(26).fill('a.png')]) };
    case 'mediaSanity':
      return { local: random.below(4) };
    default:
      return empty();
  }
}

function changes({ objects }: BodySource, random: Random): object {
  const newer = <T extends object>(object: T | undefined): T[] => (object === undefined || random.chance(30) ? [] : [{ ...object, mod: 1_700_000_000 + random.below(90_000_000) }]);
  return {
    models: newer(random.one(objects.models)),
    decks: [newer(random.one(objects.decks[0])), newer(random.one(objects.decks[1]))],
    tags: random.one([[], ['a', 'A', 'ä::b'], ['tag']]),
    ...(random.chance(40) ? { conf: { ...objects.conf, x: random.below(9) }, crt: objects.crt } : {}),
  };
}

export function validFile({ collection }: BodySource, _random: Random): Buffer {
  return collection;
}

export function validZip(random: Random): ZipPlan {
  const names = random.shuffled(['a.png', 'b.png', 'ж.jpg', 'c d.mp3']).slice(0, 1 + random.below(3));
  const meta = names.map((name, i) => [name, random.chance(20) ? null : String(i)]);
  return {
    meta: JSON.stringify(meta),
    entries: meta.flatMap(([, at]) => (at === null || at === undefined ? [] : [entry(at, `content ${random.below(50)}`, { deflate: random.chance(30) })])),
    options: {},
  };
}
