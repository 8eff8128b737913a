/** The collections that are synced: made once by the real Anki, kept in the project's cache folder. */
import { createReadStream, createWriteStream, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createZstdCompress } from 'node:zlib';
import { ankiEnvironment, ankiPython, run } from '../test/oracle/anki-python.ts';
import type { CollectionFacts } from './user.ts';

/** Notes of each size: two cards and ten reviews a note. `T` is what each of fifty users has. */
const NOTES = { S: 1_000, T: 2_000, M: 20_000, L: 200_000 } as const;
const CACHE = fileURLToPath(new URL('../.cache/bench/', import.meta.url));
const MAKER = fileURLToPath(new URL('make-collection.py', import.meta.url));

export type CollectionSize = keyof typeof NOTES;

export interface KeptCollection {
  file: string;
  /** The file as zstd, as it goes over the wire. */
  packed: string;
  facts: CollectionFacts;
}

export type Collections = Record<CollectionSize, KeptCollection>;

export async function keptCollections(sizes: readonly CollectionSize[], say: (text: string) => void): Promise<Collections> {
  const made: Partial<Collections> = {};
  for (const size of sizes) made[size] = await keptCollection(size, { notes: NOTES[size] }, say);
  return made as Collections;
}

export interface Shape {
  notes: number;
  /** Default 10. */
  decks?: number;
  /** Reviews of each note. Default 10. */
  reviews?: number;
}

export async function keptCollection(name: string, { notes, decks = 10, reviews = 10 }: Shape, say: (text: string) => void): Promise<KeptCollection> {
  mkdirSync(CACHE, { recursive: true });
  const file = join(CACHE, `${name}.anki2`);
  const packed = join(CACHE, `${name}.zst`);
  if (!existsSync(packed)) {
    say(`making a collection of ${notes} notes, once`);
    await run(await ankiPython(), [MAKER, CACHE, name, String(notes), String(decks), String(reviews)], { env: ankiEnvironment() });
    await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), createZstdCompress(), createWriteStream(`${packed}.new`));
    renameSync(`${packed}.new`, packed);
  }
  return { file, packed, facts: JSON.parse(readFileSync(join(CACHE, `${name}.json`), 'utf8')) as CollectionFacts };
}
