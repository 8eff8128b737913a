/** Collections of any size for measurements: schema 11, as the server keeps them, rows made by SQLite itself. A million notes take about a minute. */
import { rmSync } from 'node:fs';
import Database from 'better-sqlite3';
import { COLUMNS, createCollectionFile } from '../lib/storage/sqlite/collection-file.ts';

export interface CollectionSize {
  notes: number;
  /** Two by default. */
  cardsPerNote?: number;
  /** Five by default. */
  reviewsPerCard?: number;
  /** Besides the default one; 10 by default. */
  decks?: number;
  /** 100 by default. */
  tags?: number;
  /** Copies of the notetype "Basic", besides the stock ones; none by default. */
  notetypes?: number;
}

/** Ids of what is generated: `first + step * n`, for n from 0. Cards of a note follow each other. */
export const GENERATED = { note: 1_600_000_000_000, deck: 1_500_000_000_000, notetype: 1_400_000_000_000, review: 1_300_000_000_000 } as const;
/** Room for the cards of one note. */
const NOTE_STEP = 10;

export const noteId = (n: number): number => GENERATED.note + n * NOTE_STEP;
export const cardId = (note: number, card: number): number => noteId(note) + card;
export const deckId = (n: number): number => GENERATED.deck + n;

/** The notetype of the generated notes, with two fields. */
export function basicNotetypeId(path: string): number {
  const db = new Database(path, { readonly: true });
  try {
    return basicId(db);
  } finally {
    db.close();
  }
}

/** Writes a new collection to `path`, which is removed first. Its usn is 1, and everything in it was synced before. */
export function generateCollection(path: string, size: CollectionSize): void {
  const { notes, cardsPerNote = 2, reviewsPerCard = 5, decks = 10, tags = 100, notetypes = 0 } = size;
  for (const suffix of ['', '-wal', '-journal']) rmSync(path + suffix, { force: true });
  createCollectionFile(path);
  const db = new Database(path);
  try {
    db.pragma('synchronous = OFF');
    db.pragma('cache_size = -65536');
    const cards = notes * cardsPerNote;
    db.transaction(() => {
      putObjects(db, decks, notetypes, tags);
      db.prepare(
        `INSERT INTO notes (${COLUMNS.notes.join(', ')})
         SELECT :first + n * ${NOTE_STEP}, 'g' || n, :mid, 1700000000 + n % 900000, 0, ' tag' || (n % max(:tags, 1)) || ' ',
           'front of ' || n || char(31) || 'the back of a note, with <b>some words</b> in it, number ' || (n * 7919 % 1000003) || '<br>' || hex(n * 104729)
             || ' and a few more of them so that a page holds some ten', 'front of ' || n, n * 2654435761 % 4294967296, 0, ''
         FROM ${counting(':notes')}`,
      ).run(integers({ first: GENERATED.note, mid: basicId(db), tags, notes }));
      db.prepare(
        `INSERT INTO cards (${COLUMNS.cards.join(', ')})
         SELECT :first + (n / :per) * ${NOTE_STEP} + n % :per, :first + (n / :per) * ${NOTE_STEP},
           CASE WHEN :decks = 0 THEN 1 ELSE :firstDeck + n % max(:decks, 1) END, n % :per, 1700000000, 0, 2, 2, n % 365, n % 200 + 1,
           2500, 7, 0, 0, 0, 0, 0, '{"pos":' || n || ',"s":31.5,"d":5.25,"dr":0.9}'
         FROM ${counting(':cards')}`,
      ).run(integers({ first: GENERATED.note, per: Math.max(cardsPerNote, 1), decks, firstDeck: GENERATED.deck, cards }));
      db.prepare(
        `INSERT INTO revlog (${COLUMNS.revlog.join(', ')})
         SELECT :firstReview + n * 61, :first + (n % :cards / :per) * ${NOTE_STEP} + n % :cards % :per, 0, 3, n % 200 + 1, n % 190 + 1,
           2500, 7000 + n % 5000, 1
         FROM ${counting(':reviews')}`,
      ).run(
        integers({
          firstReview: GENERATED.review,
          first: GENERATED.note,
          per: Math.max(cardsPerNote, 1),
          cards: Math.max(cards, 1),
          reviews: cards * reviewsPerCard,
        }),
      );
      // as an upload leaves it behind "Check Database": with the statistics that mislead a planner
      db.exec('UPDATE col SET usn = 1, mod = 1700000000000, ls = 1700000000000; ANALYZE');
    })();
  } finally {
    db.close();
  }
}

/** A number is bound as a float, and would divide as one. */
function integers(values: Record<string, number>): Record<string, bigint> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, BigInt(value)]));
}

/** Numbers n from 0 to one below the bound. */
function counting(bound: string): string {
  return `(WITH RECURSIVE numbers(n) AS (SELECT 0 WHERE ${bound} > 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ${bound}) SELECT n FROM numbers)`;
}

function putObjects(db: Database.Database, decks: number, notetypes: number, tags: number): void {
  const row = db.prepare('SELECT models, decks FROM col').get() as { models: string; decks: string };
  const allNotetypes = JSON.parse(row.models) as Record<string, object>;
  const allDecks = JSON.parse(row.decks) as Record<string, object>;
  const basic = allNotetypes[String(basicId(db))];
  for (let n = 0; n < notetypes; n++) {
    const id = GENERATED.notetype + n;
    allNotetypes[id] = { ...basic, id, name: `Notetype ${n}` };
  }
  for (let n = 0; n < decks; n++) {
    const id = deckId(n);
    // some hang below others, as in real collections
    const name = n % 5 === 0 ? `Deck ${n}` : `Deck ${n - (n % 5)}::Part ${n}`;
    allDecks[id] = { ...allDecks['1'], id, name, mod: 1_700_000_000 };
  }
  const allTags = Object.fromEntries(Array.from({ length: tags }, (_, n) => [`tag${n}`, 0]));
  db.prepare('UPDATE col SET models = ?, decks = ?, tags = ?').run(JSON.stringify(allNotetypes), JSON.stringify(allDecks), JSON.stringify(allTags));
}

function basicId(db: Database.Database): number {
  return db.prepare(`SELECT CAST(e.key AS INTEGER) FROM col, json_each(col.models) e WHERE e.value ->> '$.name' = 'Basic'`).pluck().get() as number;
}
