import { SyncError } from '../errors.ts';
import { normalizeNoteTags, prepareNote } from '../schema/note-fields.ts';
import { CARD, NOTE, REVLOG, type Chunk, type NoteEntry } from '../schema/schema11.ts';
import { SchemaError } from '../schema/schema-error.ts';
import type { Id, RowKind } from '../storage/storage.ts';
import { notetypesOf, storedUsn, type RunningSync } from './running-sync.ts';

/** Objects of revlog, notes and cards in one chunk, taken in turn. */
export const CHUNK_SIZE = 250;

/**
 * Bytes of text of one kind in one chunk, or one object if it has more. Clients go on until `done`, so a smaller chunk is no
 * other sync; the official server sends all 250, however long, which takes its memory and the client's patience of 30 seconds.
 */
const MAX_CHUNK_BYTES = 8 * 1024 ** 2;
/** JSON takes six bytes for some characters, and a thread whose heap cannot hold a text takes the process with it. */
const MAX_ROW_BYTES = 32 * 1024 ** 2;

const KINDS: readonly RowKind[] = ['revlog', 'cards', 'notes'];

/**
 * `chunk`: the next rows the client lacks. Ids are gathered at the first call; newest first, as the official server pops them.
 * `done` is set when fewer than a full chunk came, so a last full chunk is followed by an empty one.
 * @returns the answer's JSON text.
 */
export async function chunk(sync: RunningSync): Promise<string> {
  if (sync.chunkIds === undefined) {
    const { store, clientUsn } = sync;
    sync.chunkIds = {
      revlog: await store.pendingIds('revlog', clientUsn),
      cards: await store.pendingIds('cards', clientUsn),
      notes: await store.pendingIds('notes', clientUsn),
    };
  }
  const taken: Record<RowKind, Id[]> = { revlog: [], cards: [], notes: [] };
  let left = CHUNK_SIZE;
  for (let before = 0; left > 0 && left !== before; ) {
    before = left;
    for (const kind of ['revlog', 'notes', 'cards'] as const) {
      const id = sync.chunkIds[kind].pop();
      if (id === undefined) continue;
      taken[kind].push(id);
      left -= 1;
    }
  }
  let done = left > 0;
  for (const kind of KINDS) {
    const fitting = await fittingRows(sync, kind, taken[kind]);
    // the next chunk begins where this one ends
    const later = taken[kind].splice(fitting);
    sync.chunkIds[kind].push(...later.reverse());
    if (later.length > 0) done = false;
  }
  sync.moved.down += taken.revlog.length + taken.cards.length + taken.notes.length;
  const parts = [`"done":${done}`];
  for (const kind of KINDS) {
    if (taken[kind].length > 0) parts.push(`"${kind}":${await sync.store.rows(kind, taken[kind])}`);
  }
  return `{${parts.join(',')}}`;
}

/** How many of the first rows go into one chunk. */
async function fittingRows(sync: RunningSync, kind: RowKind, ids: Id[]): Promise<number> {
  if (ids.length === 0) return 0;
  const sizes = await sync.store.rowBytes(kind, ids);
  let bytes = 0;
  for (const [index, size] of sizes.entries()) {
    bytes += size;
    if (size > MAX_ROW_BYTES) throw new SyncError('STEP_FAILED', 'an object is too large for a normal sync');
    if (bytes > MAX_CHUNK_BYTES && index > 0) return index;
  }
  return ids.length;
}

/**
 * `applyChunk`: rows of the client. What is newer here and pending stays (see `mergeRows`).
 * @returns what stores them, once all is checked that the client can have done wrong. It may do so behind the answer: nothing is kept
 * before `finish`, and all later steps wait for it.
 */
export async function applyChunk(sync: RunningSync, incoming: Chunk): Promise<() => Promise<void>> {
  const { store, clientUsn } = sync;
  sync.moved.up += incoming.revlog.length + incoming.cards.length + incoming.notes.length;
  for (const row of incoming.revlog) row[REVLOG.usn] = storedUsn(sync, row[REVLOG.usn]);
  for (const row of incoming.cards) {
    row[CARD.usn] = storedUsn(sync, row[CARD.usn]);
    // as every other device will store it, and the official server too
    if (row[CARD.data] === '') row[CARD.data] = '{}';
  }
  for (const row of incoming.notes) row[NOTE.usn] = storedUsn(sync, row[NOTE.usn]);
  const notes = incoming.notes.length > 0 ? await preparedNotes(sync, incoming.notes) : [];
  return async () => {
    if (incoming.revlog.length > 0) await store.mergeRows('revlog', incoming.revlog, clientUsn);
    if (incoming.cards.length > 0) await store.mergeRows('cards', incoming.cards, clientUsn);
    if (notes.length > 0) await store.mergeRows('notes', notes, clientUsn);
  };
}

/**
 * Notes come with empty `sfld` and `csum`: both are computed from the fields, as every client does for itself.
 * A note that does not fit its notetype fails the step, so that the client checks its database; unless ours would win anyway.
 */
async function preparedNotes(sync: RunningSync, notes: NoteEntry[]): Promise<NoteEntry[]> {
  const notetypes = await notetypesOf(sync);
  const prepared: NoteEntry[] = [];
  const unfit: NoteEntry[] = [];
  for (const note of notes) {
    const notetype = notetypes.get(String(note[NOTE.mid]));
    const ready = notetype && preparedNote(note, notetype.sortField, notetype.fieldCount);
    if (ready) prepared.push(ready);
    else unfit.push(note);
  }
  if (unfit.length > 0) await refuseUnlessOursWins(sync, unfit);
  return prepared;
}

function preparedNote(note: NoteEntry, sortField: number, fieldCount: number): NoteEntry | undefined {
  try {
    const { fields, sfld, csum } = prepareNote(note[NOTE.flds], sortField, fieldCount);
    const row = [...note] as NoteEntry;
    row[NOTE.tags] = normalizeNoteTags(note[NOTE.tags]);
    row[NOTE.flds] = fields;
    row[NOTE.sfld] = sfld;
    row[NOTE.csum] = csum;
    row[NOTE.flags] = 0;
    row[NOTE.data] = '';
    return row;
  } catch (error) {
    if (error instanceof SchemaError) return undefined;
    throw error;
  }
}

async function refuseUnlessOursWins(sync: RunningSync, notes: NoteEntry[]): Promise<void> {
  const stamps = new Map((await sync.store.noteStamps(notes.map((note) => note[NOTE.id]))).map((stamp) => [String(stamp.id), stamp]));
  for (const note of notes) {
    const ours = stamps.get(String(note[NOTE.id]));
    const pending = ours !== undefined && (sync.clientUsn === -1 ? ours.usn === -1 : ours.usn >= sync.clientUsn);
    if (!pending || ours.mtimeSecs < Number(note[NOTE.mod])) {
      throw new SyncError('STEP_FAILED', 'a note does not fit its notetype, or its notetype is missing');
    }
  }
}
