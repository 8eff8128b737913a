/** Real collections, made by Anki itself, and ways to damage them. Used by the tests of what happens to an upload. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { ankiEnvironment, ankiPython, run } from '../../oracle/anki-python.ts';

const MAKE = `
import os, sys
from anki.collection import Collection
out = sys.argv[1]
for downgrade, name in ((False, "schema18"), (True, "schema11")):
    col = Collection(os.path.join(out, name + ".anki2"))
    basic = col.models.by_name("Basic")
    # names whose order depends on Anki's collation: not the order of bytes, and not that of ASCII folding
    for deck in ("Ärger", "Zebra", "äther", "Straße", "éa", "ÉB", "a::Ö", "a::ó", "日本", "ab", "AC"):
        col.decks.id(deck)
    decks = [d.id for d in col.decks.all_names_and_ids()]
    for i in range(330):
        note = col.new_note(basic)
        note.fields = ["Front %d" % i, "x" * (i * 17 % 900)]
        note.tags = ["tag%d" % (i % 40), "Ümlaut%d" % (i % 7), "ümlaut"]
        col.add_note(note, decks[i % len(decks)])
    # leaves pages on the free list
    col.remove_notes(col.find_notes("front:*2*"))
    col.close(downgrade=downgrade)
`;

/** `schema18.anki2` as today's clients upload it, and `schema11.anki2` as older ones did; a few hundred notes each. */
export async function makeCollections(folder: string): Promise<{ schema18: string; schema11: string }> {
  await run(await ankiPython(), ['-c', MAKE, folder], { env: ankiEnvironment() });
  return { schema18: join(folder, 'schema18.anki2'), schema11: join(folder, 'schema11.anki2') };
}

/** For each file: null if Anki opens it, writes to each table, closes it as schema 11, and finds every column in it, else what went wrong. */
export async function convertedByAnki(files: string[]): Promise<(string | null)[]> {
  const script = `
import json, sqlite3, sys
from anki.collection import Collection
COLUMNS = {
    "col": "id, crt, mod, scm, ver, dty, usn, ls, conf, models, decks, dconf, tags",
    "notes": "id, guid, mid, mod, usn, tags, flds, sfld, csum, flags, data",
    "cards": "id, nid, did, ord, mod, usn, type, queue, due, ivl, factor, reps, lapses, left, odue, odid, flags, data",
    "revlog": "id, cid, usn, ease, ivl, lastIvl, factor, time, type",
    "graves": "usn, oid, type",
}
WRITES = [
    "insert into revlog values (1, 1, 0, 1, 1, 1, 1, 1, 1)",
    "insert into graves (usn, oid, type) values (0, 1, 1)",
    "insert into notes select max(id) + 1, guid, mid, mod, usn, tags, flds, sfld, csum, flags, data from notes",
    "insert into cards select max(id) + 1, nid, did, ord, mod, usn, type, queue, due, ivl, factor, reps, lapses, left, odue, 7, flags, data from cards",
]
answers = []
for path in json.load(sys.stdin):
    try:
        col = Collection(path)
        for sql in WRITES:
            col.db.execute(sql)
        col.close(downgrade=True)
        db = sqlite3.connect(path)
        # text need not be UTF-8
        db.text_factory = bytes
        for table, columns in COLUMNS.items():
            db.execute(f"SELECT {columns} FROM {table}").fetchone()
        if db.execute("SELECT 1 FROM sqlite_master WHERE type NOT IN ('table', 'index')").fetchone():
            # SQLite itself reads Table for table, but finds nothing when it is asked for tables
            raise ValueError("schema damaged")
        version = db.execute("SELECT ver FROM col").fetchone()[0]
        db.close()
        Collection(path).close()
        # close() says nothing when it could not convert
        answers.append(None if version == 11 else "not converted")
    except BaseException as e:
        answers.append(type(e).__name__)
print(json.dumps(answers))
`;
  const answers = await run(await ankiPython(), ['-c', script], { env: ankiEnvironment(), input: JSON.stringify(files) });
  return JSON.parse(answers) as (string | null)[];
}

export function pageBytesOf(file: Buffer): number {
  const claimed = file.readUInt16BE(16);
  return claimed === 1 ? 65536 : claimed;
}

/** Root page of a table or index, as a file on disk has it. */
export async function rootPage(path: string, name: string): Promise<number> {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare('SELECT rootpage FROM sqlite_master WHERE name = ?').pluck().get(name) as number;
  } finally {
    db.close();
  }
}

/** Runs SQL on a copy with everything allowed: how an attacker makes a file. */
export async function withSql(bytes: Buffer, path: string, ...sql: string[]): Promise<void> {
  await writeFile(path, bytes);
  const db = new Database(path);
  try {
    db.pragma('journal_mode = DELETE');
    db.unsafeMode(true);
    for (const statement of sql) db.exec(statement);
  } finally {
    db.close();
  }
}

/** The same numbers on every machine. */
export function seeded(seed: number): (below: number) => number {
  let state = BigInt(seed);
  return (below) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffff_ffff_ffff_ffffn;
    return Number((state >> 33n) % BigInt(below));
  };
}

export interface Mutant {
  name: string;
  bytes: Buffer;
}

type PageKind = 'table' | 'index' | 'free';

/** Every kind of damage that disks, transfers and half-written files bring. */
export function mutantsOf(label: string, original: Buffer, seed: number, scale = 1): Mutant[] {
  const random = seeded(seed);
  const pageBytes = pageBytesOf(original);
  const pages = pagesByKind(original);
  const mutants: Mutant[] = [];
  const add = (name: string, change: (copy: Buffer) => Buffer | void): void => {
    const copy = Buffer.from(original);
    mutants.push({ name: `${label}: ${name}`, bytes: change(copy) ?? copy });
  };
  const flip = (name: string, at: number): void => {
    const bit = random(8);
    add(`${name}, byte ${at} bit ${bit}`, (copy) => void (copy[at]! ^= 1 << bit));
  };
  const some = (count: number, make: () => void): void => {
    for (let i = 0; i < count * scale; i++) make();
  };
  const pageStart = (kind: PageKind): number => (pages[kind][random(pages[kind].length)]! - 1) * pageBytes;
  some(14, () => flip('table page', pageStart('table') + random(pageBytes)));
  some(8, () => flip('head of a table page', pageStart('table') + random(40)));
  some(14, () => flip('index page', pageStart('index') + random(pageBytes)));
  some(8, () => flip('head of an index page', pageStart('index') + random(40)));
  if (pages.free.length > 0) some(8, () => flip('free list', pageStart('free') + random(32)));
  some(14, () => flip('file header', random(100)));
  some(4, () => {
    const start = pageStart('table');
    add(`table page at ${start} zeroed`, (copy) => void copy.fill(0, start, start + pageBytes));
  });
  some(4, () => {
    const start = pageStart('index');
    add(`index page at ${start} zeroed`, (copy) => void copy.fill(0, start, start + pageBytes));
  });
  const last = original.length;
  for (const end of [50, 100, 511, 512, pageBytes, pageBytes + 1, last >> 1, last - pageBytes, last - 100, last - 1]) {
    add(`cut to ${end} bytes`, (copy) => copy.subarray(0, end));
  }
  add('a byte of garbage appended', (copy) => Buffer.concat([copy, Buffer.from([7])]));
  add('a page of garbage appended', (copy) => Buffer.concat([copy, Buffer.alloc(pageBytes, 0xa5)]));
  return mutants;
}

/** By the first byte of each page; those of the free list by their links. */
export function pagesByKind(file: Buffer): Record<PageKind, number[]> {
  const pageBytes = pageBytesOf(file);
  const at = (page: number): number => (page - 1) * pageBytes;
  const free = new Set<number>();
  for (let trunk = file.readUInt32BE(32); trunk !== 0 && !free.has(trunk); trunk = file.readUInt32BE(at(trunk))) {
    free.add(trunk);
    const leaves = file.readUInt32BE(at(trunk) + 4);
    for (let i = 0; i < leaves; i++) free.add(file.readUInt32BE(at(trunk) + 8 + i * 4));
  }
  const kinds: Record<PageKind, number[]> = { table: [], index: [], free: [...free] };
  for (let page = 1; at(page) < file.length; page++) {
    const type = file[at(page) + (page === 1 ? 100 : 0)]!;
    if (free.has(page)) continue;
    if (type === 5 || type === 13) kinds.table.push(page);
    else if (type === 2 || type === 10) kinds.index.push(page);
  }
  return kinds;
}
